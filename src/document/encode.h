// Documents, operations, conflicts, locks and events as JSON, and back. Private to the document room.
//
// One form serves the store, the WebSocket and REST: what is stored as an entry's body are the members of its event.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "document/model.h"
#include "stream/entry.h"

namespace tidemark::document {

// What an entry of a document's stream is; the number is stored, never reuse one. Entries of operations that made a
// version are `counted`, so that an entry's ordinal is the version after it, less one.
enum class EntryKind : int {
  operation_applied = 1,
  document_updated = 2,
  conflict_detected = 3,
  conflict_resolved = 4,
  lock_acquired = 5,
  lock_released = 6,
};
std::string_view event_name(EntryKind kind);
constexpr int64_t version_of(int64_t ordinal) { return ordinal + 1; }

std::string operation_json(const Operation& operation);
std::string conflict_json(const Conflict& conflict);
std::string lock_json(const Lock& lock);
std::string permissions_json(const Permissions& permissions);
std::string metadata_json(const Metadata& metadata);
// With the content as a JSON value, or without it.
std::string document_json(const Document& document, bool with_content);

// What this program wrote. A value that is not there is empty or 0.
Operation operation_of(simdjson::dom::element json);
Conflict conflict_of(simdjson::dom::element json);
Lock lock_of(simdjson::dom::element json);
Metadata metadata_of(simdjson::dom::element json);

// What a client wrote: another type than expected, a null or an over-long value is invalid_field.
Result<Operation> read_operation(std::string_view json);
Result<Metadata> read_metadata(std::string_view json);

// Brings JSON from outside into the one spelling in which it is stored and read again, so that a document is the same
// before and after it is loaded. invalid_json of `field` for what would not be readable.
std::optional<Error> spell_json(std::string& json, std::string_view field);

// `"operation":{…}` and the like: the members of an event, as they are stored.
std::string operation_body(const Operation& operation);
std::string conflict_body(const Conflict& conflict);
std::string lock_body(const Lock& lock, std::string_view reason);
std::string document_body(const Document& document);

// The frame of a stored event, and of one that is only told (`members` as above, may be empty).
std::string event_json(std::string_view doc_id, const stream::Entry& entry);
std::string told_json(std::string_view doc_id, std::string_view event, std::string_view user, int64_t seq,
                      int64_t version, int64_t time_ms, std::string_view members);
// Back from a frame; nothing if it is no document_event.
std::optional<Event> event_of(std::string_view frame);

// What a body holds.
std::optional<Operation> operation_in(std::string_view body);
std::optional<Conflict> conflict_in(std::string_view body);

}  // namespace tidemark::document
