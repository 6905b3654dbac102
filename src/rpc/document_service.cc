#include "rpc/document_service.h"

#include "rpc/document_handlers.h"
#include "rpc/subscription_call.h"
#include "statesync.grpc.pb.h"

namespace tidemark::rpc {
namespace {

namespace pb = ::aetherflow::statesync;
using grpc::ByteBuffer;
using Unary = grpc::ServerUnaryReactor;

// The raw bases, as in session_service.cc.
template <class Base>
using Reading =
    pb::StateSyncService::WithRawCallbackMethod_GetDocument<pb::StateSyncService::WithRawCallbackMethod_ListDocuments<
        pb::StateSyncService::WithRawCallbackMethod_GetOperationHistory<
            pb::StateSyncService::WithRawCallbackMethod_IsLocked<
                pb::StateSyncService::WithRawCallbackMethod_ListConflicts<
                    pb::StateSyncService::WithRawCallbackMethod_GetStats<Base>>>>>>;
template <class Base>
using Writing = pb::StateSyncService::WithRawCallbackMethod_CreateDocument<
    pb::StateSyncService::WithRawCallbackMethod_UpdateDocument<
        pb::StateSyncService::WithRawCallbackMethod_DeleteDocument<
            pb::StateSyncService::WithRawCallbackMethod_ApplyOperation<
                pb::StateSyncService::WithRawCallbackMethod_AcquireLock<
                    pb::StateSyncService::WithRawCallbackMethod_ReleaseLock<
                        pb::StateSyncService::WithRawCallbackMethod_ResolveConflict<Base>>>>>>>;
template <class Base>
using Following = pb::StateSyncService::WithRawCallbackMethod_SubscribeDocument<
    pb::StateSyncService::WithRawCallbackMethod_UnsubscribeDocument<Base>>;
using Methods = Reading<Writing<Following<pb::StateSyncService::Service>>>;

class DocumentService final : public Methods {
 public:
  DocumentService(Calls& calls, Streams& streams, document::Documents& documents)
      : calls_(calls), streams_(streams), documents_(documents), handlers_(calls, streams.gate(), documents) {}

  Unary* CreateDocument(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, create_, {context, in, out}, &handlers_, &DocumentHandlers::create);
  }
  Unary* GetDocument(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, get_, {context, in, out}, &handlers_, &DocumentHandlers::get);
  }
  Unary* UpdateDocument(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, update_, {context, in, out}, &handlers_, &DocumentHandlers::update);
  }
  Unary* DeleteDocument(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, delete_, {context, in, out}, &handlers_, &DocumentHandlers::remove);
  }
  Unary* ListDocuments(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, list_, {context, in, out}, &handlers_, &DocumentHandlers::list);
  }
  Unary* ApplyOperation(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, apply_, {context, in, out}, &handlers_, &DocumentHandlers::apply);
  }
  Unary* GetOperationHistory(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, history_, {context, in, out}, &handlers_, &DocumentHandlers::history);
  }
  Unary* UnsubscribeDocument(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, unsubscribe_, {context, in, out}, &handlers_, &DocumentHandlers::unsubscribe);
  }
  Unary* AcquireLock(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, acquire_, {context, in, out}, &handlers_, &DocumentHandlers::acquire);
  }
  Unary* ReleaseLock(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, release_, {context, in, out}, &handlers_, &DocumentHandlers::release);
  }
  Unary* IsLocked(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, is_locked_, {context, in, out}, &handlers_, &DocumentHandlers::is_locked);
  }
  Unary* ListConflicts(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, conflicts_, {context, in, out}, &handlers_, &DocumentHandlers::conflicts);
  }
  Unary* ResolveConflict(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, resolve_, {context, in, out}, &handlers_, &DocumentHandlers::resolve);
  }
  Unary* GetStats(ServerContext* context, const ByteBuffer* in, ByteBuffer* out) override {
    return start_call(calls_, stats_, {context, in, out}, &handlers_, &DocumentHandlers::stats);
  }
  grpc::ServerWriteReactor<ByteBuffer>* SubscribeDocument(ServerContext* context, const ByteBuffer* in) override {
    return start_subscription(calls_, streams_, subscribe_, documents_, context, in);
  }

 private:
  Method method(const char* name) { return {calls_.metrics(), std::string(kDocumentServiceName) + "/" + name}; }

  Calls& calls_;
  Streams& streams_;
  document::Documents& documents_;
  DocumentHandlers handlers_;
  Method create_ = method("CreateDocument");
  Method get_ = method("GetDocument");
  Method update_ = method("UpdateDocument");
  Method delete_ = method("DeleteDocument");
  Method list_ = method("ListDocuments");
  Method apply_ = method("ApplyOperation");
  Method history_ = method("GetOperationHistory");
  Method subscribe_ = method("SubscribeDocument");
  Method unsubscribe_ = method("UnsubscribeDocument");
  Method acquire_ = method("AcquireLock");
  Method release_ = method("ReleaseLock");
  Method is_locked_ = method("IsLocked");
  Method conflicts_ = method("ListConflicts");
  Method resolve_ = method("ResolveConflict");
  Method stats_ = method("GetStats");
};

}  // namespace

std::unique_ptr<grpc::Service> make_document_service(Calls& calls, Streams& streams, document::Documents& documents) {
  return std::make_unique<DocumentService>(calls, streams, documents);
}

}  // namespace tidemark::rpc
