// Following a document from a WebSocket connection, and awareness.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

constexpr int64_t kOperationsAtOnce = 1000;
constexpr size_t kBytesAtOnce = 1024 * 1024;

}  // namespace

// On the connection's worker: which documents it follows is counted there.
Task<Result<Service::Following>> Service::follow(Caller caller, std::string doc_id,
                                                 std::optional<int64_t> since_version) {
  Worker& from = *Worker::current();
  Shard& here = *shards_[static_cast<size_t>(from.index())];
  const DocumentKey key{caller.tenant, std::move(doc_id)};
  std::set<DocumentKey>& followed = here.followed[caller.connection];
  if (followed.size() >= options_.subscriptions && !followed.contains(key)) {
    co_return fail(Code::too_large, "at most " + std::to_string(options_.subscriptions) + " documents per connection");
  }
  const bool fresh = followed.insert(key).second;
  auto following = co_await follow_on_owner(caller, key, since_version);
  co_await from.enter();
  if (!following.ok() && fresh) {
    forget_followed(here, caller.connection, key);
  }
  co_return following;
}

void Service::forget_followed(Shard& shard, uint64_t connection, const DocumentKey& key) {
  const auto found = shard.followed.find(connection);
  if (found != shard.followed.end() && found->second.erase(key) > 0 && found->second.empty()) {
    shard.followed.erase(found);
  }
}

Task<Result<Service::Following>> Service::follow_on_owner(Caller caller, DocumentKey key,
                                                          std::optional<int64_t> since_version) {
  co_await owner(key).enter();
  for (;;) {
    auto opened = co_await open(caller, key, Right::read);
    if (!opened.ok()) {
      co_return opened.error();
    }
    const LivePtr live = opened->live;
    Following following;
    following.document = describe(*live, !since_version);
    const BatchPtr batch = live->newest_batch();
    const Batch::End end = batch ? co_await batch->ended() : Batch::End::committed;
    if (end == Batch::End::again) {
      continue;
    }
    if (end == Batch::End::failed) {
      co_return fail(Code::unavailable);
    }
    following.version = following.document.version;
    int64_t position = following.document.seq;
    if (since_version) {
      auto missed = co_await operations_since(live, *since_version);
      if (!missed.ok()) {
        co_return missed.error();
      }
      following.operations.emplace();
      position = missed->position;
      following.version = *since_version;
      for (Operation& operation : missed->operations) {
        following.version = operation.version;
        following.operations->push_back(std::move(operation));
      }
    }
    auto again = co_await open(caller, key, Right::read);
    if (!again.ok()) {
      co_return again.error();
    }
    if (!live->subscribers.contains(caller.connection)) {
      Subscriber subscriber;
      subscriber.user = caller.key();
      subscriber.connection.id = caller.connection;
      subscriber.connection.worker = caller.worker;
      subscriber.session = caller.session.str();
      add_subscriber(*live, caller.connection, std::move(subscriber));
      watch_connection(*live, caller);
    }
    following.users = live->active_user_list();
    following.follow = follow_request(*live, position);
    co_return std::move(following);
  }
}

// The connection may have gone before it was known here that it follows: then its end was of no interest.
void Service::watch_connection(const LiveDocument& live, const Caller& caller) {
  struct Asked {
    DocumentKey key;
    UserKey user;
    uint64_t connection;
    int worker;
  };
  auto asked = std::make_unique<Asked>(Asked{live.key, caller.key(), caller.connection, caller.worker});
  Worker& home = sessions_.home_of(asked->user);
  home.post([this, asked = std::move(asked)]() mutable {
    const auto& connections = sessions_.connections_of(asked->user);
    const bool there = std::any_of(connections.begin(), connections.end(),
                                   [&](const session::Connection& one) { return one.id == asked->connection; });
    if (there) {
      return;
    }
    workers_.at(asked->worker).post([this, worker = asked->worker, connection = asked->connection] {
      shards_[static_cast<size_t>(worker)]->followed.erase(connection);
    });
    Worker& worker = owner(asked->key);
    worker.post([this, gone = std::move(asked)] {
      const auto& documents = shards_[static_cast<size_t>(owner(gone->key).index())]->documents;
      if (const auto found = documents.find(gone->key); found != documents.end()) {
        remove_subscriber(*found->second, gone->connection);
      }
    });
  });
}

// What a WebSocket gets at once; the rest comes as events.
Task<Result<Service::Missed>> Service::operations_since(LivePtr live, int64_t since_version) {
  if (since_version < 1 || since_version > live->committed_version) {
    co_return invalid_field("since_version", "1 to the newest version");
  }
  const DocumentKey& key = live->key;
  co_return co_await database_.read([&](Transaction& tx) -> Result<Missed> {
    const auto details = store::find(tx, key.tenant, key.id);
    if (!details || since_version < details->floor_version) {
      return Error{Code::stale_version, "operations from there on are no longer kept", "since_version", 0};
    }
    Missed missed;
    missed.position = store::seq_of_version(tx, *details, since_version);
    for (const store::Stored& stored :
         store::operations_after(tx, details->stream, missed.position, kOperationsAtOnce, kBytesAtOnce)) {
      missed.position = stored.entry.seq;
      if (auto operation = operation_in(stored.entry.body)) {
        missed.operations.push_back(std::move(*operation));
      }
    }
    return missed;
  });
}

Task<Result<stream::StreamKey>> Service::unfollow(Caller caller, std::string doc_id) {
  const DocumentKey key{caller.tenant, std::move(doc_id)};
  forget_followed(*shards_[static_cast<size_t>(Worker::current()->index())], caller.connection, key);
  co_await owner(key).enter();
  const auto& documents = shards_[static_cast<size_t>(owner(key).index())]->documents;
  const auto found = documents.find(key);
  if (found == documents.end() || !found->second->subscribers.contains(caller.connection)) {
    co_return no_such_document();
  }
  remove_subscriber(*found->second, caller.connection);
  co_return stream_key(key);
}

Task<Status> Service::awareness(Caller caller, std::string doc_id, std::string state) {
  const DocumentKey key{caller.tenant, std::move(doc_id)};
  auto opened = co_await open(caller, key, Right::read);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const auto found = opened->live->subscribers.find(caller.connection);
  if (caller.connection == 0 || found == opened->live->subscribers.end()) {
    co_return fail(Code::forbidden, "subscribe to the document first");
  }
  found->second.has_awareness = state != "null";
  tell_awareness(*opened->live, caller.connection, found->second, state);
  co_return Status();
}

}  // namespace tidemark::document
