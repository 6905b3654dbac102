// Whose a connection or a request really is, when proxies stand in between.
//
// Only what a trusted proxy says counts: a header that anybody can write would let anybody be anybody.
#pragma once

#include <boost/beast/http/fields.hpp>

#include "core/address.h"
#include "http/proxy_protocol.h"

namespace tidemark::http {

// The client of a request that came from `peer`. If the peer is trusted, X-Forwarded-For is read from its right end, and
// the first address that is no trusted proxy is the client; where all are trusted, the first of the list. An entry that
// is no address ends the reading: what stands left of it was written by nobody known.
Peer client_of(const boost::beast::http::fields& head, Peer peer, const Networks& trusted);

// Looks at what the socket has received, without taking it but for a whole PROXY header, which is taken. With need_more
// the socket becomes readable only when it holds as many bytes as are needed to know more.
ProxyHeader take_proxy_header(int socket);

}  // namespace tidemark::http
