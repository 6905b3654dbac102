// Connection: one client on a WebSocket: what it says goes to the command table, what it follows comes back.
//
// Owner: its worker. Made by Gateway; anonymous until it has a token, opening while its session and streams are looked
// up (nothing is read meanwhile), live until it closes.
// Promises: commands start in the order they were sent; an answer to each, or a close; `bye` before every 4xxx close.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "gateway/auto_ack.h"
#include "gateway/connection_events.h"
#include "gateway/gateway.h"
#include "gateway/strikes.h"
#include "gateway/websocket.h"

namespace tidemark::gateway {

class Connection final : public WebSocket, public stream::Outlet, public stream::Subscriber::Events {
 public:
  Connection(Gateway& gateway, Worker& worker, StreamSocket socket, stream::OutletId id);
  ~Connection() override;

  stream::OutletId outlet_id() const override { return id_; }
  const UserKey& user() const override { return user_; }
  const command::Caller& caller() const { return caller_; }
  // As the user's home knows it; without the conversations that it asked for.
  session::Connection home_entry() const;
  session::ConnectionReport report() const;
  int64_t behind() const { return subscriber_ ? subscriber_->behind() : 0; }

  // From now on in the event dialect. Before anything is sent.
  void speak_events();
  // Waits for `register`.
  void start_anonymous(std::string early, Gateway::Wishes wishes);
  // Who it is; nothing is read until go_live().
  void identify(command::Caller caller);
  void keep_early(std::string bytes);  // what came behind the handshake, until reading starts
  // What of its token a revocation can name.
  void set_token(account::TokenMark token) { token_ = std::move(token); }
  bool revoked() const { return state_ != State::anonymous && gateway_.parts_.account.revoked(user_, token_); }
  bool at_home = false;  // the user's home knows it and has to be told of its end
  void go_live(Gateway::Opening opening, bool auto_ack, bool registered);

  // From the rooms, on this worker.
  void follow(const stream::FollowRequest& request);
  void unfollow(const stream::StreamKey& key);
  void signal(const stream::Frame& frame) override;

  // `bye`, then the close frame.
  void close_with(CloseCode code, std::string_view reason = {});
  // The same with 4200, when what it has sent is answered.
  void drain_close();

 private:
  enum class State : uint8_t { anonymous, opening, live };
  // How full the queue is: what it has not been told since it was last empty.
  enum class Stage : uint8_t { flowing, dropping, lagging };

  // WebSocket
  void on_message(std::string_view payload, bool binary) override;
  void on_ping(std::string_view payload) override;
  void on_pong(std::string_view payload) override;
  size_t queue_bytes_max() const override { return gateway_.limits_->queue_bytes; }
  void on_drained() override;
  void on_blocked() override;
  void on_closed(CloseCode code) override;
  // stream::Outlet
  bool deliver(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) override;
  // stream::Subscriber::Events
  void replay_finished() override;
  void replay_failed(const Error& error) override;

  using Handle = void (Connection::*)(std::string_view payload);
  void handle_limited(Handle act, std::string_view payload);
  static Task<> handle_first(std::shared_ptr<Connection> self, Handle act, std::string payload);
  void handle_text(std::string_view payload);
  void handle_ping(std::string_view payload);
  void dispatch(simdjson::dom::object object);
  void dispatch_event(simdjson::dom::object object);
  void note_membership(const stream::Frame& translated);
  void look_for_contacts(std::chrono::nanoseconds after);
  void look_if_due(Instant now);
  static Task<> watch_contacts(std::shared_ptr<Connection> self);
  static Task<bool> run_for_contacts(std::shared_ptr<Connection> self, std::string_view type, std::vector<std::string> users);
  bool take_fields(command::Request& request, simdjson::dom::object object, const std::string& id);
  Status take_inbound(size_t bytes);
  Status take_upkeep();
  void answer_ping(const std::string& id);
  void acknowledge(simdjson::dom::object object, const std::string& id);
  void register_user(simdjson::dom::object object, const std::string& id);
  void refuse_token(const Error& error, const std::string& id);
  Task<> open_session(account::Claims claims, Gateway::Wishes wishes, std::string id);
  void refresh(simdjson::dom::object object, const std::string& id);
  Task<> check_refresh(account::Claims claims, std::string id);
  static Task<> run_command(std::shared_ptr<Connection> self, const command::Row* row, command::Request request,
                            std::string id);
  void answered(const Result<command::Reply>& reply, const std::string& id);
  void enter_stage(Stage stage);
  void leave_stage();
  void begin_command();
  void end_command();
  void send_error(const Error& error, const std::string& id);
  void confirmed(const stream::StreamRef& stream, const stream::StreamKey& key, int64_t seq);
  std::string welcome(std::string_view type, const Gateway::Opening* opening) const;
  std::string client_id() const;
  void send_text(const std::string& json);
  stream::Frame in_dialect(const stream::Frame& frame) const;
  bool queue_entry(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame);
  void set_expiry(int64_t expires_at);

  static void on_timer(void* self);
  void check_time();
  void arm(Instant deadline);
  void send_ping(std::string_view payload);

  Gateway& gateway_;
  const stream::OutletId id_;
  UserKey user_;
  account::TokenMark token_;
  command::Caller caller_;
  // Of a connection that is not live yet.
  struct Beginning {
    Gateway::Wishes wishes;
    Instant register_until{};
    std::string early;
    // What the rooms said while the streams were being looked up; it is newer than the answer.
    std::vector<std::variant<stream::FollowRequest, stream::StreamKey>> news;
  };
  std::unique_ptr<Beginning> beginning_;
  std::unique_ptr<stream::Subscriber> subscriber_;
  std::unique_ptr<AutoAck> auto_ack_;
  std::unique_ptr<EventSide> events_;  // null: it speaks the native dialect
  std::unique_ptr<Strikes> bad_frames_;
  std::unique_ptr<Strikes> refusals_;
  command::RateBucket inbound_;  // bytes that it may send
  Timer timer_;
  Instant armed_for_{};
  Instant expires_{};
  Instant touched_at_{};
  Instant pinged_at_{};  // of the ping whose pong is awaited
  int32_t rtt_ms_ = 0;   // of the last one, at least 1; 0: none came back yet
  uint32_t inflight_ = 0;
  State state_ = State::opening;
  Stage stage_ = Stage::flowing;
  bool pinged_ = false;
  bool drain_when_idle_ = false;
};

}  // namespace tidemark::gateway
