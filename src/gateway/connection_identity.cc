// Who a connection is: register, refresh, the token's end, and what it is told about itself.
#include <algorithm>

#include "core/json.h"
#include "core/log.h"
#include "gateway/connection.h"

namespace tidemark::gateway {
namespace {

using command::FieldType;
using command::Fields;
using command::Request;

constexpr int64_t kLeewaySeconds = 60;
constexpr int64_t kTokenBytes = 8192;

}  // namespace

void Connection::register_user(simdjson::dom::object object, const std::string& id) {
  static const Fields kFields{{.name = "token", .type = FieldType::text, .max = kTokenBytes},
                              {.name = "user_id", .type = FieldType::id, .alias = "userId"},
                              {.name = "device_id", .type = FieldType::id}};
  if (state_ != State::anonymous) {
    send_error(Error{Code::forbidden, "this connection is registered already", {}, 0}, id);
    return;
  }
  Request request(kFields);
  if (const Status taken = request.take(object); !taken.ok()) {
    send_error(taken.error(), id);
    return;
  }
  account::Claims claims;
  if (request.has("token")) {
    auto verified = gateway_.parts_.account.authenticate(request.text("token"));
    if (!verified.ok()) {
      refuse_token(verified.error(), id);
      return;
    }
    claims = std::move(*verified);
  } else if (request.has("user_id") && gateway_.options_.dev) {
    claims.user = UserId(request.text("user_id"));
    claims.issued_at = gateway_.parts_.clock.unix_ms() / 1000;
    claims.expires_at = INT64_MAX / 2'000'000'000;
  } else {
    send_error(Error{Code::missing_field, "required", "token", 0}, id);
    return;
  }
  if (request.has("device_id")) {
    beginning_->wishes.device = DeviceId(request.text("device_id"));
    beginning_->wishes.named_device = true;
  }
  if (!beginning_->wishes.named_device && !claims.device.empty()) {
    Gateway::name_device(beginning_->wishes, claims.device);
  }
  pause(Hold::owner);
  command::Caller caller = gateway_.caller_of(claims, beginning_->wishes);
  caller.client_ip = caller_.client_ip;
  caller.client_port = caller_.client_port;
  caller_ = std::move(caller);
  user_ = caller_.key();
  token_ = account::TokenMark(claims);
  state_ = State::opening;
  Gateway::Wishes wishes = std::move(beginning_->wishes);
  worker().cancel(timer_);
  armed_for_ = {};
  spawn(open_session(std::move(claims), std::move(wishes), id));
}

// Of `register` or `refresh`.
void Connection::refuse_token(const Error& error, const std::string& id) {
  log_info("gateway.token_refused", {{"connection", static_cast<int64_t>(id_)},
                                     {"code", row_of(error.code).name},
                                     {"reason", error.text},
                                     {"user", user_.user.str()},
                                     {"tenant", user_.tenant.str()},
                                     {"address", caller_.client_ip}});
  send_error(error, id);
  close_with(error.code == Code::unauthorized ? CloseCode::auth_failed : CloseCode::storage_unavailable);
}

// A token of a session opens that one and is worth nothing when it is closed.
Task<> Connection::open_session(account::Claims claims, Gateway::Wishes wishes, std::string id) {
  const auto self = std::static_pointer_cast<Connection>(shared_from_this());
  if (!claims.session.empty()) {
    const Status session = co_await gateway_.parts_.sessions.check_open(user_, claims.session);
    if (!session.ok()) {
      refuse_token(session.error(), id);
      co_return;
    }
    if (wishes.session.empty()) {
      wishes.session = claims.session;
    }
  }
  co_await gateway_.open_registered(self, std::move(wishes));
}

void Connection::refresh(simdjson::dom::object object, const std::string& id) {
  static const Fields kFields{{.name = "token", .type = FieldType::text, .required = true, .max = kTokenBytes}};
  Request request(kFields);
  if (!take_fields(request, object, id)) {
    return;
  }
  if (const Status taken = caller_.rates->take(command::Rate::query, worker().now()); !taken.ok()) {
    send_error(taken.error(), id);
    return;
  }
  auto claims = gateway_.parts_.account.authenticate(request.text("token"));
  if (claims.ok() && (claims->user != user_.user || claims->tenant != user_.tenant)) {
    claims = fail(Code::unauthorized, "the token is another user's");
  }
  if (!claims.ok()) {
    refuse_token(claims.error(), id);
    return;
  }
  begin_command();
  spawn(check_refresh(std::move(*claims), id));
}

Task<> Connection::check_refresh(account::Claims claims, std::string id) {
  const auto self = std::static_pointer_cast<Connection>(shared_from_this());
  if (!claims.session.empty()) {
    const Status open_session = co_await gateway_.parts_.sessions.check_open(user_, claims.session);
    if (!open_session.ok()) {
      end_command();
      if (open_session.error().code == Code::unauthorized) {
        refuse_token(open_session.error(), id);
      } else {
        send_error(open_session.error(), id);
      }
      co_return;
    }
  }
  account::TokenMark token(claims);
  if (gateway_.parts_.account.revoked(user_, token)) {
    // Since it was looked at.
    end_command();
    close_with(CloseCode::session_closed);
    co_return;
  }
  token_ = std::move(token);
  caller_.token_issued_at = claims.issued_at;
  caller_.token_expires_at = claims.expires_at;
  caller_.admin = claims.admin;
  caller_.service = claims.service;
  set_expiry(claims.expires_at);
  command::Reply reply;
  reply.type = "refreshed";
  JsonWriter(reply.fields).field("timestamp", gateway_.parts_.clock.unix_ms());
  answered(reply, id);
  check_time();
}

// A token is good until its `exp`; one that was presented within the leeway after it lasts to the leeway's end.
void Connection::set_expiry(int64_t expires_at) {
  const int64_t now_ms = gateway_.parts_.clock.unix_ms();
  const int64_t end_ms = (expires_at * 1000 > now_ms ? expires_at : expires_at + kLeewaySeconds) * 1000;
  constexpr int64_t kFarMs = 10LL * 365 * 86400 * 1000;
  expires_ = worker().clock().now() + std::chrono::milliseconds(std::clamp<int64_t>(end_ms - now_ms, 0, kFarMs));
}

std::string Connection::client_id() const { return gateway_.options_.node + "-" + std::to_string(id_); }

session::ConnectionReport Connection::report() const {
  const Traffic& moved = traffic();
  session::ConnectionReport report;
  report.client_id = client_id();
  report.node = gateway_.options_.node;
  report.stats.packets_sent = static_cast<int64_t>(moved.frames_out);
  report.stats.packets_received = static_cast<int64_t>(moved.frames_in);
  report.stats.bytes_sent = static_cast<int64_t>(moved.bytes_out);
  report.stats.bytes_received = static_cast<int64_t>(moved.bytes_in);
  report.stats.retransmissions = subscriber_ ? subscriber_->replayed() : 0;
  report.stats.current_rtt_ms = rtt_ms_;
  return report;
}

std::string Connection::welcome(std::string_view type, const Gateway::Opening* opening) const {
  const GatewayOptions& options = gateway_.options_;
  const GatewayLimits& limits = *gateway_.limits_;
  std::string json;
  JsonWriter writer(json);
  writer.begin().field("type", type);
  if (type == "registered") {
    writer.field("content", "Successfully registered");
  }
  writer.field("message", "Welcome to Tidemark").field("client_id", client_id());
  if (opening != nullptr) {
    writer.field("user_id", user_.user.str())
        .field("tenant_id", user_.tenant.str())
        .field("session_id", caller_.session.str())
        .field("device_id", caller_.device.str());
  }
  writer.field("node", options.node)
      .field("epoch", options.epoch)
      .field("timestamp", gateway_.parts_.clock.unix_ms());
  std::string nested;
  JsonWriter(nested)
      .begin()
      .field("interval_ms", options.heartbeat_interval.count())
      .field("timeout_ms", options.heartbeat_timeout.count())
      .end();
  writer.raw("heartbeat", nested);
  nested.clear();
  JsonWriter(nested)
      .begin()
      .field("frame_bytes", limits.frames.message_bytes)
      .field("content_bytes", options.content_bytes)
      .field("replay_entries", limits.replay.per_stream)
      .field("inflight", limits.inflight)
      .field("streams", limits.streams)
      .end();
  writer.raw("limits", nested);
  nested.clear();
  JsonWriter resume(nested);
  resume.begin()
      .field("streams", opening != nullptr ? opening->streams : int64_t{0})
      .field("entries", opening != nullptr ? opening->entries : int64_t{0});
  if (opening != nullptr && opening->left_out > 0) {
    resume.field("left_out", opening->left_out);
  }
  resume.end();
  writer.raw("resume", nested).end();
  return json;
}

}  // namespace tidemark::gateway
