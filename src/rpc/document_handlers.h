// What each method of StateSyncService does. Private to the gRPC door.
//
// Owner: none, it has no state: every worker runs it. The document room moves to the document's owner by itself.
#pragma once

#include "document/document.h"
#include "rpc/call.h"
#include "statesync.pb.h"

namespace tidemark::rpc {

namespace statesync_pb = ::aetherflow::statesync;

class DocumentHandlers {
 public:
  // `waiting`: where calls have their place that wait for a lock.
  DocumentHandlers(Calls& calls, CallGate& waiting, document::Documents& documents)
      : calls_(calls), waiting_(waiting), documents_(documents) {}

  Task<Status> create(CallContext& call, const statesync_pb::CreateDocumentRequest& in,
                      statesync_pb::CreateDocumentResponse& out);
  Task<Status> get(CallContext& call, const statesync_pb::GetDocumentRequest& in,
                   statesync_pb::GetDocumentResponse& out);
  Task<Status> update(CallContext& call, const statesync_pb::UpdateDocumentRequest& in,
                      statesync_pb::UpdateDocumentResponse& out);
  Task<Status> remove(CallContext& call, const statesync_pb::DeleteDocumentRequest& in,
                      statesync_pb::DeleteDocumentResponse& out);
  Task<Status> list(CallContext& call, const statesync_pb::ListDocumentsRequest& in,
                    statesync_pb::ListDocumentsResponse& out);
  Task<Status> apply(CallContext& call, const statesync_pb::ApplyOperationRequest& in,
                     statesync_pb::ApplyOperationResponse& out);
  Task<Status> history(CallContext& call, const statesync_pb::GetOperationHistoryRequest& in,
                       statesync_pb::GetOperationHistoryResponse& out);
  Task<Status> unsubscribe(CallContext& call, const statesync_pb::UnsubscribeDocumentRequest& in,
                           statesync_pb::UnsubscribeDocumentResponse& out);
  Task<Status> acquire(CallContext& call, const statesync_pb::AcquireLockRequest& in,
                       statesync_pb::AcquireLockResponse& out);
  Task<Status> release(CallContext& call, const statesync_pb::ReleaseLockRequest& in,
                       statesync_pb::ReleaseLockResponse& out);
  Task<Status> is_locked(CallContext& call, const statesync_pb::IsLockedRequest& in,
                         statesync_pb::IsLockedResponse& out);
  Task<Status> conflicts(CallContext& call, const statesync_pb::ListConflictsRequest& in,
                         statesync_pb::ListConflictsResponse& out);
  Task<Status> resolve(CallContext& call, const statesync_pb::ResolveConflictRequest& in,
                       statesync_pb::ResolveConflictResponse& out);
  Task<Status> stats(CallContext& call, const statesync_pb::GetStatsRequest& in, statesync_pb::GetStatsResponse& out);

 private:
  // A field that says who or what is meant.
  struct Named {
    Named(std::string_view name, const std::string& given) : field(name), value(given) {}
    std::string_view field;
    const std::string& value;
  };
  // Who acts, when it may, on a document, and has paid for it.
  Task<Result<command::Caller>> admit(CallContext& call, command::Rate rate, Named user, Named document) const;
  Task<Result<command::Caller>> admit(CallContext& call, command::Rate rate, Named user) const;

  Calls& calls_;
  CallGate& waiting_;
  document::Documents& documents_;
};

}  // namespace tidemark::rpc
