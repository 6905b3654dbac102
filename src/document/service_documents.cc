// Documents: create, get, list, stats.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

constexpr size_t kNameBytes = 256;
constexpr size_t kClientIdChars = 64;
constexpr int64_t kListMax = 200;
constexpr size_t kPeopleMax = 10'000;

engine::Kind kind_of(Type type) { return type == Type::text ? engine::Kind::text : engine::Kind::objects; }

Document described(const Details& details, const std::string& epoch) {
  Document document;
  document.id = details.id;
  document.name = details.name;
  document.type = details.type;
  document.state = details.state;
  document.version = details.version;
  document.seq = details.head;
  document.created_by = details.created_by;
  document.created_at = details.created_at;
  document.updated_at = details.updated_at;
  document.updated_by = details.updated_by;
  document.metadata = details.metadata;
  document.epoch = epoch;
  return document;
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace

int64_t hash_of(std::initializer_list<std::string_view> parts) {
  const Uuid hash = make_uuid8(parts);
  int64_t number = 0;
  std::memcpy(&number, hash.bytes.data(), sizeof number);
  return number;
}

std::optional<Error> check_id(std::string_view id) {
  if (!id.empty() && (id.size() > kClientIdChars || !is_valid_id(id))) {
    return invalid_field("id", "1 to 64 bytes of UTF-8 without control characters");
  }
  return std::nullopt;
}

std::optional<Error> check_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytes || !is_utf8(name)) {
    return invalid_field("name", "1 to 256 bytes of UTF-8");
  }
  return std::nullopt;
}

std::optional<Error> Service::check_metadata(const Metadata& metadata) const {
  const std::string json = metadata_json(metadata);
  if (json.size() > options_.metadata_bytes) {
    return Error{Code::too_large, "more than " + std::to_string(options_.metadata_bytes) + " bytes as JSON", "metadata", 0};
  }
  if (!is_utf8(json)) {
    return invalid_field("metadata", "UTF-8 is expected");
  }
  if (const auto policy = metadata.properties.find("conflict_policy");
      policy != metadata.properties.end() && !engine::policy_named(policy->second)) {
    return invalid_field("metadata.properties.conflict_policy", "lww, merge or manual");
  }
  if (!metadata.permissions) {
    return std::nullopt;
  }
  const Permissions& permissions = *metadata.permissions;
  if (!permissions.owner.empty() && !is_valid_id(permissions.owner)) {
    return invalid_field("metadata.permissions.owner", "a user id is expected");
  }
  for (const auto* const users : {&permissions.editors, &permissions.viewers}) {
    const bool good = users->size() <= kPeopleMax &&
                      std::all_of(users->begin(), users->end(), [](const std::string& id) { return is_valid_id(id); });
    if (!good) {
      return invalid_field(users == &permissions.editors ? "metadata.permissions.editors" : "metadata.permissions.viewers",
                           "at most 10000 user ids are expected");
    }
  }
  return std::nullopt;
}

Task<Result<Created>> Service::create(Caller caller, CreateRequest request) {
  if (auto wrong = check_id(request.id)) {
    co_return std::move(*wrong);
  }
  if (auto wrong = check_name(request.name)) {
    co_return std::move(*wrong);
  }
  const auto type = type_named(request.type);
  if (!type) {
    co_return invalid_field("type", "whiteboard, text, canvas or sheet");
  }
  if (auto wrong = check_metadata(request.metadata)) {
    co_return std::move(*wrong);
  }
  Details details;
  details.id = new_id();
  details.name = request.name;
  details.type = *type;
  details.metadata = request.metadata;
  if (!details.metadata.permissions) {
    details.metadata.permissions.emplace();
  }
  if (details.metadata.permissions->owner.empty()) {
    details.metadata.permissions->owner = caller.user.str();
  }
  details.created_by = details.updated_by = caller.user.str();
  details.created_at = details.updated_at = clock_.unix_ms();
  if (*type != Type::text && !request.content.empty()) {
    if (auto unreadable = spell_json(request.content, "content")) {
      co_return std::move(*unreadable);
    }
  }
  auto content = engine::Document::create(kind_of(*type), request.content, limits_);
  if (!content.ok()) {
    co_return content.error();
  }
  const int64_t hash = hash_of({request.name, request.type, request.content, metadata_json(request.metadata)});
  const Snapshot first{1, 0, content->snapshot()};
  const UserKey creator = caller.key();
  auto made = co_await database_.write([&](Transaction& tx) -> Result<Created> {
    Created result;
    if (!request.id.empty()) {
      if (const auto earlier = store::find_client_id(tx, creator, request.id)) {
        if (earlier->hash != hash) {
          return Error{Code::conflict, "this id was used before with other fields", "id", 0};
        }
        result.document = described(earlier->details, epoch_);
        result.duplicate = true;
        return result;
      }
    }
    Details stored = details;
    const stream::StreamKey key{creator.tenant, stream::StreamKind::document, details.id};
    stored.stream = stream::open_stream(tx, key, details.created_at).id;
    store::insert(tx, creator.tenant, stored, request.id, hash);
    store::put_snapshot(tx, stored.stream, first);
    result.document = described(stored, epoch_);
    return result;
  });
  if (!made.ok()) {
    co_return made.error();
  }
  if (made->duplicate) {
    auto now = co_await get(caller, made->document.id, 0);
    if (now.ok()) {
      made->document = std::move(*now);
    }
  } else {
    documents_total_.add();
    made->document.content = content->content();
  }
  co_return made;
}

