#include <algorithm>

#include "core/json.h"
#include "core/log.h"
#include "device/device.h"
#include "device/device_store.h"

namespace tidemark::device {
namespace {

using command::Caller;
using command::FieldType;
using command::Reply;
using command::Request;
using command::Where;
using storage::Transaction;

constexpr auto kForgetEvery = std::chrono::minutes(10);
constexpr int kForgetPerStep = 100;

std::string event_json(const stream::Entry& entry, bool as_frame) {
  std::string json;
  JsonWriter writer(json);
  writer.begin();
  if (as_frame) {
    writer.field("type", "sync");
  }
  writer.field("event", entry.content)
      .raw("data", entry.body)
      .field("seq", entry.seq)
      .field("timestamp", entry.time_ms)
      .end();
  return json;
}

struct DeviceKey {
  UserKey user;
  DeviceId device;
  friend bool operator==(const DeviceKey&, const DeviceKey&) = default;
};
struct DeviceKeyHash {
  size_t operator()(const DeviceKey& key) const {
    return std::hash<UserKey>{}(key.user) * 31 + std::hash<DeviceId>{}(key.device);
  }
};

}  // namespace

// Owner: its worker, which is home to the users in it.
struct Devices::Shard {
  using Pending = std::unordered_map<DeviceKey, Cursors, DeviceKeyHash>;

  Shard(Devices& devices, Worker& of)
      : self(devices),
        worker(of),
        store_timer([](void* context) { spawn(static_cast<Shard*>(context)->flush()); }, this),
        forget_timer([](void* context) { spawn(static_cast<Shard*>(context)->self.forget_devices()); }, this) {}

  Task<> flush() { return self.store(this); }
  Task<Status> write(const Pending& batch);
  void put_back(const Pending& batch);  // what could not be written, for the next batch

  Devices& self;
  Worker& worker;
  Pending pending;  // confirmed and not stored
  std::vector<const Pending*> storing;  // batches on their way to the store
  Timer store_timer;
  Timer forget_timer;  // used by the first worker only
};

Devices::Devices(WorkerPool& workers, storage::Database& database, stream::Engine& engine,
                 session::Sessions& sessions, const Clock& clock, DeviceOptions options)
    : workers_(workers), database_(database), engine_(engine), sessions_(sessions), clock_(clock), options_(options) {
  for (int i = 0; i < workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, workers.at(i)));
  }
  engine_.set_reader(stream::StreamKind::self, &Devices::read_page);
}

Devices::~Devices() = default;

void Devices::start() {
  workers_.at(0).post([this] { spawn(forget_devices()); });
}

stream::StreamRef Devices::own_ref(const UserKey& user, stream::StreamId id) const {
  return {id, sessions_.home_of(user).index()};
}

void Devices::confirm(const UserKey& user, const DeviceId& device, const stream::StreamRef& stream,
                      const stream::StreamKey& key, int64_t seq) {
  if (listener_) {
    listener_(user, key, seq);
  }
  Worker& home = sessions_.home_of(user);
  const auto note = [this, &home](const DeviceKey& key_of_device, stream::StreamId id, int64_t confirmed) {
    Shard& shard = *shards_[static_cast<size_t>(home.index())];
    int64_t& cursor = shard.pending[key_of_device][id];
    cursor = std::max(cursor, confirmed);
    if (!shard.store_timer.armed()) {
      home.arm(shard.store_timer, options_.store_every);
    }
  };
  if (home.is_current()) {
    note({user, device}, stream.id, seq);
  } else {
    home.post([note, key_of_device = std::make_unique<DeviceKey>(DeviceKey{user, device}), id = stream.id, seq] {
      note(*key_of_device, id, seq);
    });
  }
}

Task<> Devices::store(Shard* shard) {
  Shard::Pending pending;
  pending.swap(shard->pending);
  if (pending.empty()) {
    co_return;
  }
  const Status stored = co_await shard->write(pending);
  if (!stored.ok()) {
    // They are tried again with the next batch; until then the devices would get these entries once more.
    log_warn("device.cursors_not_stored", {{"devices", pending.size()}});
    shard->put_back(pending);
  }
}

