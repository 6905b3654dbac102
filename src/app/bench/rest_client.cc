#include "app/bench/rest_client.h"

#include <boost/beast/http.hpp>
#include <chrono>
#include <cstring>

#include "app/bench/load_tls.h"
#include "core/json.h"

namespace tidemark::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::chrono::seconds kPatience{60};
constexpr size_t kAnswerBytesMax = 64 * 1024 * 1024;  // a group's answer lists all its members
constexpr size_t kShownBytes = 300;
constexpr size_t kDepthMax = 32;

std::string request_body(const std::vector<std::string>& members) {
  std::string list = "[";
  for (const std::string& member : members) {
    if (list.size() > 1) {
      list += ',';
    }
    append_json_string(list, member);
  }
  list += ']';
  std::string body;
  JsonWriter(body).begin().field("title", "tidemark bench").raw("members", list).end();
  return body;
}

Result<Group> read_group(std::string_view body) {
  simdjson::dom::parser parser;
  const Result<simdjson::dom::element> answer = parse_json(parser, body, kDepthMax);
  if (!answer) {
    return answer.error();
  }
  const auto conversation = answer.value()["data"]["conversation"];
  std::string_view id;
  Group group;
  if (conversation["conversation_id"].get(id) != simdjson::SUCCESS ||
      conversation["last_seq"].get(group.last_seq) != simdjson::SUCCESS) {
    return fail(Code::unavailable, "no data.conversation with conversation_id and last_seq in it");
  }
  group.conversation_id = id;
  return group;
}

}  // namespace

RestClient::RestClient(const Target& target, const Accounts& accounts, const std::string& user)
    : target_(target), authorization_("Bearer " + accounts.token(user)) {
  if (target.tls != nullptr) {
    SSL_CTX_up_ref(target.tls.get());
    tls_context_.emplace(target.tls.get());  // takes the reference
  }
}

// Every step ends by itself at the stream's deadline.
template <class Start>
bool RestClient::step(Start start) {
  start([this](beast::error_code error, auto&&...) { error_ = error; });
  io_.restart();
  io_.run();
  return !error_;
}

bool RestClient::connect() {
  asio::ip::tcp::endpoint endpoint;
  endpoint.resize(target_.address_size);
  std::memcpy(endpoint.data(), &target_.address, target_.address_size);
  buffer_.clear();
  stream_.emplace(io_);
  stream_->expires_after(kPatience);
  if (!step([&](auto handler) { stream_->async_connect(endpoint, handler); })) {
    return false;
  }
  stream_->socket().set_option(asio::ip::tcp::no_delay(true), error_);
  if (!tls_context_) {
    return true;
  }
  tls_.emplace(*stream_, *tls_context_);
  return expect_host(tls_->native_handle(), target_.host) &&
         step([&](auto handler) { tls_->async_handshake(asio::ssl::stream_base::client, handler); });
}

void RestClient::disconnect() {
  tls_.reset();
  stream_.reset();
}

template <class Stream, class Request, class Parser>
bool RestClient::exchange(Stream& stream, const Request& request, Parser& parser) {
  return step([&](auto handler) { http::async_write(stream, request, handler); }) &&
         step([&](auto handler) { http::async_read(stream, buffer_, parser, handler); });
}

Result<RestClient::Answer> RestClient::call(http::verb verb, const std::string& path, const std::string& body) {
  http::request<http::string_body> request{verb, "/api/v1" + path, 11};
  request.set(http::field::host, target_.authority);
  request.set(http::field::authorization, authorization_);
  if (!body.empty()) {
    request.set(http::field::content_type, "application/json");
    request.body() = body;
  }
  request.prepare_payload();
  const std::string shown = std::string(request.method_string()) + " " + std::string(request.target());

  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  bool done = stream_ || connect();
  if (done) {
    stream_->expires_after(kPatience);
    done = tls_ ? exchange(*tls_, request, parser) : exchange(*stream_, request, parser);
  }
  if (!done) {
    disconnect();
    return fail(Code::unavailable, shown + " to " + target_.authority + ": " + error_.message());
  }
  auto response = parser.release();
  if (!response.keep_alive()) {
    disconnect();
  }
  if (response.result_int() != 200 && response.result_int() != 201) {
    return fail(Code::unavailable, shown + " was answered with HTTP " + std::to_string(response.result_int()) + ": " +
                                       response.body().substr(0, kShownBytes));
  }
  return Answer{response.result_int(), std::move(response.body())};
}

Result<Group> create_group(RestClient& owner, const std::vector<std::string>& members) {
  const auto answer = owner.call(http::verb::post, "/conversations", request_body(members));
  if (!answer) {
    return answer.error();
  }
  Result<Group> group = read_group(answer->body);
  if (!group) {
    return fail(Code::unavailable, "POST /conversations was answered with " + answer->body.substr(0, kShownBytes) +
                                       ": " + group.error().text);
  }
  return group;
}

}  // namespace tidemark::app
