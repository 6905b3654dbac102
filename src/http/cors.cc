#include "http/cors.h"

#include <algorithm>

namespace tidemark::http {

using boost::beast::http::field;

std::string_view allowed_origin(const HttpRequest& request, const std::vector<std::string>& allowed) {
  const auto [origin, end] = request.equal_range(field::origin);
  if (std::distance(origin, end) != 1) {
    return {};  // none, or several of which a proxy might have looked at another one
  }
  const auto found = std::find(allowed.begin(), allowed.end(), std::string_view(origin->value()));
  return found != allowed.end() ? std::string_view(*found) : std::string_view();
}

bool is_preflight(const HttpRequest& request) {
  return request.method() == boost::beast::http::verb::options &&
         request.find(field::access_control_request_method) != request.end();
}

Response preflight_answer() {
  Response response;
  response.status = 204;
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE");
  response.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type, Tidemark-User");
  response.headers.emplace_back("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace tidemark::http
