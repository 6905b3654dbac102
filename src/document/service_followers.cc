// Followers: who is told of a document's events, from where on, and until when.
#include <algorithm>

#include "core/log.h"
#include "document/service.h"

namespace tidemark::document {

using storage::Transaction;

stream::FollowRequest Service::follow_request(const LiveDocument& live, int64_t position) const {
  stream::FollowRequest request;
  request.ref = ref(live);
  request.key = stream_key(live.key);
  request.head = live.committed_head;
  request.as_of = Worker::current()->now();
  request.position = position;
  return request;
}

void Service::add_subscriber(LiveDocument& live, uint64_t id, Subscriber subscriber) {
  Shard& shard = shard_of(live);
  const std::string user = subscriber.user.user.str();
  if (subscriber.connection.id != 0) {
    shard.following[id].insert(live.key);
  }
  live.subscribers.insert_or_assign(id, std::move(subscriber));
  shard.subscribers[live.key.tenant] += 1;
  subscribers_active_.add(1);
  bound_.fetch_add(1, std::memory_order_relaxed);
  if (!user.empty() && ++live.active_users[user] == 1) {
    tell(live, "user_joined", user);
  }
  if (!live.bookmark_timer.armed()) {
    shard.worker.arm(live.bookmark_timer, options_.bookmark);
  }
}

void Service::remove_subscriber(LiveDocument& live, uint64_t id) {
  auto node = live.subscribers.extract(id);
  if (node.empty()) {
    return;
  }
  Shard& shard = shard_of(live);
  if (const auto found = shard.following.find(id); found != shard.following.end()) {
    found->second.erase(live.key);
    if (found->second.empty()) {
      shard.following.erase(found);
    }
  }
  if (const auto count = shard.subscribers.find(live.key.tenant); --count->second == 0) {
    shard.subscribers.erase(count);
  }
  subscribers_active_.add(-1);
  bound_.fetch_sub(1, std::memory_order_relaxed);
  live.used_at = shard.worker.now();
  const Subscriber& subscriber = node.mapped();
  if (subscriber.has_awareness) {
    tell_awareness(live, id, subscriber, "null");
  }
  const std::string& user = subscriber.user.user.str();
  if (const auto active = live.active_users.find(user); active != live.active_users.end() && --active->second == 0) {
    live.active_users.erase(active);
    tell(live, "user_left", user);
  }
}

void Service::end_subscriptions(LiveDocument& live, const std::string& user, const Error& why) {
  std::vector<uint64_t> ids;
  for (const auto& [id, subscriber] : live.subscribers) {
    if (user.empty() || subscriber.user.user.str() == user) {
      ids.push_back(id);
    }
  }
  for (const uint64_t id : ids) {
    const Subscriber subscriber = live.subscribers.at(id);
    remove_subscriber(live, id);
    if (subscriber.follower) {
      subscriber.follower->worker().post(
          [follower = subscriber.follower, error = std::make_unique<Error>(why)] { follower->end(*error); });
      continue;
    }
    workers_.at(subscriber.connection.worker).post([this, worker = subscriber.connection.worker, id, key = live.key] {
      forget_followed(*shards_[static_cast<size_t>(worker)], id, key);
    });
    sessions_.door().unfollow(subscriber.connection, stream_key(live.key));
    std::string json;
    JsonWriter(json)
        .begin()
        .field("type", "error")
        .field("document_id", live.key.id)
        .field("code", row_of(why.code).name)
        .field("error", why.text)
        .end();
    sessions_.door().signal(subscriber.connection, stream::Frame::text(json));
  }
}

void Service::tell(LiveDocument& live, std::string_view event, const std::string& user) {
  if (live.loaded && live.exists) {
    engine_.fanout().signal(ref(live),
                            stream::Frame::text(told_json(live.key.id, event, user, 0, live.committed_version,
                                                          clock_.unix_ms(), {})),
                            0, user.empty() ? std::nullopt : std::optional(UserId(user)));
  }
}

void Service::tell_awareness(LiveDocument& live, uint64_t id, const Subscriber& subscriber, std::string_view state) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("type", "awareness")
      .field("document_id", live.key.id)
      .field("user_id", subscriber.user.user.str())
      .field("session_id", subscriber.session)
      .field("subscriber_id", std::to_string(id))
      .raw("state", state)
      .end();
  engine_.fanout().signal(ref(live), stream::Frame::text(json), id);
}

// After a silence: where everybody is who has been handed everything.
void Service::bookmark_due(LiveDocument& live) {
  if (live.subscribers.empty() || !live.loaded || !live.exists) {
    return;
  }
  Worker& worker = owner(live.key);
  const auto silent = worker.now() - live.told_at;
  if (silent < options_.bookmark) {
    worker.arm(live.bookmark_timer, options_.bookmark - silent);
    return;
  }
  live.told_at = worker.now();
  engine_.fanout().signal_at(ref(live), live.committed_head,
                             stream::Frame::text(told_json(live.key.id, "bookmark", {}, live.committed_head,
                                                           live.committed_version, clock_.unix_ms(), {})));
  worker.arm(live.bookmark_timer, options_.bookmark);
}

