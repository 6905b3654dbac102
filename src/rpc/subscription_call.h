// A server stream of a document's events (SubscribeDocument).
//
// gRPC starts it on a thread of its own; from then on it belongs to one worker, which subscribes, keeps the queue and
// decides on the end; gRPC's threads post to it. The queue has a maximum in bytes: who is too slow while live is sent
// away with UNAVAILABLE and comes back with its last seq; who reads old events makes the log wait. Nothing is skipped.
// Ends: by the client, by UnsubscribeDocument (OK), by the loss of the right or the document, by the token's end,
// revocation or the end of its session (UNAUTHENTICATED), and when the node is drained (UNAVAILABLE).
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "document/document.h"
#include "rpc/call.h"
#include "rpc/streams.h"

namespace tidemark::rpc {

// On gRPC's thread. What is passed outlives the stream.
grpc::ServerWriteReactor<grpc::ByteBuffer>* start_subscription(Calls& calls, Streams& streams, Method& method,
                                                               document::Documents& documents, ServerContext* context,
                                                               const grpc::ByteBuffer* request);

}  // namespace tidemark::rpc
