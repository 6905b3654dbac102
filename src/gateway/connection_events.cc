// A connection that speaks the event dialect: its events as native commands, and the presence of those it shares a
// conversation with, which native clients ask for by `watch`.
#include <algorithm>

#include "core/json.h"
#include "gateway/connection.h"
#include "gateway/connection_events.h"

namespace tidemark::gateway {
namespace {

// Members come and go in bursts; a new conversation does not wait.
constexpr auto kLookAfterChange = std::chrono::seconds(1);
// After a refusal; twice as long after the next one.
constexpr auto kLookAgain = std::chrono::seconds(10);
constexpr auto kLookAgainMax = std::chrono::minutes(10);

std::string users_json(const std::vector<std::string>& users) {
  std::string json = "{\"users\":[";
  for (const std::string& user : users) {
    json += json.back() == '[' ? "" : ",";
    append_json_string(json, user);
  }
  return json + "]}";
}

}  // namespace

void Connection::speak_events() { events_ = std::make_unique<EventSide>(); }

void Connection::dispatch_event(simdjson::dom::object object) {
  auto command = events::to_native(object);
  if (!command.ok()) {
    events_->said = {};
    send_error(command.error(), {});
    return;
  }
  // Not the parser of `object`: the event's name and data point into that one.
  thread_local simdjson::dom::parser parser;
  const auto element = parse_json(parser, command->native, gateway_.limits_->depth);
  simdjson::dom::object native;
  if (!element.ok() || element->get(native) != simdjson::SUCCESS) {
    send_error(element.ok() ? fail(Code::invalid_frame) : element.error(), {});
    return;
  }
  events_->said = std::move(command->said);
  dispatch(native);
  if (events_) {
    events_->said = {};
  }
}

// Whether a frame that was queued says that contacts may be others from now on.
void Connection::note_membership(const stream::Frame& translated) {
  constexpr std::string_view kMember = R"({"event":"member_)";
  constexpr std::string_view kDeleted = R"({"event":"conversation_deleted")";
  const std::string_view text = translated.payload();
  if (text.starts_with(kMember) || text.starts_with(kDeleted)) {
    look_for_contacts(kLookAfterChange);
  }
}

void Connection::look_for_contacts(std::chrono::nanoseconds after) {
  if (!events_ || state_ != State::live || !open()) {
    return;
  }
  const Instant at = worker().now() + after;
  if (events_->look_at == Instant{} || at < events_->look_at) {
    events_->look_at = at;
    arm(at);
  }
}

void Connection::look_if_due(Instant now) {
  if (!events_ || events_->look_at == Instant{}) {
    return;
  }
  if (now < events_->look_at || events_->looking) {
    arm(std::max(events_->look_at, now + std::chrono::milliseconds(10)));
    return;
  }
  events_->look_at = {};
  events_->looking = true;
  spawn(watch_contacts(std::static_pointer_cast<Connection>(shared_from_this())));
}

Task<> Connection::watch_contacts(std::shared_ptr<Connection> self) {
  Gateway& gateway = self->gateway_;
  const UserKey user = self->user_;
  auto found = co_await gateway.parts_.conversations.contacts(user, gateway.limits_->watches);
  if (found.ok() && self->open()) {
    std::sort(found->begin(), found->end());
    std::vector<std::string>& known = self->events_->contacts;
    std::vector<std::string> gone;
    std::vector<std::string> fresh;
    std::set_difference(known.begin(), known.end(), found->begin(), found->end(), std::back_inserter(gone));
    std::set_difference(found->begin(), found->end(), known.begin(), known.end(), std::back_inserter(fresh));
    const bool forgotten = co_await run_for_contacts(self, "unwatch", std::move(gone));
    const bool watched = co_await run_for_contacts(self, "watch", std::move(fresh));
    if (forgotten && watched) {
      known = std::move(*found);
      self->events_->wait = {};
    } else {
      // Too fast, or more than limits.watches together with what the client watches by itself. Later there may be room.
      self->events_->wait = std::clamp<std::chrono::seconds>(self->events_->wait * 2, kLookAgain, kLookAgainMax);
      self->look_for_contacts(self->events_->wait);
    }
  }
  self->events_->looking = false;
}

// By the same row that a native client would use, with its limits. False: it was refused.
Task<bool> Connection::run_for_contacts(std::shared_ptr<Connection> self, std::string_view type,
                                    std::vector<std::string> users) {
  const command::Row* const row = self->gateway_.parts_.table.by_type(type);
  if (users.empty() || row == nullptr || !self->open()) {
    co_return true;
  }
  command::Request request(row->fields);
  {
    simdjson::dom::parser parser;
    simdjson::dom::object object;
    const std::string json = users_json(users);
    if (parser.parse(json).get(object) != simdjson::SUCCESS || !request.take(object).ok()) {
      co_return false;
    }
  }
  const auto reply = co_await self->gateway_.parts_.table.run(*row, self->caller_, std::move(request));
  co_return reply.ok();
}

}  // namespace tidemark::gateway
