// Cross-origin requests of browsers (Fetch standard, "HTTP-CORS protocol"). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/request_reader.h"
#include "http/response.h"

namespace tidemark::http {

// The request's Origin if it is one of `allowed`, compared exactly; else empty. A view into `allowed`.
std::string_view allowed_origin(const HttpRequest& request, const std::vector<std::string>& allowed);

// Whether a browser asks if it may send another request.
bool is_preflight(const HttpRequest& request);

// The answer to a preflight from an allowed origin.
Response preflight_answer();

}  // namespace tidemark::http
