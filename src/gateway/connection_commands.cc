// What a connection is asked: from a message to the row of the table, and the answer back.
#include <algorithm>

#include "core/json.h"
#include "gateway/connection.h"

namespace tidemark::gateway {
namespace {

using command::FieldType;
using command::Fields;
using command::Rate;
using command::Request;

constexpr size_t kBadFrames = 20;
constexpr size_t kRefusals = 100;
constexpr auto kStrikeSpan = std::chrono::seconds(10);
constexpr auto kTouchEvery = std::chrono::seconds(30);
constexpr int64_t kCursorsPerAck = 10000;
constexpr size_t kLeastInbound = 64;  // bytes that the smallest message counts for

simdjson::dom::parser& parser() {
  thread_local simdjson::dom::parser one;
  return one;
}

// The command's id for its answer, if it has a usable one.
std::string id_of(simdjson::dom::object object) {
  std::string_view id;
  if (object["id"].get(id) == simdjson::SUCCESS && !id.empty() && id.size() <= 256) {
    return std::string(id);
  }
  return {};
}

}  // namespace

// What it sends costs its allowance of bytes.
Status Connection::take_inbound(size_t bytes) {
  const GatewayLimits& limits = *gateway_.limits_;
  const auto burst = static_cast<double>(std::max(limits.inbound_burst, limits.frames.message_bytes));
  const auto wait = inbound_.take(worker().now(), {static_cast<double>(limits.inbound_per_second), burst},
                                  std::min(burst, static_cast<double>(std::max(bytes, kLeastInbound))));
  if (wait.count() == 0) {
    return {};
  }
  gateway_.inbound_refused_.add();
  return Error{Code::rate_limited, "too many bytes", {}, std::chrono::ceil<std::chrono::milliseconds>(wait).count()};
}

// What keeps the connection going has no row in the table, and a class of its own. Before it has a user it has its
// bytes only.
Status Connection::take_upkeep() {
  return caller_.rates && !caller_.service ? caller_.rates->take(Rate::upkeep, worker().now()) : Status();
}

void Connection::on_message(std::string_view payload, bool) {
  gateway_.received_.add();
  pinged_ = false;
  if (state_ == State::live && worker().now() - touched_at_ > kTouchEvery) {
    touched_at_ = worker().now();
    gateway_.parts_.sessions.touch(user_, caller_.session);
  }
  handle_limited(&Connection::handle_text, payload);
}

// The rate limits of a user who only listens are nowhere: what comes first looks for them, and the rest waits.
void Connection::handle_limited(Handle act, std::string_view payload) {
  if (state_ == State::live && !caller_.rates) {
    pause(Hold::owner);
    spawn(handle_first(std::static_pointer_cast<Connection>(shared_from_this()), act, std::string(payload)));
  } else {
    (this->*act)(payload);
  }
}

Task<> Connection::handle_first(std::shared_ptr<Connection> self, Handle act, std::string payload) {
  auto rates = co_await self->gateway_.parts_.limiter.rates_of(self->user_);
  self->caller_.rates = std::move(rates);
  if (self->open()) {
    (self.get()->*act)(payload);
    self->resume(Hold::owner);
  }
}

void Connection::handle_text(std::string_view payload) {
  const auto element = parse_json(parser(), payload, gateway_.limits_->depth);
  if (!element.ok()) {
    send_error(element.error(), {});
    return;
  }
  simdjson::dom::object object;
  if (element->get(object) != simdjson::SUCCESS) {
    send_error(fail(Code::invalid_frame), {});
    return;
  }
  if (const Status taken = take_inbound(payload.size()); !taken.ok()) {
    send_error(taken.error(), id_of(object));
    return;
  }
  if (events_) {
    dispatch_event(object);
  } else {
    dispatch(object);
  }
}

void Connection::dispatch(simdjson::dom::object object) {
  const std::string id = id_of(object);
  simdjson::dom::element type_element;
  if (object["type"].get(type_element) != simdjson::SUCCESS || type_element.is_null()) {
    send_error(Error{Code::missing_field, "required", "type", 0}, id);
    return;
  }
  std::string_view type;
  if (type_element.get(type) != simdjson::SUCCESS) {
    send_error(invalid_field("type", "a string is expected"), id);
    return;
  }
  if (type == "ping") {
    answer_ping(id);
  } else if (type == "register") {
    register_user(object, id);
  } else if (const command::Row* const row = gateway_.parts_.table.by_type(type);
             row == nullptr && type != "ack" && type != "refresh") {
    send_error(fail(Code::unknown_type), id);
  } else if (state_ != State::live) {
    send_error(fail(Code::not_registered), id);
  } else if (type == "ack") {
    acknowledge(object, id);
  } else if (type == "refresh") {
    refresh(object, id);
  } else {
    Request request(row->fields);
    if (!take_fields(request, object, id)) {
      return;
    }
    begin_command();
    spawn(run_command(std::static_pointer_cast<Connection>(shared_from_this()), row, std::move(request), id));
  }
}

// False: an error was sent.
bool Connection::take_fields(Request& request, simdjson::dom::object object, const std::string& id) {
  Status taken = request.take(object);
  if (taken.ok()) {
    taken = request.check_complete();
  }
  if (!taken.ok()) {
    send_error(taken.error(), id);
  }
  return taken.ok();
}

Task<> Connection::run_command(std::shared_ptr<Connection> self, const command::Row* row, Request request,
                               std::string id) {
  events::Said said;
  if (self->events_) {
    said = std::move(self->events_->said);
  }
  const auto reply = co_await self->gateway_.parts_.table.run(*row, self->caller_, std::move(request));
  if (self->events_) {
    self->events_->said = std::move(said);
  }
  self->answered(reply, id);
  if (self->events_) {
    self->events_->said = {};
  }
}

void Connection::answered(const Result<command::Reply>& reply, const std::string& id) {
  end_command();
  if (!reply.ok()) {
    send_error(reply.error(), id);
    return;
  }
  if (reply->seq > 0 && subscriber_) {
    subscriber_->own_entry(reply->stream.id, reply->seq);
    // While older entries are still on their way to it, a pong says nothing about them.
    if (auto_ack_ && subscriber_->is_live(reply->stream.id, reply->seq)) {
      auto_ack_->sent(reply->stream, reply->seq, worker().now());
      arm(worker().now() + AutoAck::kDelay);
    }
  }
  if (reply->unfollow) {
    unfollow(*reply->unfollow);
  }
  if (reply->type.empty()) {
    return;
  }
  if (events_ && !events_->said.echo.empty() && reply->type == "sent") {
    gateway_.sent_.add();
    send(stream::Frame::text(events::message_sent(events_->said, reply->fields)));
    return;
  }
  std::string json;
  JsonWriter writer(json);
  writer.begin().field("type", reply->type);
  if (!id.empty()) {
    writer.field("id", id);
  }
  writer.members(reply->fields).end();
  send_text(json);
  if (reply->follow && subscriber_ && open()) {
    subscriber_->follow(*reply->follow);  // what a client asks for has a limit of its own
  }
}

void Connection::begin_command() {
  if (++inflight_ >= gateway_.limits_->inflight) {
    pause(Hold::commands);
  }
}

void Connection::end_command() {
  --inflight_;
  if (drain_when_idle_) {
    if (inflight_ == 0) {
      // Behind the answer that is about to be queued.
      worker().post([self = std::static_pointer_cast<Connection>(shared_from_this())] {
        self->close_with(CloseCode::draining);
      });
    }
    return;
  }
  if (inflight_ < gateway_.limits_->inflight && is_held(Hold::commands)) {
    // Not now: the answer to the command that made room is not queued yet.
    worker().post([self = std::static_pointer_cast<Connection>(shared_from_this())] {
      if (self->open() && self->inflight_ < self->gateway_.limits_->inflight) {
        self->resume(Hold::commands);
      }
    });
  }
}

void Connection::send_error(const Error& error, const std::string& id) {
  if (!open()) {
    return;
  }
  const ErrorRow& row = row_of(error.code);
  gateway_.parts_.metrics.counter("tidemark_errors_total", "Errors by code.", {{"code", std::string(row.name)}}).add();
  std::string json;
  JsonWriter writer(json);
  writer.begin().field("type", "error");
  if (!id.empty()) {
    writer.field("id", id);
  }
  writer.field("code", row.name).field("error", error.text.empty() ? row.text : std::string_view(error.text));
  if (!error.field.empty()) {
    writer.field("field", events_ ? events::field_name(events_->said, error.field) : std::string_view(error.field));
  }
  if (error.retry_after_ms > 0) {
    writer.field("retry_after_ms", error.retry_after_ms);
  }
  writer.end();
  send_text(json);
  const auto strike = [this](std::unique_ptr<Strikes>& strikes, size_t limit, CloseCode code) {
    if (!strikes) {
      strikes = std::make_unique<Strikes>(limit, kStrikeSpan);
    }
    if (strikes->note(worker().now())) {
      close_with(code);
    }
  };
  if (row.counts_as_bad_frame) {
    strike(bad_frames_, kBadFrames, CloseCode::bad_frames);
  } else if (error.code == Code::rate_limited) {
    strike(refusals_, kRefusals, CloseCode::rate_limited);
  }
}

void Connection::answer_ping(const std::string& id) {
  if (const Status taken = take_upkeep(); !taken.ok()) {
    send_error(taken.error(), id);
    return;
  }
  std::string json;
  JsonWriter(json).begin().field("type", "pong").field("timestamp", gateway_.parts_.clock.unix_ms()).end();
  send_text(json);
}

void Connection::acknowledge(simdjson::dom::object object, const std::string& id) {
  static const Fields kFields{
      {.name = "cursors", .type = FieldType::cursor_map, .required = true, .max = kCursorsPerAck},
      {.name = "epoch", .type = FieldType::text, .max = 128}};
  if (const Status taken = take_upkeep(); !taken.ok()) {
    send_error(taken.error(), id);
    return;
  }
  Request request(kFields);
  if (!take_fields(request, object, id)) {
    return;
  }
  if (request.has("epoch") && request.text("epoch") != gateway_.options_.epoch) {
    send_error(Error{Code::conflict, "another epoch: drop cursors and caches", "epoch", 0}, id);
    return;
  }
  struct Move {
    stream::StreamRef stream;
    stream::StreamKey key;
    int64_t seq;
  };
  std::vector<Move> moves;
  for (const auto& [name, seq] : request.cursors("cursors")) {
    stream::StreamKey key = name == "@self" ? device::Devices::own_key(user_)
                                            : stream::StreamKey{user_.tenant, stream::StreamKind::conversation, name};
    const auto head = subscriber_->head_of(key);
    if (!head) {
      send_error(Error{Code::not_found, "this connection does not follow such a stream", "cursors", 0}, id);
      return;
    }
    if (seq > *head) {
      send_error(invalid_field("cursors", "beyond the newest entry"), id);
      return;
    }
    const stream::StreamRef ref = *subscriber_->followed(key);
    moves.push_back({ref, std::move(key), seq});
  }
  for (const Move& move : moves) {
    confirmed(move.stream, move.key, move.seq);
  }
}

void Connection::confirmed(const stream::StreamRef& stream, const stream::StreamKey& key, int64_t seq) {
  subscriber_->confirm(stream.id, seq);
  if (key.kind == stream::StreamKind::document) {
    return;  // has no cursors: a subscription says from where
  }
  gateway_.parts_.devices.confirm(user_, caller_.device, stream, key, seq);
}

void Connection::on_ping(std::string_view payload) { handle_limited(&Connection::handle_ping, payload); }

void Connection::handle_ping(std::string_view payload) {
  Status taken = take_inbound(payload.size());
  if (taken.ok()) {
    taken = take_upkeep();
  }
  if (taken.ok()) {
    WebSocket::on_ping(payload);
  } else {
    send_error(taken.error(), {});
  }
}

void Connection::on_pong(std::string_view payload) {
  pinged_ = false;
  if (pinged_at_ != Instant()) {
    const auto taken = std::chrono::ceil<std::chrono::milliseconds>(worker().now() - std::exchange(pinged_at_, {}));
    rtt_ms_ = static_cast<int32_t>(std::clamp<int64_t>(taken.count(), 1, INT32_MAX));
  }
  if (const Status taken = take_inbound(payload.size()); !taken.ok()) {
    send_error(taken.error(), {});
    return;
  }
  if (!auto_ack_ || !subscriber_) {
    return;
  }
  for (const AutoAck::Sent& sent : auto_ack_->pong(payload)) {
    // The stream may have been left in the meantime.
    if (const stream::StreamKey* const key = subscriber_->key_of(sent.stream.id)) {
      confirmed(sent.stream, stream::StreamKey(*key), sent.seq);
    }
  }
  check_time();
}

}  // namespace tidemark::gateway
