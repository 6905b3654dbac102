#include "conversation/service.h"

#include <algorithm>

#include "core/json.h"
#include "core/seeded_fault.h"
#include "core/uuid.h"

namespace tidemark::conversation {

using storage::Transaction;

namespace {

constexpr auto kUnusedStep = std::chrono::milliseconds(500);
constexpr size_t kUnusedSteps = 100;

}  // namespace

Service::Shard::Shard(Service& of_service, Worker& of)
    : self(of_service),
      worker(of),
      store_timer([](void* context) {
        auto* const shard = static_cast<Shard*>(context);
        spawn(shard->self.store_delivered(shard));
      }, this),
      tell_timer([](void* context) {
        auto* const shard = static_cast<Shard*>(context);
        shard->self.tell_delivered(*shard);
      }, this),
      typing_timer([](void* context) {
        auto* const shard = static_cast<Shard*>(context);
        shard->self.end_typing(*shard);
      }, this),
      index_timer([](void* context) {
        auto* const shard = static_cast<Shard*>(context);
        shard->self.hand_to_index(*shard);
      }, this),
      unused_timer([](void* context) {
        auto* const shard = static_cast<Shard*>(context);
        shard->self.drop_unused(*shard);
      }, this) {}

int64_t request_hash(std::initializer_list<std::string_view> parts) {
  const Uuid hash = make_uuid8(parts);
  int64_t number = 0;
  std::memcpy(&number, hash.bytes.data(), sizeof number);
  return number;
}

Service::Service(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
                 device::Devices& devices, const Clock& clock, Random& random, ConversationOptions options,
                 MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      engine_(engine),
      sessions_(sessions),
      devices_(devices),
      clock_(clock),
      random_(random),
      options_(options),
      index_(workers.at(0), database, IndexOptions{}, metrics),
      duplicates_(metrics.counter("tidemark_dedup_hits_total", "Retries that were answered with the first result.")),
      append_seconds_(metrics.histogram("tidemark_append_seconds", "Time from a checked message to its commit.",
                                        exponential_bounds(0.0001, 2, 16))) {
  for (int i = 0; i < workers.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, workers.at(i)));
  }
  engine_.set_reader(stream::StreamKind::conversation, &Service::read_page);
}

Service::~Service() = default;

Service::Shard& Service::shard(const ConversationKey& key) const {
  Worker& worker = owner(key);
  worker.assert_owner();
  return *shards_[static_cast<size_t>(worker.index())];
}

Task<Result<ConversationPtr>> Service::open(ConversationKey key) {
  auto opened = co_await open_to_send(std::move(key));
  if (!opened.ok()) {
    co_return opened.error();
  }
  co_return std::move(opened->conversation);
}

Task<Result<Service::Changing>> Service::open_to_send(ConversationKey key) {
  co_await owner(key).enter();
  Shard& here = shard(key);
  ConversationPtr conversation = here.conversations[key];
  if (!conversation) {
    conversation = std::make_shared<Conversation>();
    conversation->key = key;
    here.conversations[key] = conversation;
    trim(here);
    if (!here.unused_timer.armed()) {
      here.worker.arm(here.unused_timer, kUnusedStep);
    }
  }
  conversation->used_at = here.worker.now();
  if (conversation->loaded && conversation->exists && !conversation->gate.busy()) {
    Changing at_once{std::move(conversation), Gate::Pass(nullptr)};
    co_return std::move(at_once);
  }
  Gate::Pass pass = co_await conversation->gate.enter();
  if (!conversation->loaded) {
    if (const Status loaded = co_await load(conversation); !loaded.ok()) {
      co_return loaded.error();
    }
  }
  if (conversation->exists) {
    pass.release();  // who waits behind goes on in a turn of its own, after this command
  }
  Changing held{std::move(conversation), std::move(pass)};
  co_return std::move(held);
}

// Under the gate.
Task<Status> Service::load(ConversationPtr conversation) {
  const ConversationKey& key = conversation->key;
  struct Found {
    std::optional<Details> details;
    Members members;
  };
  auto found = co_await database_.read([&](Transaction& tx) -> Result<Found> {
    Found result;
    result.details = store::find(tx, key);
    if (result.details) {
      result.members = store::members(tx, result.details->stream);
    }
    return result;
  });
  if (!found.ok()) {
    co_return found.error();
  }
  conversation->loaded = true;
  conversation->exists = found->details.has_value();
  if (found->details) {
    conversation->details = std::move(*found->details);
    conversation->members = std::move(found->members);
  }
  co_return Status();
}

bool Service::may_see(const Conversation& conversation, const Caller& caller) {
  if (!conversation.exists || conversation.details.deleted) {
    return false;
  }
  return caller.user.empty() ? caller.service : conversation.members.contains(caller.user);
}

