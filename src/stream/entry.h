// The words of the engine: what a stream is, what an entry is, what an append answers.
#pragma once

#include <cstdint>
#include <string>

#include "core/ids.h"

namespace tidemark::stream {

// What a stream holds; its rooms know what the entries mean.
enum class StreamKind : uint8_t { conversation = 1, self = 2, document = 3 };

// The number of a stream in the store. Stable for the life of the store.
enum class StreamId : int64_t {};

// What a client calls a stream: kind and name within a tenant. `@self` streams are named by the user id.
struct StreamKey {
  StreamKey() = default;
  StreamKey(TenantId of_tenant, StreamKind of_kind, SharedText named)
      : tenant(std::move(of_tenant)), kind(of_kind), name(std::move(named)) {}
  StreamKey(TenantId of_tenant, StreamKind of_kind, std::string named)
      : StreamKey(std::move(of_tenant), of_kind, SharedText(std::move(named))) {}

  TenantId tenant;
  StreamKind kind = StreamKind::conversation;
  SharedText name;
  friend bool operator==(const StreamKey&, const StreamKey&) = default;
};

struct NewEntry {
  int kind = 0;          // the room's number for what this entry is
  bool counted = false;  // counts in the stream's running ordinal (messages do)
  std::string author;    // user id
  std::string device;
  std::string client_id;  // idempotency key, empty: none
  int64_t hash = 0;       // of everything the client sent; tells a retry from another request with the same id
  std::string content;    // what people wrote, searched and deleted
  std::string body;       // members of the frame's JSON object, as the room encodes them
  int64_t time_ms = 0;
};

struct Appended {
  int64_t seq = 0;
  int64_t time_ms = 0;
  int64_t ordinal = 0;  // counted entries up to and including this one
  bool duplicate = false;
};

struct Entry {
  int64_t seq = 0;
  int kind = 0;
  int64_t ordinal = 0;
  std::string author;
  std::string device;
  std::string content;
  std::string body;
  int64_t time_ms = 0;
};

}  // namespace tidemark::stream

template <>
struct std::hash<tidemark::stream::StreamKey> {
  size_t operator()(const tidemark::stream::StreamKey& key) const {
    return tidemark::hash_pair(key.tenant.str(), key.name) + static_cast<size_t>(key.kind);
  }
};
