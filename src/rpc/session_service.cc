#include "rpc/session_service.h"

#include <map>

#include "core/json.h"
#include "core/log.h"
#include "rpc/call.h"
#include "rpc/timestamp.h"
#include "session.grpc.pb.h"

namespace tidemark::rpc {
namespace {

namespace pb = ::session;
using command::Rate;
using grpc::ByteBuffer;
using session::Session;
using session::State;

constexpr size_t kReasonBytes = 1024;
constexpr int64_t kPortMax = 65'535;
constexpr int64_t kPageSizeDefault = 20;

// The object of strings as which the session room keeps metadata; sorted, so that equal maps are equal texts.
template <class Map>
std::string metadata_json(const Map& map) {
  const std::map<std::string_view, std::string_view> sorted(map.begin(), map.end());
  std::string json = "{";
  for (const auto& [name, value] : sorted) {
    json += json.size() > 1 ? "," : "";
    append_json_string(json, name);
    json += ':';
    append_json_string(json, value);
  }
  return json + "}";
}

template <class Map>
void read_metadata(const std::string& json, Map& map) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  TIDEMARK_CHECK(parser.parse(json).get(object) == simdjson::SUCCESS);
  for (const auto& [name, value] : object) {
    map[std::string(name)] = std::string(value.get_string().value_unsafe());
  }
}

Result<State> read_state(pb::SessionState state) {
  if (!pb::SessionState_IsValid(state)) {
    return invalid_field("state", "not one of SessionState");
  }
  return static_cast<State>(state);
}

Result<session::Stats> read_stats(const pb::SessionStats& given) {
  for (const uint64_t number : {given.packets_sent(), given.packets_received(), given.bytes_sent(),
                                given.bytes_received(), given.retransmissions()}) {
    if (number > static_cast<uint64_t>(INT64_MAX)) {
      return invalid_field("stats", "a number is larger than 2^63 - 1");
    }
  }
  session::Stats stats;
  stats.packets_sent = static_cast<int64_t>(given.packets_sent());
  stats.packets_received = static_cast<int64_t>(given.packets_received());
  stats.bytes_sent = static_cast<int64_t>(given.bytes_sent());
  stats.bytes_received = static_cast<int64_t>(given.bytes_received());
  stats.retransmissions = static_cast<int64_t>(given.retransmissions());
  stats.current_rtt_ms = given.current_rtt_ms();
  return stats;
}

void write_stats(const session::Stats& stats, pb::SessionStats* out) {
  out->set_packets_sent(static_cast<uint64_t>(stats.packets_sent));
  out->set_packets_received(static_cast<uint64_t>(stats.packets_received));
  out->set_bytes_sent(static_cast<uint64_t>(stats.bytes_sent));
  out->set_bytes_received(static_cast<uint64_t>(stats.bytes_received));
  out->set_retransmissions(static_cast<uint64_t>(stats.retransmissions));
  out->set_current_rtt_ms(static_cast<uint32_t>(stats.current_rtt_ms));
}

// The chain of the generated bases: each method gets the bytes of its message and reads them itself, so that a broken
// message is INVALID_ARGUMENT (gRPC alone would call the method unimplemented).
using Methods = pb::SessionService::WithRawCallbackMethod_CreateSession<
    pb::SessionService::WithRawCallbackMethod_GetSession<pb::SessionService::WithRawCallbackMethod_UpdateSession<
        pb::SessionService::WithRawCallbackMethod_DeleteSession<pb::SessionService::WithRawCallbackMethod_ListSessions<
            pb::SessionService::WithRawCallbackMethod_Heartbeat<pb::SessionService::Service>>>>>>;

class SessionService final : public Methods {
 public:
  SessionService(Calls& calls, session::Sessions& sessions)
      : calls_(calls),
        sessions_(sessions),
        create_(calls.metrics(), "session.SessionService/CreateSession"),
        get_(calls.metrics(), "session.SessionService/GetSession"),
        update_(calls.metrics(), "session.SessionService/UpdateSession"),
        delete_(calls.metrics(), "session.SessionService/DeleteSession"),
        list_(calls.metrics(), "session.SessionService/ListSessions"),
        heartbeat_(calls.metrics(), "session.SessionService/Heartbeat") {}

