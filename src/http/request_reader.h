// RequestReader: bytes in, one HTTP request or the reason why it is refused out. Knows no socket.
//
// Boost.Beast parses. What stands before it is stricter than Beast, because a proxy in front may read the same bytes in
// another way (request smuggling, RFC 9112 section 11.2): a bare LF or CR, a NUL or other control character, a folded
// line, two Content-Length, Transfer-Encoding beside it or other than "chunked", two Host, trailers.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace tidemark::http {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;

struct ReaderLimits {
  size_t header_bytes = 8192;  // request line and headers with their line ends, and the empty lines before them
  int header_count = 100;
  size_t body_bytes = 1024 * 1024;
};

struct Refused {
  int http_status = 400;
  Code code = Code::invalid_frame;
  std::string_view text;  // static
};

// Owner: the connection that reads. One object reads one request.
class RequestReader {
 public:
  enum class Stage : uint8_t {
    head,       // wants more bytes
    head_done,  // request() shows the head; put() goes on with the body
    body,       // wants more bytes
    done,       // take() gives the request
    refused,    // refused() says why; the bytes after it mean nothing
  };

  explicit RequestReader(const ReaderLimits& limits) : limits_(limits) {}

  // Takes what belongs to this request and returns how many bytes that were; stops at the end of the head once.
  size_t put(std::string_view bytes);

  Stage stage() const { return stage_; }
  const HttpRequest& request() const { return parser_->get(); }
  HttpRequest take() { return parser_->release(); }
  const Refused& refused() const { return refused_; }

  // At head_done.
  bool has_body() const { return !parser_->is_done(); }
  size_t body_bytes_max() const;  // what the body may need: its announced length, else the limit
  bool expects_continue() const;  // the client waits for 100 before it sends the body

 private:
  size_t put_head(std::string_view bytes);
  size_t put_body(std::string_view bytes);
  bool scan(char c);
  void parse_head(std::string_view head);
  void check_head();
  void refuse(const Refused& why);
  void refuse(const boost::beast::error_code& error);

  const ReaderLimits limits_;
  Stage stage_ = Stage::head;
  char previous_ = 0;
  size_t line_bytes_ = 0;  // of the current line of the head, without its end
  size_t head_bytes_ = 0;
  size_t fields_in_head_ = 0;
  std::string kept_;  // a head, or a chunk's header, that is not whole yet
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  Refused refused_;
};

}  // namespace tidemark::http
