// The words of the document room: what a document, an operation, a conflict, a lock and an event are. Values only.
//
// Times are Unix milliseconds. `content` and `data` are bytes of UTF-8. docs/protocol.md says what the fields mean.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/result.h"

namespace tidemark::document {

// Stored by number: never renumber.
enum class Type : uint8_t { whiteboard = 1, text = 2, canvas = 3, sheet = 4 };
enum class State : uint8_t { active = 1, archived = 2, deleted = 3 };
enum class OperationStatus : uint8_t { pending = 1, applied = 2, conflict = 3, rejected = 4, resolved = 5 };

std::string_view name_of(Type type);
std::string_view name_of(State state);
std::string_view name_of(OperationStatus status);
std::optional<Type> type_named(std::string_view name);
std::optional<State> state_named(std::string_view name);
std::optional<OperationStatus> status_named(std::string_view name);

struct Permissions {
  std::string owner;
  std::vector<std::string> editors;
  std::vector<std::string> viewers;
  bool is_public = false;  // everyone of the tenant may read
  friend bool operator==(const Permissions&, const Permissions&) = default;
};

struct Metadata {
  std::vector<std::string> tags;
  std::string description;
  std::map<std::string, std::string> properties;  // "conflict_policy": lww, merge or manual
  std::optional<Permissions> permissions;         // absent in an update: they stay
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

struct Document {
  std::string id;
  std::string name;
  Type type = Type::whiteboard;
  State state = State::active;
  int64_t version = 1;
  int64_t seq = 0;  // of the stream's newest entry that `content` contains
  std::string content;
  std::string created_by;
  int64_t created_at = 0;
  int64_t updated_at = 0;
  std::string updated_by;
  std::vector<std::string> active_users;  // with a live subscription
  Metadata metadata;
  std::string epoch;
};

struct OperationMetadata {
  std::string ip;
  std::string user_agent;
  std::string platform;
  std::map<std::string, std::string> extra;  // "conflict_policy", "on_lock" = "wait", "after" = an operation id
  bool empty() const { return ip.empty() && user_agent.empty() && platform.empty() && extra.empty(); }
};

// As a client sends it, and as it is stored and told. Of an incoming one `version`, `status` and `timestamp` are ignored.
struct Operation {
  std::string id;  // idempotency key of (user, document); empty: assigned, not deduplicated
  std::string doc_id;
  std::string user_id;  // whom the caller acts for, set by the room
  std::string session_id;
  std::string type;  // create, update, delete, move, resize, style, text
  std::string data;  // JSON
  int64_t timestamp = 0;
  int64_t version = 0;       // that it made; 0: none
  int64_t prev_version = 0;  // that its author saw; 0: current
  OperationStatus status = OperationStatus::pending;
  std::string client_id;
  OperationMetadata metadata;
  int64_t fence = 0;  // 0: none
};

struct Conflict {
  std::string id;
  std::string doc_id;
  std::vector<Operation> ops;  // the concurrent applied ones, then the incoming one
  std::string resolution;      // lww, merge, manual
  std::string resolved_by;     // a user, or system:lww, system:merge; empty while open
  std::optional<Operation> resolved_op;
  int64_t resolved_at = 0;
  std::string description;
  std::string kind;  // write_write, edit_delete, delete_edit, create_create, cycle, text_overlap
  std::string path;  // <object id>.<register>
  std::string base;  // JSON values: at prev_version, of the incoming one, of what was there; empty: there was none
  std::string ours;
  std::string theirs;
};

struct Lock {
  std::string id;
  std::string doc_id;
  std::string user_id;
  std::string session_id;
  int64_t acquired_at = 0;
  int64_t expires_at = 0;
  bool active = false;
  int64_t fence = 0;
};

// What a follower of a document gets. `type` is one of operation_applied, document_updated, user_joined, user_left,
// conflict_detected, conflict_resolved, lock_acquired, lock_released, bookmark.
struct Event {
  std::string id;
  std::string type;
  std::string doc_id;
  std::string user_id;
  std::optional<Operation> operation;
  std::optional<Document> document;  // without content
  std::optional<Conflict> conflict;
  std::optional<Lock> lock;
  int64_t timestamp = 0;
  // "subscriber_id" on the subscriber's own user_joined, "reason" on lock_released.
  std::map<std::string, std::string> data;
  // Of stored events the entry's; of the others (user_joined, user_left, bookmark) the last one that was delivered, so
  // that neither ever goes back.
  int64_t seq = 0;
  int64_t version = 0;  // after the event
};

struct Stats {
  int64_t total_documents = 0;  // without deleted ones
  int64_t active_documents = 0;
  int64_t archived_documents = 0;
  int64_t total_operations = 0;  // accepted, as long as their document is there
  int64_t total_conflicts = 0;
  int64_t resolved_conflicts = 0;
  int64_t active_subscribers = 0;
  int64_t active_locks = 0;
  int64_t last_updated = 0;
};

}  // namespace tidemark::document