  grpc::ServerUnaryReactor* CreateSession(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, create_, {context, in, out}, this, &SessionService::create);
  }
  grpc::ServerUnaryReactor* GetSession(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, get_, {context, in, out}, this, &SessionService::get);
  }
  grpc::ServerUnaryReactor* UpdateSession(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, update_, {context, in, out}, this, &SessionService::update);
  }
  grpc::ServerUnaryReactor* DeleteSession(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, delete_, {context, in, out}, this, &SessionService::remove);
  }
  grpc::ServerUnaryReactor* ListSessions(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, list_, {context, in, out}, this, &SessionService::list);
  }
  grpc::ServerUnaryReactor* Heartbeat(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, heartbeat_, {context, in, out}, this, &SessionService::heartbeat);
  }

 private:
  Task<Status> create(CallContext& call, const pb::CreateSessionRequest& request, pb::CreateSessionResponse& response);
  Task<Status> get(CallContext& call, const pb::GetSessionRequest& request, pb::GetSessionResponse& response);
  Task<Status> update(CallContext& call, const pb::UpdateSessionRequest& request, pb::UpdateSessionResponse& response);
  Task<Status> remove(CallContext& call, const pb::DeleteSessionRequest& request, pb::DeleteSessionResponse& response);
  Task<Status> list(CallContext& call, const pb::ListSessionsRequest& request, pb::ListSessionsResponse& response);
  Task<Status> heartbeat(CallContext& call, const pb::HeartbeatRequest& request, pb::HeartbeatResponse& response);

  // The session as it is stored, and what is known of its connection.
  Task<> show(const Session* session, pb::Session* out) const;

  Calls& calls_;
  session::Sessions& sessions_;
  Method create_;
  Method get_;
  Method update_;
  Method delete_;
  Method list_;
  Method heartbeat_;
};

Task<> SessionService::show(const Session* session, pb::Session* out) const {
  out->set_session_id(session->id.str());
  out->set_user_id(session->user.user.str());
  out->set_tenant_id(session->user.tenant.str());
  out->set_device_id(session->device.str());
  out->set_client_ip(session->client_ip);
  out->set_client_port(static_cast<uint32_t>(session->client_port));
  out->set_state(static_cast<pb::SessionState>(sessions_.state_of(*session)));
  set_time(*out->mutable_created_at(), session->created_at);
  set_time(*out->mutable_last_active_at(), session->last_activity);
  set_time(*out->mutable_expires_at(), session->expires_at);
  read_metadata(session->metadata, *out->mutable_metadata());
  const auto live = co_await sessions_.live(session->user, session->id);
  if (live) {
    out->set_connection_id(live->client_id);
    out->set_server_addr(live->node);
  }
  write_stats(live ? live->stats : session->stats, out->mutable_stats());
}

Status check_create(const pb::CreateSessionRequest& request) {
  for (const Status& checked :
       {check_id("user_id", request.user_id(), true), check_id("device_id", request.device_id(), false),
        check_id("client_ip", request.client_ip(), false), check_key("id", request.id())}) {
    if (!checked.ok()) {
      return checked;
    }
  }
  if (request.client_port() > kPortMax) {
    return invalid_field("client_port", "must be from 0 to 65535");
  }
  if (request.timeout_seconds() > session::Sessions::kTimeoutSecondsMax) {
    return invalid_field("timeout_seconds",
                         "must be from 0 to " + std::to_string(session::Sessions::kTimeoutSecondsMax));
  }
  return {};
}

Task<Status> SessionService::create(CallContext& call, const pb::CreateSessionRequest& request,
                                    pb::CreateSessionResponse& response) {
  if (const Status checked = check_create(request); !checked.ok()) {
    co_return checked;
  }
  if (const auto as = act_as(call.caller, "user_id", request.user_id()); !as.ok()) {
    co_return as.error();
  }
  session::CreateRequest wanted;
  wanted.user = UserKey(call.caller.tenant, UserId(request.user_id()));
  wanted.device = DeviceId(request.device_id().empty() ? "default" : request.device_id());
  wanted.metadata = metadata_json(request.metadata());
  if (wanted.metadata.size() > session::Sessions::kMetadataBytes) {
    co_return invalid_field("metadata", "longer than 8192 bytes as JSON");
  }
  wanted.timeout_seconds = request.timeout_seconds();
  wanted.client_ip = request.client_ip();
  wanted.client_port = static_cast<int>(request.client_port());
  if (wanted.client_ip.empty() && !acts_for_all(call.caller)) {
    wanted.client_ip = call.caller.client_ip;
    wanted.client_port = call.caller.client_port;
  }
  wanted.client_id = request.id();
  if (const Status charged = co_await calls_.charge(Rate::creation, &call.caller); !charged.ok()) {
    co_return charged;
  }
  const auto made = co_await sessions_.create(std::move(wanted));
  if (!made.ok()) {
    co_return made.error();
  }
  co_await show(&*made, response.mutable_session());
  response.set_token(sessions_.token_for(*made, call.caller));
  co_return Status();
}

Task<Status> SessionService::get(CallContext& call, const pb::GetSessionRequest& request,
                                 pb::GetSessionResponse& response) {
  if (const Status checked = check_object_id("session_id", request.session_id()); !checked.ok()) {
    co_return checked;
  }
  if (const Status charged = co_await calls_.charge(Rate::query, &call.caller); !charged.ok()) {
    co_return charged;
  }
  const auto found = co_await sessions_.get(scope_of(call.caller), SessionId(request.session_id()));
  if (!found.ok()) {
    co_return found.error();
  }
  co_await show(&*found, response.mutable_session());
  co_return Status();
}

