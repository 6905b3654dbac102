// UnaryCall: one call from its bytes to its answer; the bridge from gRPC's threads to a worker and back.
//
// gRPC calls the service on a thread of its own. The call takes a place at the gate, reads its message, and is posted
// to a worker, where a coroutine finds out who calls, runs the handler and finishes. The handler and everything it
// touches are the worker's; gRPC's threads see the call only before that and after.
// Life: made by start_call(); it is the gRPC reactor, and ends itself when gRPC has sent the answer. What the coroutine
// uses lives in it, so that a client that goes away takes nothing from under it: the handler runs to its end, what it
// has committed stays, and its answer goes nowhere.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "rpc/calls.h"

namespace tidemark::rpc {

using ServerContext = grpc::CallbackServerContext;

// What a handler knows of its call and may say beside the answer. Owner: the worker.
struct CallContext {
  explicit CallContext(ServerContext& server) : server_context(server) {}

  // The client has gone, or its deadline is over. Any thread.
  bool cancelled() const { return server_context.IsCancelled(); }

  command::Caller caller;
  ServerContext& server_context;
  // For a refusal: more trailers (names and values are printable ASCII), and another status than the table's.
  std::vector<std::pair<std::string, std::string>> trailers;
  std::optional<grpc::StatusCode> status;
  // True when nobody waits for the answer any more; for whoever waits long and may outlive the call.
  std::shared_ptr<std::atomic<bool>> abandoned = std::make_shared<std::atomic<bool>>(false);
  // Gives up the call's place for one at another gate, before a long wait: it must not keep others from calling. False:
  // there is none, and nothing has changed.
  std::function<bool(CallGate&)> wait_at;
};

// What the metadata and the connection of a call show.
Shown shown_by(const ServerContext& context);
// A refusal as its status; its code, field and time to wait go into the trailers. Before Finish().
grpc::Status refusal(const Error& error, CallContext& context);
// "%" and everything that is not printable ASCII as %XX: metadata holds nothing else.
std::string header_text(std::string_view text);

class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  using Message = google::protobuf::Message;
  using Handler = std::function<Task<Status>(CallContext&, const Message&, Message&)>;

  struct Wires {
    ServerContext* context;
    const grpc::ByteBuffer* request;
    grpc::ByteBuffer* response;
  };
  UnaryCall(Calls& calls, Method& method, const Wires& wires, std::unique_ptr<Message> request,
            std::unique_ptr<Message> response, Handler handler);

  // On gRPC's thread, once.
  void begin();

 private:
  void OnCancel() override { context_.abandoned->store(true); }
  void OnDone() override;

  static Task<> serve(UnaryCall* self);
  void finish(const Status& outcome);
  void end(const grpc::Status& status);

  Calls& calls_;
  Method& method_;
  const Wires wires_;
  CallContext context_;
  const Shown shown_;
  const std::unique_ptr<Message> request_;
  const std::unique_ptr<Message> response_;
  const Handler handler_;
  const Instant began_;
  bool readable_ = false;
  CallGate* inside_ = nullptr;  // where it has a place; null: nowhere
};

// For a service's override of a raw callback method.
template <class Service, class Request, class Response>
grpc::ServerUnaryReactor* start_call(Calls& calls, Method& method, const UnaryCall::Wires& wires, Service* service,
                                     Task<Status> (Service::*handler)(CallContext&, const Request&, Response&)) {
  auto* const call = new UnaryCall(
      calls, method, wires, std::make_unique<Request>(), std::make_unique<Response>(),
      [service, handler](CallContext& context, const UnaryCall::Message& request, UnaryCall::Message& response) {
        return (service->*handler)(context, static_cast<const Request&>(request), static_cast<Response&>(response));
      });
  call->begin();
  return call;
}

}  // namespace tidemark::rpc
