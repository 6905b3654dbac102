// aetherflow.statesync.StateSyncService: shared documents over gRPC (proto/statesync.proto).
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "document/document.h"
#include "rpc/calls.h"
#include "rpc/streams.h"

namespace tidemark::rpc {

inline constexpr char kDocumentServiceName[] = "aetherflow.statesync.StateSyncService";

// What it refers to outlives it. It has no state of its own: every worker runs its handlers.
std::unique_ptr<grpc::Service> make_document_service(Calls& calls, Streams& streams, document::Documents& documents);

}  // namespace tidemark::rpc
