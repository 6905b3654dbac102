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
  std::chrono::seconds cached_for{60};  // after their last use
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

// How far the erasure of a user has come.
struct EraseProgress {
  int64_t stream = 0;
  int64_t seq = 0;
  bool creators = false;  // the entries are done
  bool done = false;
  int64_t messages = 0;  // whose text was removed
  int64_t entries = 0;   // that no longer name the user
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
  void start();  // begins to write the full-text index; after the workers have started

  // Inside a transaction: the user's conversations, most recently active first.
  std::vector<Followable> followables(storage::Transaction& tx, const UserKey& user) const;
  // For presence: which of `users` share a conversation with the viewer.
  Task<Result<std::vector<bool>>> share(UserKey viewer, std::vector<std::string> users);
  // Whom the user shares a conversation with, those of recently active conversations first; not the user.
  Task<Result<std::vector<std::string>>> contacts(UserKey user, size_t limit);
  // A device has everything up to `seq`: the user's delivered marker moves.
  void delivered(const UserKey& user, const stream::StreamKey& key, int64_t seq);
  // Receipts that are not stored yet are stored now (drain).
  Task<> store_all();
  // What is kept about a user, for the export.
  static std::vector<storage::PersonalPart> personal_parts();
  // Erasure, in this order, each call a small step. leave_one: the user leaves a conversation, with the rule for owners;
  // false: there is none. erase_some: goes on from `progress` until `done`; messages become deleted ones, which members
  // are told, and the id becomes `pseudonym` everywhere.
  Task<Result<bool>> leave_one(UserKey user);
  Task<Result<EraseProgress>> erase_some(UserKey user, std::string pseudonym, EraseProgress progress);
  // In a write transaction: a part of the work after which the full-text index holds nothing of removed messages in its
  // file. False: that was all.
  static bool tidy_index(storage::Transaction& tx, bool first);
  // In a retention step: what is kept beside entries that are gone.
  static void forget_states(storage::Transaction& tx, stream::StreamId stream, int64_t floor);

 private:
  std::unique_ptr<Service> service_;
};

}  // namespace tidemark::conversation
