// What of the documents' tables belongs to one user, and what is left of it when that user is erased. Called inside
// transactions. Private to the document room.
//
// Entries have no index by author, which would cost every operation a page: whoever looks for all of one user walks over
// the documents of the tenant, one after the other.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "document/document_store.h"
#include "storage/personal.h"

namespace tidemark::document {

// The same with another user in it, whom nothing else leads to: of what the user sent stay the change and the session,
// which replicas need to place it (docs/decisions/0025-what-an-erased-user-leaves-in-documents.md).
void rename_user(Operation& operation, const std::string& user, const std::string& pseudonym);
void rename_user(Conflict& conflict, const std::string& user, const std::string& pseudonym);
void rename_user(Permissions& permissions, const std::string& user, const std::string& pseudonym);
// An entry's body; nothing if it does not name the user. `gone`: of a deleted document, which keeps nothing of its own.
std::optional<std::string> renamed_body(std::string_view body, const std::string& user, const std::string& pseudonym,
                                        bool gone);

namespace store {

// A document that the user is named in.
struct Mention {
  stream::StreamId stream{};
  std::string id;
  bool deleted = false;
};
// Looks at some documents behind `after`, up to the first that names the user.
struct Mentions {
  std::optional<Mention> found;
  int64_t next = 0;  // where to go on; of the one that was found
  bool end = false;  // nothing lies behind `next`
};
Mentions find_mention(storage::Transaction& tx, const UserKey& user, int64_t after);

// Removes the user from what is stored of a document, a bounded part at a time.
struct Erased {
  int64_t changed = 0;  // entries
  int64_t seq = 0;      // entries up to here are done
  int64_t conflict = 0; // and conflicts
  bool done = false;    // all of it
};
Erased erase_from(storage::Transaction& tx, const Mention& document, const UserKey& user, const std::string& pseudonym,
                  Erased so_far);

// A document that is not deleted and that the user owns, edits or reads by name; one that the user has locked.
std::optional<std::string> some_document_of(storage::Transaction& tx, const UserKey& user);
std::optional<std::string> some_locked_by(storage::Transaction& tx, const UserKey& user);

std::vector<storage::PersonalPart> personal_parts();

}  // namespace store
}  // namespace tidemark::document
