#include "rpc/subscription_call.h"

#include <grpc/grpc.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <deque>

#include "core/error_table.h"
#include "core/log.h"
#include "rpc/document_messages.h"
#include "statesync.pb.h"

namespace tidemark::rpc {
namespace {

namespace pb = ::aetherflow::statesync;
using grpc::ByteBuffer;

constexpr std::chrono::milliseconds kLookAgain = std::chrono::hours(24);  // at an end that is still far away

class SubscriptionCall final : public grpc::ServerWriteReactor<ByteBuffer>,
                               public std::enable_shared_from_this<SubscriptionCall> {
 public:
  struct Parts {
    Calls& calls;
    Streams& streams;
    Method& method;
    document::Documents& documents;
  };
  SubscriptionCall(const Parts& parts, ServerContext& context)
      : parts_(parts),
        context_(context),
        call_(context.c_call()),
        worker_(parts.calls.next_worker()),
        shown_(shown_by(context)),
        timer_([](void* self) { static_cast<SubscriptionCall*>(self)->time_is_over(); }, this) {}

  void begin(const ByteBuffer& request);

 private:
  using Self = std::shared_ptr<SubscriptionCall>;

  // gRPC's threads.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // The worker.
  static Task<> serve(Self self);
  Task<Status> subscribe();
  bool take(const document::Event& event);
  void write_next();
  void written(bool ok);
  void end(const Status& outcome);
  void time_is_over();
  void arm_expiry();

  const Parts parts_;
  CallContext context_;
  grpc_call* const call_;  // a reference of our own: the context is gone as soon
                           // as OnDone() has returned
  Worker& worker_;
  const Shown shown_;
  Self self_;  // until gRPC is done with it
  pb::SubscribeDocumentRequest request_;
  bool readable_ = false;
  bool entered_ = false;

  // Owner: the worker.
  OpenStream open_;
  std::optional<document::Subscription> subscription_;
  std::deque<ByteBuffer> queue_;  // the first one is being written while `writing_`
  size_t queue_bytes_ = 0;
  bool writing_ = false;
  bool refused_ = false;  // an event was not taken: the room waits to hear of room
  bool ended_ = false;
  Timer timer_;  // the token's end; after the end: the last moment to take it
};

void SubscriptionCall::begin(const ByteBuffer& request) {
  self_ = shared_from_this();
  grpc_call_ref(call_);
  entered_ = parts_.streams.gate().enter();
  ByteBuffer bytes(request);
  readable_ = grpc::SerializationTraits<pb::SubscribeDocumentRequest>::Deserialize(&bytes, &request_).ok();
  worker_.post([self = self_] { spawn(serve(self)); });
}

Task<> SubscriptionCall::serve(Self self) {
  const Status begun = co_await self->subscribe();
  if (!begun.ok()) {
    self->end(begun);
  }
}

Task<Status> SubscriptionCall::subscribe() {
  if (!entered_) {
    co_return fail(Code::unavailable, parts_.streams.gate().closed() ? "this node is being stopped"
                                                                     : "too many subscriptions at the moment");
  }
  auto identity = co_await parts_.calls.identify(&shown_, &parts_.method);
  if (!identity.ok()) {
    co_return identity.error();
  }
  if (!readable_) {
    co_return fail(Code::invalid_frame, "this is no such message: broken, or with a text that is not UTF-8");
  }
  context_.caller = std::move(identity->caller);
  auto as = act_as(context_.caller, "user_id", request_.user_id());
  const auto from_version = read_number("from_version", request_.from_version());
  const auto from_seq = read_number("from_seq", request_.from_seq());
  if (!as.ok() || !from_version.ok() || !from_seq.ok()) {
    co_return !as.ok() ? as.error() : !from_version.ok() ? from_version.error() : from_seq.error();
  }
  if (const Status checked = check_object_id("doc_id", request_.doc_id()); !checked.ok()) {
    co_return checked;
  }
  if (const Status charged = co_await parts_.calls.charge(command::Rate::query, &context_.caller); !charged.ok()) {
    co_return charged;
  }
  document::SubscribeRequest wanted;
  wanted.doc_id = request_.doc_id();
  wanted.session_id = request_.session_id();
  wanted.from_version = *from_version;
  wanted.from_seq = *from_seq;
  wanted.epoch = request_.epoch();
  document::Sink sink;
  sink.event = [self = shared_from_this()](const document::Event& event) { return self->take(event); };
  sink.ended = [self = shared_from_this()](const std::optional<Error>& error) {
    self->end(error ? Status(*error) : Status());
  };
  auto subscription = co_await parts_.documents.subscribe(std::move(*as), std::move(wanted), std::move(sink));
  if (!subscription.ok()) {
    if (subscription.error().code == Code::stale_version && subscription.error().field != "epoch") {
      context_.status = grpc::StatusCode::OUT_OF_RANGE;
    }
    co_return subscription.error();
  }
  if (ended_ || context_.cancelled()) {
    co_return fail(Code::unavailable, "nobody listens any more");
  }
  if (parts_.streams.gate().closed()) {
    co_return fail(Code::unavailable, "this node is being stopped");
  }
  open_.owner = std::move(identity->owner);
  open_.token = std::move(identity->token);
  open_.with_token = identity->with_token;
  open_.session = context_.caller.session;
  open_.end = [self = shared_from_this()](const Error& error) { self->end(error); };
  if (!parts_.streams.add(open_)) {
    co_return fail(Code::unauthorized, "the token was revoked");
  }
  arm_expiry();
  subscription_.emplace(std::move(*subscription));
  subscription_->start();
  co_return Status();
}

void SubscriptionCall::arm_expiry() {
  if (const int64_t expires_at = context_.caller.token_expires_at; expires_at > 0) {
    const int64_t left_ms = expires_at * 1000 - parts_.calls.clock().unix_ms();
    worker_.arm(timer_, std::clamp<std::chrono::milliseconds>(std::chrono::milliseconds(left_ms),
                                                              std::chrono::milliseconds(0), kLookAgain));
  }
}

bool SubscriptionCall::take(const document::Event& event) {
  if (ended_) {
    return true;
  }
  pb::OperationEvent message;
  write(event, &message);
  const size_t size = message.ByteSizeLong();
  if (!queue_.empty() && queue_bytes_ + size > parts_.streams.options().queue_bytes) {
    refused_ = true;
    return false;
  }
  ByteBuffer bytes;
  bool own_buffer = false;
  const grpc::Status packed = grpc::SerializationTraits<pb::OperationEvent>::Serialize(message, &bytes, &own_buffer);
  TIDEMARK_CHECK(packed.ok());
  queue_bytes_ += size;
  queue_.push_back(std::move(bytes));
  write_next();
  return true;
}

void SubscriptionCall::write_next() {
  if (!writing_ && !ended_ && !queue_.empty()) {
    writing_ = true;
    StartWrite(&queue_.front());
  }
}

void SubscriptionCall::OnWriteDone(bool ok) {
  worker_.post([self = self_, ok] { self->written(ok); });
}

void SubscriptionCall::written(bool ok) {
  writing_ = false;
  queue_bytes_ -= std::min(queue_bytes_, queue_.front().Length());
  queue_.pop_front();
  if (ended_) {
    return;
  }
  if (!ok) {
    end(fail(Code::unavailable, "the client has gone"));
    return;
  }
  write_next();
  // Half of it: a page of the log is worth the way.
  if (refused_ && queue_bytes_ <= parts_.streams.options().queue_bytes / 2) {
    refused_ = false;
    subscription_->resume();
  }
}

void SubscriptionCall::OnCancel() {
  worker_.post([self = self_] { self->end(fail(Code::unavailable, "the client has gone")); });
}

// What waits and is not being written goes nowhere: the client has to come back with its last seq anyway, and would
// wait behind it for the status.
void SubscriptionCall::end(const Status& outcome) {
  worker_.assert_owner();
  if (std::exchange(ended_, true)) {
    return;
  }
  parts_.streams.remove(open_);
  subscription_.reset();
  queue_.resize(writing_ ? 1 : 0);
  const grpc::Status status = outcome.ok() ? grpc::Status::OK : refusal(outcome.error(), context_);
  parts_.method.count(status.error_code());
  worker_.arm(timer_, parts_.streams.options().write_stall);
  const auto keep = shared_from_this();
  open_.end = nullptr;
  Finish(status);
}

void SubscriptionCall::time_is_over() {
  if (ended_) {
    grpc_call_cancel(call_,
                     nullptr);  // it takes neither its last event nor the status
  } else if (context_.caller.token_expires_at * 1000 <= parts_.calls.clock().unix_ms()) {
    end(fail(Code::unauthorized, "the token has expired"));
  } else {
    arm_expiry();
  }
}

void SubscriptionCall::OnDone() {
  worker_.post([self = std::exchange(self_, nullptr)] {
    self->worker_.cancel(self->timer_);
    grpc_call_unref(self->call_);
    if (self->entered_) {
      self->parts_.streams.gate().leave();
    }
  });
}

}  // namespace

grpc::ServerWriteReactor<ByteBuffer>* start_subscription(Calls& calls, Streams& streams, Method& method,
                                                         document::Documents& documents, ServerContext* context,
                                                         const ByteBuffer* request) {
  const SubscriptionCall::Parts parts{calls, streams, method, documents};
  const auto call = std::make_shared<SubscriptionCall>(parts, *context);
  call->begin(*request);
  return call.get();
}

}  // namespace tidemark::rpc
