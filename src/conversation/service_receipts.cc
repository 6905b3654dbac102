// Markers (read, delivered) and typing: what members see of each other. Markers are stored, telling them may be lost.
#include <algorithm>

#include "conversation/service.h"
#include "core/json.h"
#include "core/log.h"

namespace tidemark::conversation {

using command::Reply;
using storage::Transaction;

namespace {

constexpr auto kTellDeliveredEvery = std::chrono::milliseconds(100);
constexpr auto kTypingTick = std::chrono::milliseconds(250);
constexpr std::string_view kReadEvent = "conversation.read";

}  // namespace

Service::Answer Service::read(Caller caller, Request request) {
  const std::string& id = request.has("conversation_id") ? request.text("conversation_id") : request.text("id");
  const int64_t seq = request.integer("seq");
  auto opened = co_await open_as_member(caller, {caller.tenant, ConversationId(id)});
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  const Member* const member = conversation->member(caller.user);
  if (member == nullptr) {
    co_return fail(Code::not_found, "no such conversation");
  }
  Reply reply;
  JsonWriter(reply.data)
      .begin()
      .field("conversation_id", conversation->details.id.str())
      .field("read_seq", std::max(seq, member->read_seq))
      .end();
  if (seq <= member->read_seq) {
    co_return reply;
  }
  device::OwnEvent event;
  event.user = caller.key();
  event.device = caller.device;
  event.event = kReadEvent;
  event.data.clear();
  JsonWriter(event.data)
      .begin()
      .field("conversation_id", conversation->details.id.str())
      .field("seq", seq)
      .end();
  // Nothing if the marker was there already: a second command for the same place changes nothing.
  auto stored = co_await database_.write([&](Transaction& tx) -> Result<std::optional<device::StoredEvent>> {
    // The log decides, not what this owner has published: a device may have read an entry from it a moment before.
    const auto row = stream::stream_by_id(tx, conversation->details.stream);
    if (!row || seq > row->head) {
      return invalid_field("seq", "beyond the newest entry");
    }
    if (!store::set_read(tx, conversation->details.stream, caller.user, seq)) {
      return std::optional<device::StoredEvent>();
    }
    auto appended = devices_.append_event(tx, event);
    if (!appended.ok()) {
      return appended.error();
    }
    return std::optional(std::move(*appended));
  });
  if (!stored.ok()) {
    co_return stored.error();
  }
  if (!*stored) {
    co_return reply;
  }
  if (Member* const now = conversation->member(caller.user)) {
    now->read_seq = std::max(now->read_seq, seq);
  }
  // To this connection as well: `read` has no answer that would tell it of the entry.
  devices_.publish_event(**stored);
  signal_marker(*conversation, "read", caller.user, seq);
  co_return reply;
}

void Service::signal_marker(Conversation& conversation, std::string_view type, const UserId& user, int64_t seq) {
  if (conversation.members.size() > options_->receipt_members) {
    return;
  }
  std::string json;
  JsonWriter(json)
      .begin()
      .field("type", type)
      .field("conversation_id", conversation.details.id.str())
      .field("user_id", user.str())
      .field("seq", seq)
      .end();
  engine_.fanout().signal(conversation.ref(owner_index(conversation.key)), stream::Frame::text(json), 0, user);
}

void Service::delivered(const UserKey& user, const stream::StreamKey& key, int64_t seq) {
  if (key.kind != stream::StreamKind::conversation) {
    return;
  }
  spawn(note_delivered(user, {key.tenant, ConversationId(key.name)}, seq));
}

Task<> Service::note_delivered(UserKey user, ConversationKey key, int64_t seq) {
  auto opened = co_await open(std::move(key));
  if (!opened.ok()) {
    co_return;  // the cursor itself is stored by its device; the marker follows the next confirmation
  }
  const ConversationPtr conversation = std::move(*opened);
  Member* const member = conversation->exists ? conversation->member(user.user) : nullptr;
  if (member == nullptr || seq <= member->delivered_seq) {
    co_return;
  }
  member->delivered_seq = seq;
  Shard& here = shard(conversation->key);
  Shard::Delivered& unstored = here.unstored[conversation->key];
  unstored.conversation = conversation;
  unstored.markers[user.user] = seq;
  if (!here.store_timer.armed()) {
    here.worker.arm(here.store_timer, options_->store_receipts_every);
  }
  if (conversation->members.size() > options_->receipt_members) {
    co_return;
  }
  auto& news = conversation->undelivered_news;
  if (news.empty()) {
    here.with_news.push_back(conversation);
  }
  if (std::find(news.begin(), news.end(), user.user) == news.end()) {
    news.push_back(user.user);
  }
  if (!here.tell_timer.armed()) {
    here.worker.arm(here.tell_timer, kTellDeliveredEvery);
  }
}

void Service::tell_delivered(Shard& here) {
  std::vector<ConversationPtr> conversations;
  conversations.swap(here.with_news);
  for (const ConversationPtr& conversation : conversations) {
    std::vector<UserId> users;
    users.swap(conversation->undelivered_news);
    for (const UserId& user : users) {
      if (const Member* const member = conversation->member(user)) {
        signal_marker(*conversation, "delivered", user, member->delivered_seq);
      }
    }
  }
}

Task<> Service::store_delivered(Shard* here) {
  auto unstored = std::move(here->unstored);
  here->unstored.clear();
  if (unstored.empty()) {
    co_return;
  }
  const auto stored = co_await database_.write([&](Transaction& tx) -> Status {
    for (const auto& [key, delivered] : unstored) {
      for (const auto& [user, seq] : delivered.markers) {
        store::set_delivered(tx, delivered.conversation->details.stream, user, seq);
      }
    }
    return {};
  });
  if (!stored.ok()) {
    log_warn("conversation.markers_not_stored", {{"conversations", unstored.size()}});
    for (auto& [key, delivered] : unstored) {
      Shard::Delivered& again = here->unstored[key];
      again.conversation = delivered.conversation;
      for (const auto& [user, seq] : delivered.markers) {
        again.markers[user] = std::max(again.markers[user], seq);
      }
    }
    if (!here->store_timer.armed()) {
      here->worker.arm(here->store_timer, options_->store_receipts_every);
    }
  }
}

Task<> Service::store_all() {
  for (const auto& one : shards_) {
    co_await one->worker.enter();
    co_await store_delivered(one.get());
  }
}

Service::Answer Service::typing(Caller caller, Request request) {
  if (request.has("to") == request.has("conversation_id")) {
    co_return request.has("to") ? invalid_field("to", "give either to or conversation_id")
                                : Error{Code::missing_field, "to or conversation_id is required", "conversation_id", 0};
  }
  const ConversationKey key{caller.tenant, request.has("to") ? direct_id(caller.key(), UserId(request.text("to")))
                                                             : ConversationId(request.text("conversation_id"))};
  auto opened = co_await open(key);
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  const bool first = request.has("to") && !conversation->exists;  // before the first message there are no followers
  if (!first && !may_see(*conversation, caller)) {
    co_return fail(Code::not_found, "no such conversation");
  }
  Shard& here = shard(conversation->key);
  const bool typing = request.boolean("is_typing");
  auto& typists = conversation->typists;
  const auto known = std::find_if(typists.begin(), typists.end(), [&](const Conversation::Typist& one) {
    return one.user == caller.user && one.device == caller.device;
  });
  if (typing) {
    const Instant ends = here.worker.now() + options_->typing_ends;
    if (known != typists.end()) {
      known->ends = ends;
    } else {
      if (typists.empty()) {
        here.with_typists.push_back(conversation);
      }
      typists.push_back({caller.user, caller.device, UserId(request.text("to")), ends});
    }
    if (!here.typing_timer.armed()) {
      here.worker.arm(here.typing_timer, kTypingTick);
    }
  } else if (known != typists.end()) {
    typists.erase(known);
  }
  const Conversation::Typist typist{caller.user, caller.device, UserId(request.text("to")), {}};
  tell_typing(*conversation, typist, typing, caller.connection);
  co_return Reply{};
}

void Service::tell_typing(const Conversation& conversation, const Conversation::Typist& typist, bool typing,
                          stream::OutletId origin) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("type", "typing")
      .field("conversation_id", conversation.key.conversation.str())
      .field("user_id", typist.user.str())
      .field("device_id", typist.device.str())
      .field("is_typing", typing)
      .end();
  stream::Frame frame = stream::Frame::text(json);
  if (!conversation.exists) {
    const UserKey to{conversation.key.tenant, typist.to};
    sessions_.home_of(to).post([this, to = std::make_unique<UserKey>(to), frame, origin] {
      for (const session::Connection& connection : sessions_.connections_of(*to)) {
        if (connection.id != origin) {
          sessions_.door().signal(connection, frame);
        }
      }
    });
    return;
  }
  // A conversation with oneself: the own other devices are the others.
  const bool alone = conversation.members.size() == 1;
  engine_.fanout().signal(conversation.ref(owner_index(conversation.key)), std::move(frame), origin,
                          alone ? std::nullopt : std::optional(typist.user));
}

void Service::end_typing(Shard& here) {
  const Instant now = here.worker.now();
  std::erase_if(here.with_typists, [&](const ConversationPtr& conversation) {
    std::erase_if(conversation->typists, [&](const Conversation::Typist& one) {
      if (one.ends > now) {
        return false;
      }
      tell_typing(*conversation, one, false, 0);
      return true;
    });
    return conversation->typists.empty();
  });
  if (!here.with_typists.empty()) {
    here.worker.arm(here.typing_timer, kTypingTick);
  }
}

}  // namespace tidemark::conversation
