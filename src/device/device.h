// The device room's door: what each device has, and what a user's devices tell each other.
//
// Cursors: one number per device and stream, "everything up to here is safe on this device". They are gathered on the
// worker that owns the user and stored in batches; a crash loses the newest few, and the device then receives those
// entries once more, which it knows by their seq.
// The own stream (`@self`): durable events for all devices of one user.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "session/session.h"
#include "stream/store.h"

namespace tidemark::device {

extern const std::span<const storage::Migration> kMigrations;

struct DeviceOptions {
  std::chrono::milliseconds store_every{};
  std::chrono::milliseconds forget_after{};  // a device not seen for this long loses its cursors
  size_t data_bytes = 64 * 1024;
};

// An event on a user's own stream, stored by append_event() and told to live devices by publish_event().
struct OwnEvent {
  UserKey user;
  DeviceId device;
  std::string event;
  std::string data = "{}";  // JSON object
  std::string client_id;    // idempotency key, empty: none
  int64_t hash = 0;
};

struct StoredEvent {
  OwnEvent event;
  stream::StreamId stream{};
  stream::Appended appended;
};

class Devices {
 public:
  Devices(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
          const Clock& clock, DeviceOptions options);
  ~Devices();

  void add_commands(command::Table& table);
  void start();

  // `confirmed(user, key, seq)`: called on the worker that reports a confirmation. At wiring.
  using ConfirmListener = std::function<void(const UserKey&, const stream::StreamKey&, int64_t seq)>;
  void set_confirm_listener(ConfirmListener listener) { listener_ = std::move(listener); }

  stream::StreamRef own_ref(const UserKey& user, stream::StreamId id) const;
  static stream::StreamKey own_key(const UserKey& user) { return {user.tenant, stream::StreamKind::self, user.user.shared()}; }

  // Everything up to `seq` is safe on the device. Any worker; stored with the next batch.
  void confirm(const UserKey& user, const DeviceId& device, const stream::StreamRef& stream,
               const stream::StreamKey& key, int64_t seq);
  // What confirm() gathered for the device is stored now: called before its cursors are read for a new connection.
  Task<Status> settle(UserKey user, DeviceId device);
  // What is kept about a user, for the export; and its removal, a bounded part at a time: returns how many rows went.
  // Forget what waits first. The own stream's entries go, its row stays under another name.
  static std::vector<storage::PersonalPart> personal_parts();
  static Result<int64_t> forget_some(storage::Transaction& tx, const UserKey& user, const std::string& pseudonym);
  // What confirm() gathered for the user's devices is dropped. Ends on the user's home worker.
  Task<> drop_unstored(UserKey user);
  // Everything that waits for its batch is stored now (drain).
  Task<> store_all();

  // Inside transactions.
  using Cursors = std::unordered_map<stream::StreamId, int64_t>;
  static Cursors cursors(storage::Transaction& tx, const UserKey& user, const DeviceId& device);
  static void seen(storage::Transaction& tx, const UserKey& user, const DeviceId& device, int64_t now_ms);
  static stream::StreamRow open_own_stream(storage::Transaction& tx, const UserKey& user, int64_t now_ms);
  Result<StoredEvent> append_event(storage::Transaction& tx, OwnEvent event) const;
  // After the commit; `origin` is not told.
  void publish_event(const StoredEvent& stored, stream::OutletId origin = 0);

 private:
  struct Shard;

  Task<> store(Shard* shard);
  Task<> forget_devices();
  Task<Result<command::Reply>> sync(command::Caller caller, command::Request request);
  Task<Result<command::Reply>> list(command::Caller caller, command::Request request);
  static Result<stream::Page> read_page(storage::Transaction& tx, const stream::PageRequest& request);

  WorkerPool& workers_;
  storage::Database& database_;
  stream::Engine& engine_;
  session::Sessions& sessions_;
  const Clock& clock_;
  const DeviceOptions options_;
  ConfirmListener listener_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace tidemark::device
