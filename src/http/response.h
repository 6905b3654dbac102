// Responses: the two envelopes of REST, and how a response becomes bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/table.h"
#include "core/result.h"

namespace tidemark::http {

inline constexpr std::string_view kJson = "application/json; charset=utf-8";

using Headers = std::vector<std::pair<std::string_view, std::string>>;

struct Response {
  int status = 200;
  std::string_view content_type = kJson;
  std::string body;
  Headers headers;  // names are static; values hold no line breaks
};

// {"code":200,"message":"Success","data":{…}}
Response success(const command::Reply& reply);

// {"code":404,"message":"…","error":"not_found"} and what else the error says, with the headers that go with it.
Response failure(const Error& error);

// The same for what has no Code of its own, or another status than its Code has.
Response failure(int status, std::string_view code, std::string_view text);

// What the connection adds to a response.
struct Framing {
  bool close = false;           // says `Connection: close`
  bool http10 = false;          // else says `Connection: keep-alive`
  bool head_only = false;       // the answer to HEAD
  bool vary_origin = false;     // the answer depends on Origin
  std::string_view allow_origin;  // for Access-Control-Allow-Origin, empty: none
  int64_t unix_seconds = 0;     // for Date, 0: none
};

// `Cache-Control: no-store` and `X-Content-Type-Options: nosniff` are in every response.
std::string serialize(const Response& response, const Framing& framing);

}  // namespace tidemark::http
