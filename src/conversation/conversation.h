// The conversation room's door: 1:1 and group chat.
//
// A conversation is a stream of entries and a list of members. Its live state is on the worker that owns its id; every
// command enters there, is checked against the members, and is appended in the order it came.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace tidemark::conversation {

extern const std::span<const storage::Migration> kMigrations;

struct ConversationOptions {
  size_t content_bytes = 256 * 1024;
  size_t data_bytes = 64 * 1024;
  size_t members = 10000;
  size_t receipt_members = 100;  // receipts are pushed in conversations of at most this many
  std::chrono::milliseconds store_receipts_every{};
  std::chrono::milliseconds typing_ends{10000};
  size_t cached = 50000;  // conversations kept in memory per worker
};

// One stream that a connection follows, with what planning its replay needs.
struct Followable {
  stream::StreamKey key;
  stream::StreamRef ref;
  int64_t head = 0;
  int64_t floor = 0;
  int64_t first = 1;  // the first entry that this user may get
  int64_t updated_at = 0;
  bool deleted = false;  // only devices that were there have a last entry to get
};

class Service;

class Conversations {
 public:
  Conversations(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
                device::Devices& devices, const Clock& clock, Random& random, ConversationOptions options,
                MetricRegistry& metrics);
  ~Conversations();

  void add_commands(command::Table& table);
  // From now on, from one thread. Only members and receipt_members may differ from what wiring gave.
  void set_options(const ConversationOptions& options);

  // Inside a transaction: the user's conversations, most recently active first.
  std::vector<Followable> followables(storage::Transaction& tx, const UserKey& user) const;
  // For presence: which of `users` share a conversation with the viewer.
  Task<Result<std::vector<bool>>> share(UserKey viewer, std::vector<std::string> users);
  // A device has everything up to `seq`: the user's delivered marker moves.
  void delivered(const UserKey& user, const stream::StreamKey& key, int64_t seq);
  // Receipts that are not stored yet are stored now (drain).
  Task<> store_all();
  // In a retention step: what is kept beside entries that are gone.
  static void forget_states(storage::Transaction& tx, stream::StreamId stream, int64_t floor);

 private:
  std::unique_ptr<Service> service_;
};

}  // namespace tidemark::conversation