void Devices::Shard::put_back(const Pending& batch) {
  for (const auto& [key, cursors] : batch) {
    for (const auto& [stream, seq] : cursors) {
      int64_t& cursor = pending[key][stream];
      cursor = std::max(cursor, seq);
    }
  }
  if (!store_timer.armed()) {
    worker.arm(store_timer, self.options_.store_every);
  }
}

Task<Status> Devices::Shard::write(const Pending& batch) {
  const int64_t now = self.clock_.unix_ms();
  storing.push_back(&batch);
  const Status stored = co_await self.database_.write([&](Transaction& tx) -> Status {
    for (const auto& [key, cursors] : batch) {
      Devices::seen(tx, key.user, key.device, now);
      for (const auto& [stream, seq] : cursors) {
        store::raise_cursor(tx, key.user, key.device, stream, seq);
      }
    }
    return {};
  });
  std::erase(storing, &batch);
  co_return stored;
}

Task<Status> Devices::settle(UserKey user, DeviceId device) {
  Worker& from = *Worker::current();
  Worker& home = sessions_.home_of(user);
  co_await home.enter();
  Shard& shard = *shards_[static_cast<size_t>(home.index())];
  Status status;
  const DeviceKey key{user, device};
  Shard::Pending own;
  const auto gather = [&own, &key](const Shard::Pending& batch) {
    if (const auto found = batch.find(key); found != batch.end()) {
      for (const auto& [stream, seq] : found->second) {
        int64_t& cursor = own[key][stream];
        cursor = std::max(cursor, seq);
      }
    }
  };
  // What is on its way to the store is written once more, behind it: the device's snapshot must not be older.
  std::for_each(shard.storing.begin(), shard.storing.end(), [&gather](const auto* batch) { gather(*batch); });
  gather(shard.pending);
  shard.pending.erase(key);
  if (!own.empty()) {
    status = co_await shard.write(own);
    if (!status.ok()) {
      shard.put_back(own);
    }
  }
  co_await from.enter();
  co_return status;
}

Task<> Devices::drop_unstored(UserKey user) {
  Worker& home = sessions_.home_of(user);
  co_await home.enter();
  Shard& shard = *shards_[static_cast<size_t>(home.index())];
  std::erase_if(shard.pending, [&](const auto& one) { return one.first.user == user; });
}

Task<> Devices::store_all() {
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    co_await store(shard.get());
  }
}

// Runs on the first worker, in small steps.
Task<> Devices::forget_devices() {
  const int64_t before = clock_.unix_ms() - options_.forget_after.count();
  const auto gone = co_await database_.write(
      [before](Transaction& tx) -> Result<int64_t> { return store::forget(tx, before, kForgetPerStep); });
  const bool more = gone.ok() && *gone == kForgetPerStep;
  shards_[0]->worker.arm(shards_[0]->forget_timer,
                         more ? std::chrono::nanoseconds(std::chrono::milliseconds(50)) : kForgetEvery);
}

stream::StreamRow Devices::open_own_stream(Transaction& tx, const UserKey& user, int64_t now_ms) {
  return stream::open_stream(tx, own_key(user), now_ms);
}

Result<StoredEvent> Devices::append_event(Transaction& tx, OwnEvent event) const {
  const int64_t now = clock_.unix_ms();
  const stream::StreamRow row = open_own_stream(tx, event.user, now);
  stream::NewEntry entry;
  entry.author = event.user.user.str();
  entry.device = event.device.str();
  entry.client_id = event.client_id;
  entry.hash = event.hash;
  entry.content = event.event;
  entry.body = event.data;
  entry.time_ms = now;
  const auto appended = stream::append(tx, row.id, entry);
  if (!appended.ok()) {
    return appended.error();
  }
  return StoredEvent{std::move(event), row.id, *appended};
}

void Devices::publish_event(const StoredEvent& stored, stream::OutletId origin) {
  if (stored.appended.duplicate) {
    return;
  }
  stream::Entry entry;
  entry.seq = stored.appended.seq;
  entry.content = stored.event.event;
  entry.body = stored.event.data;
  entry.time_ms = stored.appended.time_ms;
  engine_.fanout().publish(own_ref(stored.event.user, stored.stream), entry.seq,
                           stream::Frame::text(event_json(entry, true)), origin);
}

