// From decisions to the store and to whoever follows: one batch of a document is written at a time, what is decided
// meanwhile goes into the next.
#include <algorithm>

#include "core/log.h"
#include "document/service.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

constexpr size_t kKnownMax = 8192;
constexpr size_t kRecentMax = 512;
constexpr int64_t kCompactStep = 500;
constexpr size_t kSnapshotShare = 512;  // bytes of a snapshot that one operation may cost in the long run

// Why a batch was not stored though the store answered.
constexpr std::string_view kRepeated = "record";  // its text is the record's number
constexpr std::string_view kMoved = "head";

std::string known_name(const std::string& author, const std::string& id) { return author + '\0' + id; }

Status store_batch(Transaction& tx, const TenantId& tenant, const Batch& batch) {
  const stream::StreamId stream = batch.stream;
  const store::Head head = store::head_of(tx, stream);
  const auto fence = store::fence_of(tx, stream);
  // Everything was decided on this state. In one process it always is the state; a second writer would be found here.
  if (head.seq != batch.before.seq || head.counted != batch.before.counted || fence != batch.fence_before) {
    return Error{Code::conflict, "the document has moved", std::string(kMoved), 0};
  }
  for (size_t i = 0; i < batch.records.size(); ++i) {
    const Record& record = batch.records[i];
    if (!store::put_entry(tx, stream, record.entry, record.client_id, record.hash)) {
      return Error{Code::conflict, std::to_string(i), std::string(kRepeated), 0};
    }
  }
  if (!batch.records.empty()) {
    const stream::Entry& last = batch.records.back().entry;
    store::set_head(tx, stream, {last.seq, last.ordinal}, last.time_ms);
  }
  if (batch.details_changed) {
    store::set_details(tx, tenant, batch.details);
  }
  if (!batch.updated_by.empty()) {
    store::set_updated_by(tx, stream, batch.updated_by);
  }
  if (batch.lock_changed) {
    store::set_lock(tx, batch.details);
  }
  for (const ConflictRow& row : batch.conflicts) {
    store::put_conflict(tx, stream, row);
  }
  for (const Pending& pending : batch.pending) {
    store::put_pending(tx, stream, pending);
  }
  for (const int64_t number : batch.done_pending) {
    store::drop_pending(tx, stream, number);
  }
  if (batch.snapshot) {
    store::put_snapshot(tx, stream, *batch.snapshot);
  }
  if (batch.cleared) {
    store::clear(tx, stream, batch.before.seq);
  }
  return {};
}

}  // namespace

Batch& Service::draft(LiveDocument& live) {
  if (!live.next) {
    live.next = std::make_shared<Batch>();
    live.next->before = {live.details.head, live.details.version - 1};
    live.next->fence_before = live.details.fence;
  }
  if (!std::exchange(live.scheduled, true)) {
    // In the next turn: what this one decides goes into one transaction.
    Worker::current()->post([this, kept = live.shared_from_this()] { spawn(write_batches(kept)); });
  }
  return *live.next;
}

stream::Entry& Service::add_entry(LiveDocument& live, EntryKind kind, const std::string& author, std::string body,
                                  bool counted, std::string client_id, int64_t hash) {
  Batch& batch = draft(live);
  live.details.head += 1;
  live.details.version += counted ? 1 : 0;
  live.details.updated_at = clock_.unix_ms();
  Record& record = batch.records.emplace_back();
  record.entry.seq = live.details.head;
  record.entry.kind = static_cast<int>(kind);
  record.entry.ordinal = live.details.version - 1;
  record.entry.author = author;
  record.entry.body = std::move(body);
  record.entry.time_ms = live.details.updated_at;
  record.client_id = std::move(client_id);
  record.hash = hash;
  return record.entry;
}

void Service::know(LiveDocument& live, const std::string& author, const std::string& id,
                   LiveDocument::Known answer) const {
  std::string name = known_name(author, id);
  if (!live.known.insert_or_assign(name, answer).second) {
    return;
  }
  live.known_order.push_back(std::move(name));
  if (live.known_order.size() > kKnownMax) {
    live.known.erase(live.known_order.front());
    live.known_order.pop_front();
  }
}

const LiveDocument::Known* Service::known(const LiveDocument& live, const std::string& author, const std::string& id) {
  const auto found = live.known.find(known_name(author, id));
  return found == live.known.end() ? nullptr : &found->second;
}

void Service::remember(LiveDocument& live, int64_t version, std::string body) {
  live.recent.insert_or_assign(version, std::move(body));
  if (live.recent.size() > kRecentMax) {
    live.recent.erase(live.recent.begin());
  }
}

Task<> Service::write_batches(LivePtr live) {
  while (live->next) {
    const BatchPtr batch = std::exchange(live->next, nullptr);
    live->writing = batch;
    batch->stream = live->details.stream;
    if (batch->details_changed || batch->lock_changed) {
      batch->details = live->details;
    }
    add_snapshot(*live, *batch);
    const Instant start = clock_.now();
    const TenantId& tenant = live->key.tenant;
    auto stored = co_await database_.write(
        [&batch, &tenant](Transaction& tx) -> Status { return store_batch(tx, tenant, *batch); });
    if (stored.ok()) {
      append_seconds_.observe(std::chrono::duration<double>(clock_.now() - start).count());
      committed(*live, *batch);
      live->writing = nullptr;
      batch->settle(Batch::End::committed);
    } else {
      co_await not_committed(live, batch, stored.error());
    }
  }
  live->scheduled = false;
}