Task<Status> SessionService::update(CallContext& call, const pb::UpdateSessionRequest& request,
                                    pb::UpdateSessionResponse& response) {
  if (const Status checked = check_object_id("session_id", request.session_id()); !checked.ok()) {
    co_return checked;
  }
  const auto state = read_state(request.state());
  if (!state.ok()) {
    co_return state.error();
  }
  session::UpdateRequest change;
  change.owner = scope_of(call.caller);
  change.id = SessionId(request.session_id());
  change.state = *state;
  if (!request.metadata().empty()) {
    change.metadata = metadata_json(request.metadata());
    if (change.metadata.size() > session::Sessions::kMetadataBytes) {
      co_return invalid_field("metadata", "longer than 8192 bytes as JSON");
    }
  }
  if (request.has_stats()) {
    auto stats = read_stats(request.stats());
    if (!stats.ok()) {
      co_return stats.error();
    }
    change.stats = *stats;
  }
  if (const Status charged = co_await calls_.charge(Rate::durable, &call.caller); !charged.ok()) {
    co_return charged;
  }
  const auto changed = co_await sessions_.update(std::move(change));
  if (!changed.ok()) {
    co_return changed.error();
  }
  co_await show(&*changed, response.mutable_session());
  co_return Status();
}

Task<Status> SessionService::remove(CallContext& call, const pb::DeleteSessionRequest& request,
                                    pb::DeleteSessionResponse& response) {
  if (const Status checked = check_object_id("session_id", request.session_id()); !checked.ok()) {
    co_return checked;
  }
  if (const Status checked = check_text("reason", request.reason(), kReasonBytes); !checked.ok()) {
    co_return checked;
  }
  if (const Status charged = co_await calls_.charge(Rate::query, &call.caller); !charged.ok()) {
    co_return charged;
  }
  const Status closed = co_await sessions_.close(scope_of(call.caller), SessionId(request.session_id()));
  if (!closed.ok()) {
    co_return closed;
  }
  if (!request.reason().empty()) {
    log_info("rpc.session_deleted", {{"session", request.session_id()}, {"reason", request.reason()}});
  }
  response.set_success(true);
  co_return Status();
}

// Whose sessions, and which of them.
Result<session::ListRequest> read_list(const command::Caller& caller, const pb::ListSessionsRequest& request) {
  if (const auto as = act_as(caller, "user_id", request.user_id()); !as.ok()) {
    return as.error();
  }
  const auto state = read_state(request.state());
  if (!state.ok()) {
    return state.error();
  }
  session::ListRequest wanted;
  wanted.owner = request.user_id().empty() ? scope_of(caller) : UserKey(caller.tenant, UserId(request.user_id()));
  wanted.first = *state == State::unsaid ? State::connecting : *state;
  wanted.last = *state == State::unsaid ? State::disconnecting : *state;
  wanted.page = request.page() == 0 ? 1 : request.page();
  wanted.page_size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  if (wanted.page > session::Sessions::kPageMax) {
    return invalid_field("page", "must be from 1 to " + std::to_string(session::Sessions::kPageMax));
  }
  if (wanted.page_size > session::Sessions::kPageSizeMax) {
    return invalid_field("page_size", "must be from 1 to " + std::to_string(session::Sessions::kPageSizeMax));
  }
  return wanted;
}

Task<Status> SessionService::list(CallContext& call, const pb::ListSessionsRequest& request,
                                  pb::ListSessionsResponse& response) {
  const auto wanted = read_list(call.caller, request);
  if (!wanted.ok()) {
    co_return wanted.error();
  }
  if (const Status charged = co_await calls_.charge(Rate::query, &call.caller); !charged.ok()) {
    co_return charged;
  }
  const auto found = co_await sessions_.list(*wanted);
  if (!found.ok()) {
    co_return found.error();
  }
  for (const Session& session : found->sessions) {
    co_await show(&session, response.add_sessions());
  }
  response.set_total(static_cast<uint32_t>(found->total));
  response.set_page(static_cast<uint32_t>(wanted->page));
  response.set_page_size(static_cast<uint32_t>(wanted->page_size));
  co_return Status();
}

Task<Status> SessionService::heartbeat(CallContext& call, const pb::HeartbeatRequest& request,
                                       pb::HeartbeatResponse& response) {
  if (const Status checked = check_object_id("session_id", request.session_id()); !checked.ok()) {
    co_return checked;
  }
  if (const Status charged = co_await calls_.charge(Rate::query, &call.caller); !charged.ok()) {
    co_return charged;
  }
  const auto kept = co_await sessions_.heartbeat(scope_of(call.caller), SessionId(request.session_id()));
  if (!kept.ok()) {
    co_return kept.error();
  }
  const int64_t now = calls_.clock().unix_ms();
  response.set_success(true);
  set_time(*response.mutable_server_timestamp(), now);
  response.set_remaining_seconds(static_cast<uint32_t>((kept->expires_at - now) / 1000));
  co_return Status();
}

}  // namespace

std::unique_ptr<grpc::Service> make_session_service(Calls& calls, session::Sessions& sessions) {
  return std::make_unique<SessionService>(calls, sessions);
}

}  // namespace tidemark::rpc