// Of committed entries. 0 and 0: from now on.
Task<Result<Service::Place>> Service::place_of(LivePtr live, int64_t from_version, int64_t from_seq) {
  if (from_version < 0 || from_version > live->committed_version) {
    co_return invalid_field("from_version", "above the newest version");
  }
  if (from_seq < 0 || from_seq > live->committed_head) {
    co_return invalid_field("from_seq", "above the newest entry");
  }
  if (from_version == 0 && from_seq == 0) {
    co_return Place{live->committed_head, live->committed_version};
  }
  const DocumentKey& key = live->key;
  co_return co_await database_.read([&](Transaction& tx) -> Result<Place> {
    const auto details = store::find(tx, key.tenant, key.id);
    if (!details) {
      return no_such_document();
    }
    if (from_seq > 0) {
      const auto entry = store::entry_at(tx, details->stream, from_seq);
      if (from_seq < details->floor || !entry) {
        if (from_seq != details->floor) {
          return Error{Code::stale_version, "events from there on are no longer kept", "from_seq", 0};
        }
        return Place{from_seq, details->floor_version};
      }
      return Place{from_seq, version_of(entry->entry.ordinal)};
    }
    if (from_version < details->floor_version) {
      return Error{Code::stale_version, "events from there on are no longer kept", "from_version", 0};
    }
    return Place{store::seq_of_version(tx, *details, from_version), from_version};
  });
}

Task<Result<Subscription>> Service::subscribe(Caller caller, SubscribeRequest request, Sink sink) {
  Worker& from = *Worker::current();
  auto follower = co_await subscribe_on_owner(std::move(caller), std::move(request), std::move(sink), &from);
  co_await from.enter();
  if (!follower.ok()) {
    co_return follower.error();
  }
  co_return Subscription(std::move(*follower));
}

Task<Result<std::shared_ptr<Follower>>> Service::subscribe_on_owner(Caller caller, SubscribeRequest request, Sink sink,
                                                                    Worker* from) {
  if (!request.epoch.empty() && request.epoch != epoch_) {
    co_return Error{Code::stale_version, "another epoch: drop what you have", "epoch", 0};
  }
  if (!request.session_id.empty() && !is_valid_id(request.session_id)) {
    co_return invalid_field("session_id", "1 to 128 bytes of UTF-8 without control characters");
  }
  const DocumentKey key{caller.tenant, request.doc_id};
  co_await owner(key).enter();
  if (const Status session = co_await check_session(caller, request.session_id); !session.ok()) {
    co_return session.error();
  }
  auto opened = co_await open(caller, key, Right::read);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const LivePtr live = std::move(opened->live);
  const auto place = co_await place_of(live, request.from_version, request.from_seq);
  if (!place.ok()) {
    co_return place.error();
  }
  // The right may have been lost, and the document be gone, while the place was looked for.
  auto again = co_await open(caller, key, Right::read);
  if (!again.ok()) {
    co_return again.error();
  }
  const uint64_t id = next_follower_.fetch_add(1);
  auto follower = std::make_shared<Follower>(engine_, *from, id, caller.key(), new_id(), std::move(sink));
  Follower::Place begin;
  begin.request = follow_request(*live, place->seq);
  begin.doc_id = key.id;
  begin.version = place->version;
  begin.time_ms = clock_.unix_ms();
  follower->begin_at(std::move(begin));
  follower->on_drop = [this, key, id] {
    owner(key).post([this, key, id] {
      const auto& documents = shards_[static_cast<size_t>(owner(key).index())]->documents;
      if (const auto found = documents.find(key); found != documents.end()) {
        remove_subscriber(*found->second, id);
      }
    });
  };
  Subscriber subscriber;
  subscriber.user = caller.key();
  subscriber.follower = follower;
  subscriber.session = request.session_id;
  add_subscriber(*live, id, std::move(subscriber));
  co_return std::move(follower);
}

Task<Status> Service::unsubscribe(Caller caller, std::string doc_id, std::string subscriber_id) {
  Worker& from = *Worker::current();
  auto opened = co_await open(caller, DocumentKey(caller.tenant, std::move(doc_id)), Right::read);
  if (!opened.ok()) {
    co_await from.enter();
    co_return opened.error();
  }
  std::shared_ptr<Follower> follower;
  for (const auto& [id, subscriber] : opened->live->subscribers) {
    if (subscriber.follower && subscriber.follower->subscriber_id() == subscriber_id &&
        (caller.user.empty() || subscriber.user.user == caller.user)) {
      follower = subscriber.follower;
      remove_subscriber(*opened->live, id);
      break;
    }
  }
  if (follower) {
    co_await follower->worker().enter();
    follower->end(std::nullopt);
  }
  co_await from.enter();
  co_return follower ? Status() : Status(fail(Code::not_found, "no such subscriber"));
}

}  // namespace tidemark::document
