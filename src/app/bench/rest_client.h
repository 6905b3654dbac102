// REST calls of the load generator: what a scenario prepares, and what it measures over HTTP.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/verb.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/bench/target.h"
#include "core/result.h"

namespace tidemark::app {

// One user's calls, one after another on one kept connection.
//
// Owner: one thread. Each call waits up to 60 s for its answer.
class RestClient {
 public:
  RestClient(const Target& target, const Accounts& accounts, const std::string& user);

  struct Answer {
    unsigned status = 0;
    std::string body;
  };
  // `path` stands behind /api/v1. unavailable if the connection failed, or the answer is not 200 or 201.
  Result<Answer> call(boost::beast::http::verb verb, const std::string& path, const std::string& body = {});

 private:
  template <class Start>
  bool step(Start start);
  bool connect();
  // Writes and reads on `stream`.
  template <class Stream, class Request, class Parser>
  bool exchange(Stream& stream, const Request& request, Parser& parser);
  void disconnect();

  const Target& target_;
  const std::string authorization_;
  boost::asio::io_context io_;
  std::optional<boost::beast::tcp_stream> stream_;  // none: not connected
  std::optional<boost::asio::ssl::context> tls_context_;
  std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;  // none: in the clear
  boost::beast::flat_buffer buffer_;
  boost::beast::error_code error_;
};

struct Group {
  std::string conversation_id;
  int64_t last_seq = 0;
};

// Creates a group in the name of the client's user. unavailable if the server did not answer as expected; the text has
// its answer.
Result<Group> create_group(RestClient& owner, const std::vector<std::string>& members);

}  // namespace tidemark::app
