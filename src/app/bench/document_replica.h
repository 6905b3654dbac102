// What a client makes of a document: it applies what it is told, in order, and nothing else.
//
// Shares no code with the server's engine: it is here to judge it.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tidemark::app {

enum class DocumentKind : uint8_t { whiteboard, text };
std::string_view name_of(DocumentKind kind);

// A value. Knows the operations that `tidemark bench document` sends, as the server tells them: values are numbers and
// strings, no name has a dot, and nothing but an object is below another.
class DocumentReplica {
 public:
  explicit DocumentReplica(DocumentKind kind) : kind_(kind) {}
  // Of a new document. unavailable if that is no content of this kind.
  static Result<DocumentReplica> from_content(DocumentKind kind, simdjson::dom::element content);

  // unavailable: the operation does not fit. The replica is of no use then.
  Status apply(std::string_view type, simdjson::dom::element data);

  // The value of `content` as JSON, byte for byte as a server has to give it.
  std::string content_json() const;
  size_t length() const { return text_.size(); }  // code points of a text

 private:
  // Values as JSON, by key or dotted path.
  using Registers = std::map<std::string, std::string>;

  Status apply_text(simdjson::dom::element data);
  Status write(std::string_view type, simdjson::dom::element data);
  static void set(Registers& registers, const std::string& path, simdjson::dom::element value);

  DocumentKind kind_;
  std::u32string text_;
  std::map<std::string, Registers> objects_;
};

}  // namespace tidemark::app
