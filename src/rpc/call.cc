#include "rpc/call.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include "core/error_table.h"
#include "core/log.h"

namespace tidemark::rpc {

Shown shown_by(const ServerContext& context) {
  Shown shown;
  const auto [first, last] = context.client_metadata().equal_range("authorization");
  if (first != last) {
    shown.authorization.emplace(first->second.data(), first->second.size());
    shown.more_than_one = std::next(first) != last;
  }
  shown.peer = parse_peer(context.peer());
  return shown;
}

std::string header_text(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

grpc::Status refusal(const Error& error, CallContext& context) {
  const ErrorRow& row = row_of(error.code);
  ServerContext& server = context.server_context;
  server.AddTrailingMetadata("tidemark-error", std::string(row.name));
  if (!error.field.empty()) {
    server.AddTrailingMetadata("tidemark-field", header_text(error.field));
  }
  if (error.retry_after_ms > 0) {
    server.AddTrailingMetadata("tidemark-retry-after-ms", std::to_string(error.retry_after_ms));
  }
  for (const auto& [name, value] : context.trailers) {
    server.AddTrailingMetadata(name, value);
  }
  const auto code = context.status.value_or(static_cast<grpc::StatusCode>(row.rpc_status));
  std::string text = error.text.empty() ? std::string(row.text) : error.text;
  if (!error.field.empty()) {
    text = error.field + ": " + text;
  }
  return {code, text};
}

UnaryCall::UnaryCall(Calls& calls, Method& method, const Wires& wires, std::unique_ptr<Message> request,
                     std::unique_ptr<Message> response, Handler handler)
    : calls_(calls),
      method_(method),
      wires_(wires),
      context_(*wires.context),
      shown_(shown_by(*wires.context)),
      request_(std::move(request)),
      response_(std::move(response)),
      handler_(std::move(handler)),
      began_(calls.clock().now()) {
  context_.wait_at = [this](CallGate& gate) {
    if (!gate.enter()) {
      return false;
    }
    std::exchange(inside_, &gate)->leave();
    return true;
  };
}

void UnaryCall::begin() {
  inside_ = calls_.gate().enter() ? &calls_.gate() : nullptr;
  if (inside_ == nullptr) {
    finish(fail(Code::unavailable,
                calls_.gate().closed() ? "this node is being stopped" : "too many calls at the moment"));
    return;
  }
  grpc::ByteBuffer bytes(*wires_.request);  // shares the slices; reading empties it
  readable_ = grpc::SerializationTraits<Message>::Deserialize(&bytes, request_.get()).ok();
  calls_.next_worker().post([this] { spawn(serve(this)); });
}

Task<> UnaryCall::serve(UnaryCall* self) {
  auto identity = co_await self->calls_.identify(&self->shown_, &self->method_);
  if (!identity.ok()) {
    self->finish(identity.error());
    co_return;
  }
  if (!self->readable_) {
    self->finish(fail(Code::invalid_frame, "this is no such message: broken, or with a text that is not UTF-8"));
    co_return;
  }
  if (self->context_.cancelled()) {
    self->end({grpc::StatusCode::CANCELLED, "nobody waits for the answer"});
    co_return;
  }
  self->context_.caller = std::move(identity->caller);
  const Status outcome = co_await self->handler_(self->context_, *self->request_, *self->response_);
  if (!outcome.ok() && outcome.error().code == Code::forbidden) {
    const command::Caller& who = self->context_.caller;
    log_info("rpc.denied", {{"method", self->method_.name()},
                            {"user", who.user.str()},
                            {"tenant", who.tenant.str()},
                            {"address", who.client_ip}});
  }
  self->finish(outcome);
}

void UnaryCall::finish(const Status& outcome) {
  if (!outcome.ok()) {
    end(refusal(outcome.error(), context_));
    return;
  }
  bool own_buffer = false;
  end(grpc::SerializationTraits<Message>::Serialize(*response_, wires_.response, &own_buffer));
}

void UnaryCall::end(const grpc::Status& status) {
  method_.count(status.error_code());
  method_.observe(calls_.clock().now() - began_);
  Finish(status);
}

void UnaryCall::OnDone() {
  CallGate* const gate = inside_;
  delete this;
  if (gate != nullptr) {
    gate->leave();
  }
}

}  // namespace tidemark::rpc