Result<stream::Page> Devices::read_page(Transaction& tx, const stream::PageRequest& request) {
  // Events are small (limits.data): a page of them is bounded by its number.
  stream::Page page;
  for (const stream::Entry& entry : store::events(tx, request.id, request.after, 0, request.until, request.limit)) {
    page.entries.push_back({entry.seq, stream::Frame::text(event_json(entry, true))});
  }
  page.complete = page.entries.size() < static_cast<size_t>(request.limit);
  return page;
}

void Devices::add_commands(command::Table& table) {
  const auto data_max = static_cast<int64_t>(options_.data_bytes);
  const auto sync_handler = [this](Caller caller, Request request) {
    return sync(std::move(caller), std::move(request));
  };
  const auto fields = [data_max](bool id_required) {
    return command::Fields{{.name = "id", .type = FieldType::client_id, .required = id_required},
                           {.name = "event", .type = FieldType::text, .required = true, .max = 128},
                           {.name = "data", .type = FieldType::object, .required = true, .max = data_max}};
  };
  table.add({.type = "sync",
             .summary = "Tells the user's other devices something, durably",
             .fields = fields(true),
             .rate = command::Rate::durable,
             .handler = sync_handler});
  table.add({.method = "POST",
             .path = "/sync",
             .summary = "Tells the user's devices something, durably",
             .fields = fields(false),
             .rate = command::Rate::durable,
             .handler = sync_handler});
  table.add({.method = "GET",
             .path = "/sync",
             .summary = "Events of the caller's own stream",
             .fields = {{.name = "after", .type = FieldType::integer, .where = Where::query, .help = "seq"},
                        {.name = "since_time", .type = FieldType::integer, .where = Where::query,
                         .help = "Unix milliseconds"},
                        {.name = "limit", .type = FieldType::integer, .max = 200, .min = 1, .where = Where::query}},
             .handler = [this](Caller caller, Request request) {
               return list(std::move(caller), std::move(request));
             }});
}

Task<Result<Reply>> Devices::sync(Caller caller, Request request) {
  OwnEvent event;
  event.user = caller.key();
  event.device = caller.device;
  event.event = request.text("event");
  event.data = request.text("data");
  event.client_id = request.text("id");
  event.hash = static_cast<int64_t>(hash_pair(event.event, event.data));
  // From the home worker, so that the user's commands keep their order.
  co_await sessions_.home_of(event.user).enter();
  const auto stored = co_await database_.write(
      [&](Transaction& tx) -> Result<StoredEvent> { return append_event(tx, event); });
  if (!stored.ok()) {
    co_return stored.error();
  }
  publish_event(*stored, caller.connection);
  Reply reply;
  reply.type = "sent";
  reply.created = !stored->appended.duplicate;
  reply.stream = own_ref(event.user, stored->stream);
  reply.seq = stored->appended.seq;
  JsonWriter fields(reply.fields);
  fields.field("conversation_id", "@self")
      .field("message_id", "@self." + std::to_string(stored->appended.seq))
      .field("seq", stored->appended.seq)
      .field("timestamp", stored->appended.time_ms);
  if (stored->appended.duplicate) {
    fields.field("duplicate", true);
  }
  reply.data = "{" + reply.fields + "}";
  co_return reply;
}

Task<Result<Reply>> Devices::list(Caller caller, Request request) {
  const int64_t limit = request.integer("limit", 50);
  const auto events = co_await database_.read([&](Transaction& tx) -> Result<std::vector<stream::Entry>> {
    const auto row = stream::find_stream(tx, own_key(caller.key()));
    if (!row) {
      return std::vector<stream::Entry>();
    }
    return store::events(tx, row->id, request.integer("after"), request.integer("since_time"), row->head, limit + 1);
  });
  if (!events.ok()) {
    co_return events.error();
  }
  std::string list = "[";
  for (size_t i = 0; i < events->size() && i < static_cast<size_t>(limit); ++i) {
    list += i > 0 ? "," : "";
    list += event_json((*events)[i], false);
  }
  Reply reply;
  JsonWriter(reply.data)
      .begin()
      .raw("events", list + "]")
      .field("has_more", events->size() > static_cast<size_t>(limit))
      .end();
  co_return reply;
}

}  // namespace tidemark::device
