#include "app/bench/operation_calls.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "statesync.grpc.pb.h"

namespace tidemark::app {

namespace proto = aetherflow::statesync;

struct OperationCalls::Call {
  grpc::ClientContext context;
  proto::ApplyOperationResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<proto::ApplyOperationResponse>> reader;
  size_t document = 0;
  std::string id;

  Result<Answer> answer() const {
    if (!status.ok() || !response.success()) {
      return fail(Code::unavailable, "the server refused an operation over gRPC: " +
                                         (status.ok() ? response.error() : status.error_message()));
    }
    const proto::Operation& applied = response.applied_operation();
    return Answer{document, id, static_cast<int64_t>(applied.version()), applied.status()};
  }
};

struct OperationCalls::Channel {
  explicit Channel(const std::string& address) : stub(proto::StateSyncService::NewStub(open(address))) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    queue.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue.Next(&tag, &ok);) {
      const std::unique_ptr<Call> given_up(static_cast<Call*>(tag));
    }
  }

  static std::shared_ptr<grpc::Channel> open(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // each thread has a connection of its own
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }

  std::unique_ptr<proto::StateSyncService::Stub> stub;
  grpc::CompletionQueue queue;
  proto::ApplyOperationRequest request;  // keeps its memory
};

OperationCalls::OperationCalls(const std::string& address) : channel_(std::make_unique<Channel>(address)) {}
OperationCalls::~OperationCalls() = default;

void OperationCalls::apply(const std::string& token, const Operation& operation) {
  proto::Operation& out = *channel_->request.mutable_operation();
  const auto text = [](std::string_view from, std::string* to) { to->assign(from); };
  text(operation.id, out.mutable_id());
  text(operation.doc_id, out.mutable_doc_id());
  text(operation.session_id, out.mutable_session_id());
  text(operation.type, out.mutable_type());
  text(operation.data, out.mutable_data());
  out.set_prev_version(static_cast<uint64_t>(operation.prev_version));
  auto call = std::make_unique<Call>();
  call->document = operation.document;
  call->id = operation.id;
  call->context.AddMetadata("authorization", "Bearer " + token);
  call->reader = channel_->stub->AsyncApplyOperation(&call->context, channel_->request, &channel_->queue);
  auto* const kept = call.release();  // until the queue gives it back
  kept->reader->Finish(&kept->response, &kept->status, kept);
  ++on_their_way_;
}

void OperationCalls::wait(std::chrono::microseconds longest, const Visit& visit) {
  auto until = std::chrono::system_clock::now() + longest;
  void* tag = nullptr;
  bool ok = false;
  while (on_their_way_ > 0 && channel_->queue.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT) {
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    --on_their_way_;
    visit(call->answer());
    until = {};  // only what is there already
  }
}

}  // namespace tidemark::app
