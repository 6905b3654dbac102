#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "app/bench/target.h"
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

// One request and its answer. Every step ends by itself at the stream's deadline.
class Call {
 public:
  Result<http::response<http::string_body>> run(const Target& target, http::request<http::string_body>& request) {
    asio::ip::tcp::endpoint endpoint;
    endpoint.resize(target.address_size);
    std::memcpy(endpoint.data(), &target.address, target.address_size);
    http::response_parser<http::string_body> parser;
    parser.body_limit(kAnswerBytesMax);
    beast::flat_buffer buffer;
    stream_.expires_after(kPatience);
    const bool done = step([&](auto handler) { stream_.async_connect(endpoint, handler); }) &&
                      step([&](auto handler) { http::async_write(stream_, request, handler); }) &&
                      step([&](auto handler) { http::async_read(stream_, buffer, parser, handler); });
    if (!done) {
      return fail(Code::unavailable, "POST " + std::string(request.target()) + " to " + target.authority + ": " +
                                         error_.message());
    }
    return parser.release();
  }

 private:
  template <class Start>
  bool step(Start start) {
    start([this](beast::error_code error, auto&&...) { error_ = error; });
    io_.restart();
    io_.run();
    return !error_;
  }

  asio::io_context io_;
  beast::tcp_stream stream_{io_};
  beast::error_code error_;
};

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

Result<Group> create_group(const Target& target, const Accounts& accounts, const std::string& owner,
                           const std::vector<std::string>& members) {
  http::request<http::string_body> request{http::verb::post, "/api/v1/conversations", 11};
  request.set(http::field::host, target.authority);
  request.set(http::field::authorization, "Bearer " + accounts.token(owner));
  request.set(http::field::content_type, "application/json");
  request.set(http::field::connection, "close");
  request.body() = request_body(members);
  request.prepare_payload();

  const auto response = Call().run(target, request);
  if (!response) {
    return response.error();
  }
  const std::string& body = response->body();
  const std::string shown = "POST /api/v1/conversations was answered with HTTP " +
                            std::to_string(response->result_int()) + ": " + body.substr(0, kShownBytes);
  if (response->result_int() != 201) {
    return fail(Code::unavailable, shown);
  }
  Result<Group> group = read_group(body);
  if (!group) {
    return fail(Code::unavailable, shown + ": " + group.error().text);
  }
  return group;
}

}  // namespace tidemark::app