Task<Result<ConversationPtr>> Service::open_as_member(Caller caller, ConversationKey key) {
  auto conversation = co_await open(std::move(key));
  if (conversation.ok() && !may_see(**conversation, caller)) {
    co_return fail(Code::not_found, "no such conversation");
  }
  co_return conversation;
}

// Keeps the cache within its limit: what nobody uses and was not used for longest goes.
void Service::trim(Shard& here) {
  if (here.conversations.size() <= options_->cached) {
    return;
  }
  std::vector<ConversationPtr*> idle;
  for (auto& [key, conversation] : here.conversations) {
    if (conversation.use_count() == 1 && !conversation->gate.busy()) {
      idle.push_back(&conversation);
    }
  }
  const size_t drop = std::min(idle.size(), options_->cached / 8 + 1);
  std::nth_element(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(drop), idle.end(),
                   [](const auto* a, const auto* b) { return (*a)->used_at < (*b)->used_at; });
  for (size_t i = 0; i < drop; ++i) {
    const ConversationKey key = (*idle[i])->key;
    here.conversations.erase(key);
  }
}

// Looks at all conversations within 50 s, a few at each call, so that no turn is long.
void Service::drop_unused(Shard& here) {
  const Instant limit = here.worker.now() - options_->cached_for;
  const size_t steps = here.conversations.bucket_count() / kUnusedSteps + 1;
  std::vector<ConversationKey> unused;
  for (size_t i = 0; i < steps; ++i) {
    const size_t bucket = here.next_bucket++ % here.conversations.bucket_count();
    for (auto it = here.conversations.cbegin(bucket); it != here.conversations.cend(bucket); ++it) {
      if (it->second.use_count() == 1 && !it->second->gate.busy() && it->second->used_at <= limit) {
        unused.push_back(it->first);
      }
    }
  }
  for (const ConversationKey& key : unused) {
    here.conversations.erase(key);
  }
  if (!here.conversations.empty()) {
    here.worker.arm(here.unused_timer, kUnusedStep);
  }
}

Result<Service::Stored> Service::append(Transaction& tx, stream::StreamId stream, const Caller& caller,
                                        const Change& change, bool counted) const {
  stream::NewEntry entry;
  entry.kind = static_cast<int>(change.kind);
  entry.counted = counted;
  entry.author = caller.user.str();
  entry.device = caller.device.str();
  entry.client_id = change.client_id;
  entry.hash = change.hash;
  entry.content = change.content;
  entry.body = change.body;
  entry.time_ms = clock_.unix_ms();
  const auto appended = stream::append(tx, stream, entry);
  if (!appended.ok()) {
    return appended.error();
  }
  if (counted && !appended->duplicate) {
    store::note_own_message(tx, stream, entry.author);
  }
  Stored stored;
  stored.stream = stream;
  stored.appended = *appended;
  stored.entry.seq = appended->seq;
  stored.entry.kind = entry.kind;
  stored.entry.ordinal = appended->ordinal;
  stored.entry.author = entry.author;
  stored.entry.device = entry.device;
  stored.entry.content = entry.content;
  stored.entry.body = entry.body;
  stored.entry.time_ms = appended->time_ms;
  return stored;
}

void Service::note_head(Conversation& conversation, const stream::Appended& appended) {
  conversation.details.head = std::max(conversation.details.head, appended.seq);
  conversation.details.updated_at = std::max(conversation.details.updated_at, appended.time_ms);
}

// The aside of a message's frame: in a direct conversation the other one, who is the author's own self where there is
// no other. A group has none.
std::string_view Service::receiver_of(const Conversation& conversation, const stream::Entry& entry) {
  if (conversation.details.kind != Kind::direct || static_cast<EntryKind>(entry.kind) != EntryKind::message) {
    return {};
  }
  for (const auto& [user, member] : conversation.members) {
    if (user.str() != entry.author) {
      return user.str();
    }
  }
  return entry.author;
}

void Service::publish(Conversation& conversation, const Stored& stored, const Caller& caller, bool rewrite) {
  note_head(conversation, stored.appended);
  note_to_index(conversation);
  stream::Frame frame =
      stream::Frame::text(entry_json(conversation.details.id, stored.entry, {}), receiver_of(conversation, stored.entry));
  const stream::StreamRef ref = conversation.ref(owner_index(conversation.key));
  if (rewrite) {
    engine_.fanout().publish_rewrite(ref, stored.entry.seq, std::move(frame), caller.connection);
  } else {
    engine_.fanout().publish(ref, stored.entry.seq, std::move(frame), caller.connection);
  }
}

