#include "gateway/connection.h"

#include <algorithm>

#include "core/json.h"
#include "core/log.h"

namespace tidemark::gateway {
namespace {

using command::FieldType;
using command::Fields;
using command::Request;

constexpr size_t kBadFrames = 20;
constexpr size_t kRefusals = 100;
constexpr auto kStrikeSpan = std::chrono::seconds(10);
constexpr auto kTouchEvery = std::chrono::seconds(30);
constexpr auto kWindowCheck = std::chrono::seconds(5);
constexpr uint64_t kByeDelayMs = 1000;
constexpr int64_t kCursorsPerAck = 10000;

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

Connection::Connection(Gateway& gateway, Worker& worker, StreamSocket socket, stream::OutletId id)
    : WebSocket(worker, std::move(socket), gateway.limits_->frames),
      gateway_(gateway),
      id_(id),
      beginning_(std::make_unique<Beginning>()),
      timer_(&Connection::on_timer, this) {}

Connection::~Connection() = default;

void Connection::start_anonymous(std::string bytes, Gateway::Wishes wishes) {
  state_ = State::anonymous;
  beginning_->wishes = std::move(wishes);
  beginning_->register_until = worker().now() + gateway_.limits_->register_timeout;
  send_text(welcome("welcome", nullptr));
  arm(beginning_->register_until);
  start(std::move(bytes));
}

void Connection::keep_early(std::string bytes) { beginning_->early = std::move(bytes); }

session::Connection Connection::home_entry() const {
  session::Connection entry;
  entry.id = id_;
  entry.worker = caller_.worker;
  entry.device = caller_.device;
  entry.named_device = caller_.named_device;
  entry.session = caller_.session;
  return entry;
}

void Connection::identify(command::Caller caller) {
  state_ = State::opening;
  caller_ = std::move(caller);
  user_ = caller_.key();
  touched_at_ = worker().now();
}

void Connection::go_live(Gateway::Opening opening, bool auto_ack, bool registered) {
  state_ = State::live;
  set_expiry(caller_.token_expires_at);
  if (auto_ack) {
    auto_ack_ = std::make_unique<AutoAck>();
  }
  send_text(welcome(registered ? "registered" : "welcome", &opening));
  for (const stream::Frame& gap : opening.gaps) {
    send(in_dialect(gap));
  }
  subscriber_ = std::make_unique<stream::Subscriber>(gateway_.parts_.engine, *this, *this);
  const std::unique_ptr<Beginning> beginning = std::move(beginning_);
  for (const auto& news : beginning->news) {
    if (const auto* key = std::get_if<stream::StreamKey>(&news)) {
      std::erase_if(opening.follows, [key](const stream::FollowRequest& one) { return one.key == *key; });
    } else {
      const auto& request = std::get<stream::FollowRequest>(news);
      const bool known = std::any_of(opening.follows.begin(), opening.follows.end(),
                                     [&](const stream::FollowRequest& one) { return one.key == request.key; });
      if (!known) {
        opening.follows.push_back(request);
      }
    }
  }
  subscriber_->begin(std::move(opening.follows));
  look_for_contacts({});
  check_time();
  if (registered) {
    resume(Hold::owner);
  } else {
    start(std::move(beginning->early));
  }
}

void Connection::follow(const stream::FollowRequest& request) {
  if (state_ == State::opening) {
    beginning_->news.emplace_back(request);
  } else if (subscriber_ && open()) {
    subscriber_->follow(request);
    look_for_contacts({});
  }
}

void Connection::unfollow(const stream::StreamKey& key) {
  if (state_ == State::opening) {
    beginning_->news.emplace_back(key);
  } else if (subscriber_) {
    subscriber_->unfollow(key);
    look_for_contacts({});
  }
}

void Connection::signal(const stream::Frame& frame) {
  if (state_ != State::live) {
    return;
  }
  // What may be lost is lost first: a quarter of the queue is enough for it.
  if (queued_bytes() > 0 && (queued_bytes() > gateway_.limits_->queue_bytes / 4 || gateway_.queues_full(worker()))) {
    gateway_.signals_dropped_.add();
    enter_stage(Stage::dropping);
    return;
  }
  gateway_.sent_.add();
  if (events_) {
    send(in_dialect(frame));
  } else {
    send(frame);
  }
}

void Connection::enter_stage(Stage stage) {
  if (open() && stage_ < stage) {
    leave_stage();
    ask_drained();
    stage_ = stage;
    (stage == Stage::dropping ? gateway_.dropping_ : gateway_.lagging_).add(1);
  }
}

void Connection::leave_stage() {
  if (stage_ != Stage::flowing) {
    (stage_ == Stage::dropping ? gateway_.dropping_ : gateway_.lagging_).add(-1);
    stage_ = Stage::flowing;
  }
}

stream::Frame Connection::in_dialect(const stream::Frame& frame) const {
  return events_ ? frame.translated(&events::from_native) : frame;
}

bool Connection::deliver(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) {
  if (!events_) {
    return queue_entry(stream, seq, frame);
  }
  const stream::Frame translated = in_dialect(frame);
  const bool taken = queue_entry(stream, seq, translated);
  if (taken) {
    note_membership(translated);
  }
  return taken;
}

bool Connection::queue_entry(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) {
  if (queued_bytes() > 0 && (queued_bytes() + frame.size() > gateway_.limits_->queue_bytes ||
                             gateway_.queues_full(worker()))) {
    enter_stage(Stage::lagging);
    return false;
  }
  gateway_.sent_.add();
  send(frame);
  if (auto_ack_) {
    auto_ack_->sent(stream, seq, worker().now());
    if (const auto due = auto_ack_->due()) {
      arm(*due);
    }
  }
  return true;
}

void Connection::replay_finished() { send_text("{\"type\":\"synced\"}"); }

void Connection::replay_failed(const Error& error) {
  log_warn("gateway.replay_failed", {{"connection", static_cast<int64_t>(id_)}, {"error", row_of(error.code).name}});
  close_with(CloseCode::storage_unavailable);
}

void Connection::on_drained() {
  leave_stage();
  if (subscriber_) {
    subscriber_->resume();
  }
}

void Connection::on_blocked() { arm(worker().now() + gateway_.limits_->write_stall); }

void Connection::on_closed(CloseCode code) {
  worker().cancel(timer_);
  leave_stage();
  gateway_.forget(*this, code);
  // Not now: this may be called from inside the subscriber.
  worker().post([self = std::static_pointer_cast<Connection>(shared_from_this())] {
    self->subscriber_.reset();
    self->auto_ack_.reset();
  });
}

void Connection::close_with(CloseCode code, std::string_view reason) {
  if (!open()) {
    return;
  }
  const std::string_view text = reason.empty() ? reason_of(code) : reason;
  if (static_cast<int>(code) >= 4000) {
    const bool again = reconnects(code);
    std::string json;
    JsonWriter(json)
        .begin()
        .field("type", "bye")
        .field("code", static_cast<int>(code))
        .field("reason", text)
        .field("reconnect", again)
        .field("after_ms", again ? static_cast<int64_t>(gateway_.parts_.random.below(kByeDelayMs + 1)) : int64_t{0})
        .end();
    send_text(json);
  }
  close(code, text);
}

void Connection::drain_close() {
  if (inflight_ > 0) {
    drain_when_idle_ = true;
    pause(Hold::drain);
    return;
  }
  close_with(CloseCode::draining);
}

void Connection::send_text(const std::string& json) {
  gateway_.sent_.add();
  send(stream::Frame::text(events_ ? events::from_native(json, {}) : json));
}

void Connection::on_message(std::string_view payload, bool) {
  gateway_.received_.add();
  pinged_ = false;
  if (state_ == State::live && worker().now() - touched_at_ > kTouchEvery) {
    touched_at_ = worker().now();
    gateway_.parts_.sessions.touch(user_, caller_.session);
  }
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
    answer_ping();
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
    if (auto_ack_ && subscriber_->is_live(reply->stream.id)) {
      auto_ack_->sent(reply->stream, reply->seq, worker().now());
      arm(worker().now() + AutoAck::kDelay);
    }
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

void Connection::answer_ping() {
  std::string json;
  JsonWriter(json).begin().field("type", "pong").field("timestamp", gateway_.parts_.clock.unix_ms()).end();
  send_text(json);
}

void Connection::acknowledge(simdjson::dom::object object, const std::string& id) {
  static const Fields kFields{
      {.name = "cursors", .type = FieldType::cursor_map, .required = true, .max = kCursorsPerAck},
      {.name = "epoch", .type = FieldType::text, .max = 128}};
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
  gateway_.parts_.devices.confirm(user_, caller_.device, stream, key, seq);
}

void Connection::on_pong(std::string_view payload) {
  pinged_ = false;
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

void Connection::arm(Instant deadline) {
  if (armed_for_ != Instant{} && armed_for_ <= deadline && timer_.armed()) {
    return;
  }
  armed_for_ = deadline;
  const Instant now = worker().clock().now();
  worker().arm(timer_, std::max(deadline - now, std::chrono::nanoseconds(0)));
}

void Connection::on_timer(void* self) {
  auto& connection = *static_cast<Connection*>(self);
  const auto keep = connection.shared_from_this();
  connection.armed_for_ = {};
  connection.check_time();
}

// Does what is due and arms the timer for what comes next.
void Connection::check_time() {
  if (!open()) {
    return;
  }
  const Instant now = worker().clock().now();
  const GatewayOptions& options = gateway_.options_;
  const GatewayLimits& limits = *gateway_.limits_;
  if (state_ == State::anonymous) {
    if (now >= beginning_->register_until) {
      close_with(CloseCode::register_timeout);
      return;
    }
    arm(beginning_->register_until);
    return;
  }
  if (state_ != State::live) {
    return;
  }
  if (now >= expires_) {
    close_with(CloseCode::token_expired);
    return;
  }
  arm(expires_);
  look_if_due(now);
  if (queued_bytes() > 0 && now - last_progress() >= limits.write_stall) {
    close_with(CloseCode::slow_consumer);
    return;
  }
  if (queued_bytes() > 0) {
    arm(last_progress() + limits.write_stall);
  }
  if (subscriber_ && subscriber_->window_stalled(now)) {
    close_with(CloseCode::slow_consumer, "replayed entries were not confirmed");
    return;
  }
  if (subscriber_ && subscriber_->catching_up()) {
    arm(now + kWindowCheck);
  }
  if (is_held(Hold::queue)) {
    arm(now + options.heartbeat_interval);  // silent is only who is listened to
    return;
  }
  if (now - last_received() >= options.heartbeat_timeout) {
    close_with(CloseCode::heartbeat_lost);
    return;
  }
  if (now - last_received() >= options.heartbeat_interval && !pinged_) {
    pinged_ = true;
    ping("h");
  }
  arm(last_received() + (pinged_ ? options.heartbeat_timeout : options.heartbeat_interval));
  if (auto_ack_) {
    if (const auto due = auto_ack_->due()) {
      if (now >= *due) {
        ping(auto_ack_->begin_ping());
      } else {
        arm(*due);
      }
    }
  }
}

}  // namespace tidemark::gateway
