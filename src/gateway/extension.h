// Negotiating permessage-deflate (RFC 7692, 7.1) in the opening handshake. Pure.
#pragma once

#include <string>

#include "gateway/handshake.h"

namespace tidemark::gateway {

// The value of Sec-WebSocket-Extensions in the answer to the first offer that can be accepted; empty: none can, so that
// the connection has no compression. No context is ever kept from one message to the next, in either direction. An offer
// is declined that wants a smaller window from us than kDeflateWindowBits, or has a parameter that is unknown, twice
// there, or out of range.
std::string accept_deflate(const RequestHead& head);

}  // namespace tidemark::gateway