void Service::committed(LiveDocument& live, Batch& batch) {
  live.used_at = Worker::current()->now();
  live.told_at = live.used_at;
  const stream::StreamRef stream = ref(live);
  for (const Record& record : batch.records) {
    engine_.fanout().publish(stream, record.entry.seq, stream::Frame::text(event_json(live.key.id, record.entry)));
    const auto kind = static_cast<EntryKind>(record.entry.kind);
    operations_total_.add(kind == EntryKind::operation_applied ? 1 : 0);
    conflicts_total_.add(kind == EntryKind::conflict_detected ? 1 : 0);
  }
  if (!batch.records.empty()) {
    live.committed_head = batch.records.back().entry.seq;
    live.committed_version = version_of(batch.records.back().entry.ordinal);
  }
  for (const auto& [user, seq] : batch.expelled) {
    engine_.fanout().expel(stream, UserKey(live.key.tenant, UserId(user)), seq);
    end_subscriptions(live, user, fail(Code::forbidden, "the right to read was lost"));
  }
  if (batch.cleared) {
    engine_.fanout().expel(stream, UserKey(live.key.tenant, UserId()), batch.records.back().entry.seq);
    end_subscriptions(live, {}, fail(Code::not_found, "the document was deleted"));
  }
  if (batch.snapshot && !batch.cleared) {
    live.snapshot_version = batch.snapshot->version;
    if (!std::exchange(live.compacting, true)) {
      spawn(compact(live.shared_from_this()));
    }
  }
}

// The state that decisions were made from is no more. Whoever was decided on it decides again, but for what may have been
// stored.
Task<> Service::not_committed(LivePtr live, BatchPtr batch, Error error) {
  const bool certain = error.code == Code::conflict && (error.field == kRepeated || error.field == kMoved);
  std::optional<Record> repeated;
  if (error.field == kRepeated) {
    repeated = batch->records[static_cast<size_t>(std::stoll(error.text))];
  } else {
    log_warn("document.not_stored", {{"document", live->key.id}, {"error", error.text}});
  }
  const BatchPtr behind = std::exchange(live->next, nullptr);
  live->writing = nullptr;
  forget_copy(*live);
  if (repeated) {
    // An answer that memory had forgotten. Found again, so that it is there when its command looks for it.
    auto first = co_await database_.read([&](Transaction& tx) -> Result<std::optional<store::Stored>> {
      return store::entry_of(tx, batch->stream, repeated->entry.author, repeated->client_id);
    });
    if (first.ok() && *first) {
      const LiveDocument::Known answer{(*first)->entry.seq, (*first)->hash, 0};
      live->found_again.emplace(known_name(repeated->entry.author, repeated->client_id), answer);
      if (live->loaded) {
        know(*live, repeated->entry.author, repeated->client_id, answer);
      }
    }
  }
  batch->settle(certain ? Batch::End::again : Batch::End::failed);
  if (behind) {
    behind->settle(Batch::End::again);
  }
}

// A snapshot is as large as the document: the larger it is, the more operations pass before the next one.
void Service::add_snapshot(LiveDocument& live, Batch& batch) {
  if (!live.content || batch.cleared) {
    return;
  }
  const auto by_size = static_cast<int64_t>(live.snapshot_bytes / kSnapshotShare);
  if (live.details.version - live.snapshot_version < std::max(options_.snapshot_every, by_size)) {
    return;
  }
  Snapshot snapshot;
  snapshot.version = live.details.version;
  snapshot.seq = live.details.head;
  snapshot.state = live.content->snapshot();
  live.snapshot_bytes = snapshot.state.size();
  batch.snapshot = std::move(snapshot);
}

// Removes what lies behind the floor, a part at a time.
Task<> Service::compact(LivePtr live) {
  for (bool more = true; more;) {
    const int64_t version = live->snapshot_version - options_.compact_after;
    const stream::StreamId stream = live->details.stream;
    struct Compacted {
      bool more = false;
      int64_t floor_version = 0;
      int64_t floor = 0;
    };
    auto compacted = co_await database_.write([&](Transaction& tx) -> Result<Compacted> {
      Compacted result;
      result.more = version > 0 && store::compact(tx, stream, version, kCompactStep);
      store::floor_of(tx, stream, result.floor, result.floor_version);
      return result;
    });
    // Or there is a newer snapshot meanwhile, which found this under way.
    const int64_t next = live->snapshot_version - options_.compact_after;
    more = compacted.ok() && (compacted->more || next > std::max<int64_t>(version, 0));
    if (compacted.ok() && live->loaded) {
      live->details.floor = compacted->floor;
      live->details.floor_version = compacted->floor_version;
    }
  }
  live->compacting = false;
}

Result<stream::Page> Service::read_page(Transaction& tx, const stream::PageRequest& request) {
  const auto row = stream::stream_by_id(tx, request.id);
  const int64_t after = std::max(request.after, row ? row->floor : int64_t{0});
  const auto entries = store::entries_after(tx, request.id, after, request.until, request.limit, request.bytes);
  stream::Page page;
  size_t held = 0;
  for (const store::Stored& stored : entries) {
    held += stored.entry.body.size();
    page.entries.push_back({stored.entry.seq, stream::Frame::text(event_json(request.key.name.str(), stored.entry))});
  }
  page.complete = held < request.bytes && entries.size() < static_cast<size_t>(request.limit);
  return page;
}

Document Service::describe(const LiveDocument& live, bool with_content) const {
  Document document;
  document.id = live.key.id;
  document.name = live.details.name;
  document.type = live.details.type;
  document.state = live.details.state;
  document.version = live.details.version;
  document.seq = live.details.head;
  if (with_content && live.content) {
    document.content = live.content->content();
  }
  document.created_by = live.details.created_by;
  document.created_at = live.details.created_at;
  document.updated_at = live.details.updated_at;
  document.updated_by = live.details.updated_by;
  document.active_users = live.active_user_list();
  document.metadata = live.details.metadata;
  document.epoch = epoch_;
  return document;
}

}  // namespace tidemark::document