Task<Result<Document>> Service::get(Caller caller, std::string doc_id, int64_t version) {
  Worker& from = *Worker::current();
  const DocumentKey key{caller.tenant, std::move(doc_id)};
  for (;;) {
    LivePtr live;
    {
      auto opened = co_await open(caller, key, Right::read);
      if (!opened.ok()) {
        co_await from.enter();
        co_return opened.error();
      }
      live = std::move(opened->live);
    }
    Document document = describe(*live, version == 0);
    const BatchPtr batch = live->newest_batch();
    const Batch::End end = batch ? co_await batch->ended() : Batch::End::committed;
    if (end == Batch::End::again) {
      continue;
    }
    if (end == Batch::End::failed) {
      co_await from.enter();
      co_return fail(Code::unavailable);
    }
    if (version != 0) {
      auto content = co_await content_at(live, version);
      if (!content.ok()) {
        co_await from.enter();
        co_return content.error();
      }
      document.content = std::move(*content);
      document.version = version;
    }
    co_await from.enter();
    co_return document;
  }
}

// Read from the store: the newest snapshot of at most the version, and what followed.
Task<Result<std::string>> Service::content_at(LivePtr live, int64_t version) {
  if (version < 1 || version > live->details.version) {
    co_return invalid_field("version", "above the newest version");
  }
  const DocumentKey& key = live->key;
  co_return co_await database_.read([&](Transaction& tx) -> Result<std::string> {
    const auto details = store::find(tx, key.tenant, key.id);
    const auto snapshot = details ? store::snapshot_at(tx, details->stream, version) : std::nullopt;
    if (!snapshot || version < details->floor_version) {
      return Error{Code::stale_version, "this version is no longer kept", "version", 0};
    }
    auto content = engine::Document::from_snapshot(snapshot->state, limits_);
    if (!content.ok()) {
      return content.error();
    }
    for (const store::Stored& stored :
         store::operations_after(tx, details->stream, snapshot->seq, version - snapshot->version)) {
      if (const Status applied = content->apply(applied_of(stored)); !applied.ok()) {
        return applied.error();
      }
    }
    return content->content();
  });
}

Task<Result<Listed>> Service::list(Caller caller, ListRequest request) {
  ListFilter filter;
  filter.tenant = caller.tenant;
  if (!request.type.empty()) {
    filter.type = type_named(request.type);
    if (!filter.type) {
      co_return invalid_field("type", "whiteboard, text, canvas or sheet");
    }
  }
  if (!request.state.empty()) {
    filter.state = state_named(request.state);
    if (!filter.state) {
      co_return invalid_field("state", "active, archived or deleted");
    }
  }
  if (request.offset < 0 || request.limit < 1 || request.limit > kListMax) {
    co_return invalid_field(request.offset < 0 ? "offset" : "limit", request.offset < 0 ? "at least 0" : "1 to 200");
  }
  filter.created_by = request.created_by;
  // A user sees no more than it may read, whoever it asks for.
  filter.reader = caller.user.empty() ? request.user_id : caller.user.str();
  filter.offset = request.offset;
  filter.limit = request.limit;
  const auto page =
      co_await database_.read([&](Transaction& tx) -> Result<store::Page> { return store::list(tx, filter); });
  if (!page.ok()) {
    co_return page.error();
  }
  Listed listed;
  listed.total = page->total;
  for (const Details& details : page->documents) {
    listed.documents.push_back(described(details, epoch_));
  }
  co_return listed;
}

Task<Result<Stats>> Service::stats(Caller caller) {
  auto stats = co_await database_.read(
      [&](Transaction& tx) -> Result<Stats> { return store::stats(tx, caller.tenant); });
  if (!stats.ok()) {
    co_return stats.error();
  }
  Worker& from = *Worker::current();
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    if (const auto found = shard->subscribers.find(caller.tenant); found != shard->subscribers.end()) {
      stats->active_subscribers += found->second;
    }
  }
  co_await from.enter();
  stats->last_updated = clock_.unix_ms();
  co_return stats;
}

}  // namespace tidemark::document
