// session.SessionService: sessions over gRPC, the same ones as on REST (proto/session.proto).
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "rpc/calls.h"

namespace tidemark::rpc {

inline constexpr char kSessionServiceName[] = "session.SessionService";

// What it refers to outlives it. It has no state of its own: every worker runs its handlers.
std::unique_ptr<grpc::Service> make_session_service(Calls& calls, session::Sessions& sessions);

}  // namespace tidemark::rpc
