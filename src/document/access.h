// Who may do what with a document. Private to the document room.
#pragma once

#include <string>
#include <unordered_set>

#include "command/caller.h"
#include "document/model.h"

namespace tidemark::document {

enum class Right : uint8_t { none, read, write, own };

// A document's permissions, ready to be asked at every command. Owner: whoever holds the document.
class Access {
 public:
  Access() = default;
  explicit Access(const Permissions& permissions);

  Right of(const std::string& user) const;
  // A service that names no user may do everything.
  Right of(const command::Caller& caller) const {
    return caller.user.empty() ? (caller.service ? Right::own : Right::none) : of(caller.user.str());
  }
  // not_found without the right to read, forbidden without `needed`.
  Status check(const command::Caller& caller, Right needed) const;

 private:
  std::string owner_;
  std::unordered_set<std::string> editors_;
  std::unordered_set<std::string> viewers_;
  bool public_ = false;
};

inline Error no_such_document() { return fail(Code::not_found, "no such document"); }

}  // namespace tidemark::document