// An entry that is no answer to anybody's own connection: everybody gets it.
void Service::tell(Conversation& conversation, const Stored& stored, const Caller& caller) {
  Caller nobody = caller;
  nobody.connection = 0;
  publish(conversation, stored, nobody);
}

command::Reply Service::sent(const Conversation& conversation, const Stored& stored, int64_t message_seq) const {
  command::Reply reply;
  reply.type = "sent";
  reply.created = !stored.appended.duplicate;
  reply.stream = conversation.ref(owner_index(conversation.key));
  reply.seq = stored.appended.seq;
  JsonWriter fields(reply.fields);
  fields.field("conversation_id", conversation.details.id.str())
      .field("message_id", message_id(conversation.details.id, message_seq))
      .field("seq", stored.appended.seq)
      .field("timestamp", stored.appended.time_ms);
  if (stored.appended.duplicate) {
    fields.field("duplicate", true);
    duplicates_.add();
  }
  return reply;
}

stream::FollowRequest Service::follow_request(const Conversation& conversation, int64_t position) const {
  stream::FollowRequest request;
  request.ref = conversation.ref(owner_index(conversation.key));
  request.key = {conversation.key.tenant, stream::StreamKind::conversation, conversation.key.conversation.shared()};
  request.head = conversation.details.head;
  request.as_of = Worker::current()->now();
  request.position = position;
  return request;
}

void Service::follow(const ConversationPtr& conversation, const UserId& user, int64_t position,
                     stream::OutletId skip) {
  if (conversation->details.deleted) {
    return;  // while this command went on: whoever followed it has been told its end, and was let go
  }
  const UserKey key{conversation->key.tenant, user};
  sessions_.home_of(key).post(
      [this, skip, moved = std::make_unique<std::pair<UserKey, stream::FollowRequest>>(
                       key, follow_request(*conversation, position))] {
        for (const session::Connection& connection : sessions_.connections_of(moved->first)) {
          const bool wanted = connection.only.empty() ||
                              std::find(connection.only.begin(), connection.only.end(), moved->second.key.name) !=
                                  connection.only.end();
          if (wanted && connection.id != skip) {
            sessions_.door().follow(connection, moved->second);
          }
        }
      });
}

void Service::unfollow(const ConversationPtr& conversation, const UserId& user, int64_t removal_seq) {
  if (TIDEMARK_FAULT(event_to_removed_member)) {
    return;
  }
  const UserKey key{conversation->key.tenant, user};
  engine_.fanout().expel(conversation->ref(owner_index(conversation->key)), key, removal_seq);
  stream::StreamKey stream{conversation->key.tenant, stream::StreamKind::conversation,
                           conversation->key.conversation.shared()};
  // Connections that are just being opened follow nothing yet: they are told by themselves.
  sessions_.home_of(key).post(
      [this, moved = std::make_unique<std::pair<UserKey, stream::StreamKey>>(key, std::move(stream))] {
        for (const session::Connection& connection : sessions_.connections_of(moved->first)) {
          sessions_.door().unfollow(connection, moved->second);
        }
      });
}

Result<std::vector<device::StoredEvent>> Service::append_news(Transaction& tx, const Conversation& conversation,
                                                              const Caller& caller,
                                                              const std::vector<OwnNews>& news) const {
  std::vector<device::StoredEvent> events;
  for (const OwnNews& one : news) {
    device::OwnEvent event;
    event.user = {conversation.key.tenant, one.user};
    event.device = one.user == caller.user ? caller.device : DeviceId();
    event.event = one.event;
    event.data.clear();
    JsonWriter(event.data).begin().field("conversation_id", conversation.key.conversation.str()).end();
    auto stored = devices_.append_event(tx, std::move(event));
    if (!stored.ok()) {
      return stored.error();
    }
    events.push_back(std::move(*stored));
  }
  return events;
}

void Service::publish_news(const std::vector<device::StoredEvent>& events) {
  for (const device::StoredEvent& event : events) {
    devices_.publish_event(event);
  }
}

Task<Result<std::vector<std::string>>> Service::contacts(UserKey user, size_t limit) {
  co_return co_await database_.read([&](Transaction& tx) -> Result<std::vector<std::string>> {
    return store::contacts(tx, user, limit);
  });
}

Task<Result<std::vector<bool>>> Service::share(UserKey viewer, std::vector<std::string> users) {
  co_return co_await database_.read([&](Transaction& tx) -> Result<std::vector<bool>> {
    const auto contacts = store::contacts_among(tx, viewer, users);
    std::vector<bool> visible;
    visible.reserve(users.size());
    for (const std::string& user : users) {
      visible.push_back(user == viewer.user.str() ||
                        std::find(contacts.begin(), contacts.end(), user) != contacts.end());
    }
    return visible;
  });
}

}  // namespace tidemark::conversation
