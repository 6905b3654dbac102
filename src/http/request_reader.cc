#include "http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include "core/ascii.h"

namespace tidemark::http {

namespace beast = boost::beast;
using beast::http::field;

namespace {

constexpr Refused kBadBytes{400, Code::invalid_frame, "a control character or a bare line end in the head"};
constexpr Refused kHeadTooLarge{431, Code::too_large, "the request's head is too large"};
constexpr Refused kTooManyHeaders{431, Code::too_large, "too many headers"};
constexpr Refused kBodyTooLarge{413, Code::too_large, "the body is too large"};
constexpr Refused kBadLength{400, Code::invalid_frame, "bad Content-Length"};
constexpr Refused kBadEncoding{400, Code::invalid_frame, "bad Transfer-Encoding"};
constexpr Refused kBadHost{400, Code::invalid_frame, "exactly one Host is expected"};
constexpr Refused kTrailers{400, Code::invalid_frame, "trailers are not accepted"};
constexpr Refused kBadChunk{400, Code::invalid_frame, "malformed chunk"};

std::string_view text_of(const beast::error_code& code) {
  using Error = beast::http::error;
  if (code == Error::bad_method) {
    return "malformed method";
  }
  if (code == Error::bad_target) {
    return "malformed request target";
  }
  if (code == Error::bad_version) {
    return "the version must be HTTP/1.1 or HTTP/1.0";
  }
  if (code == Error::bad_field || code == Error::bad_value || code == Error::bad_line_ending) {
    return "malformed header";
  }
  return "malformed request";
}

size_t count(const HttpRequest& request, field name) {
  const auto [first, last] = request.equal_range(name);
  return static_cast<size_t>(std::distance(first, last));
}

}  // namespace

size_t RequestReader::put(std::string_view bytes) {
  switch (stage_) {
    case Stage::head: return put_head(bytes);
    case Stage::head_done: stage_ = parser_->is_done() ? Stage::done : Stage::body; return put_body(bytes);
    case Stage::body: return put_body(bytes);
    case Stage::done:
    case Stage::refused: return 0;
  }
  return 0;
}

// Whether `c` may come next in a head.
bool RequestReader::scan(char c) {
  const auto code = static_cast<unsigned char>(c);
  if (previous_ == '\r' && c != '\n') {
    return false;
  }
  if (c == '\n') {
    return previous_ == '\r';
  }
  if (previous_ == '\n' && (c == ' ' || c == '\t')) {
    return false;
  }
  return (code >= 0x20 && code != 0x7f) || c == '\t' || c == '\r';
}

size_t RequestReader::put_head(std::string_view bytes) {
  size_t start = 0;  // of what is kept: empty lines before the request line are not
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (!scan(c)) {
      refuse(kBadBytes);
      return i;
    }
    if (++head_bytes_ > limits_.header_bytes) {
      refuse(kHeadTooLarge);
      return i;
    }
    previous_ = c;
    if (c == '\n') {
      const bool empty = line_bytes_ == 0;
      line_bytes_ = 0;
      if (!empty) {
        continue;
      }
      if (kept_.size() + (i + 1 - start) <= 2) {
        kept_.clear();
        start = i + 1;
        previous_ = 0;
        continue;
      }
      const std::string_view last = bytes.substr(start, i + 1 - start);
      if (kept_.empty()) {
        parse_head(last);
      } else {
        kept_ += last;
        const std::string head = std::move(kept_);
        kept_.clear();
        parse_head(head);
      }
      return i + 1;
    }
    line_bytes_ += c != '\r';
  }
  kept_ += bytes.substr(start);
  return bytes.size();
}

void RequestReader::parse_head(std::string_view head) {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(limits_.header_bytes + 1));
  parser_->body_limit(limits_.body_bytes);
  parser_->eager(false);
  beast::error_code error;
  const size_t used = parser_->put(boost::asio::buffer(head.data(), head.size()), error);
  if (error) {
    refuse(error);
    return;
  }
  if (used != head.size() || !parser_->is_header_done()) {
    refuse(Refused{400, Code::invalid_frame, "malformed request"});
    return;
  }
  check_head();
}

void RequestReader::check_head() {
  const HttpRequest& head = request();
  fields_in_head_ = static_cast<size_t>(std::distance(head.begin(), head.end()));
  if (fields_in_head_ > static_cast<size_t>(limits_.header_count)) {
    return refuse(kTooManyHeaders);
  }
  const size_t lengths = count(head, field::content_length);
  if (lengths > 0) {
    const auto value = head[field::content_length];
    if (lengths > 1 || !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return refuse(kBadLength);
    }
  }
  const size_t encodings = count(head, field::transfer_encoding);
  if (encodings > 0) {
    const bool chunked = encodings == 1 && equal_ignoring_case(head[field::transfer_encoding], "chunked");
    if (!chunked || lengths > 0 || head.version() == 10) {
      return refuse(kBadEncoding);
    }
  }
  const size_t hosts = count(head, field::host);
  if (hosts > 1 || (hosts == 0 && head.version() == 11)) {
    return refuse(kBadHost);
  }
  stage_ = Stage::head_done;
}

size_t RequestReader::put_body(std::string_view bytes) {
  if (stage_ == Stage::done) {
    return 0;
  }
  std::string joined;
  std::string_view rest = bytes;
  if (!kept_.empty()) {
    joined = std::move(kept_);
    kept_.clear();
    joined += bytes;
    rest = joined;
  }
  while (!rest.empty()) {
    beast::error_code error;
    const size_t used = parser_->put(boost::asio::buffer(rest.data(), rest.size()), error);
    rest.remove_prefix(used);
    if (error == beast::http::error::need_more) {
      if (rest.size() > limits_.header_bytes) {
        refuse(kBadChunk);
      } else {
        kept_ = rest;
      }
      return bytes.size();
    }
    if (error) {
      refuse(error);
      return bytes.size() - std::min(rest.size(), bytes.size());
    }
    if (parser_->is_done()) {
      // Beast adds a trailer to the headers, where it would pass for one.
      if (static_cast<size_t>(std::distance(request().begin(), request().end())) != fields_in_head_) {
        refuse(kTrailers);
      } else {
        stage_ = Stage::done;
      }
      return bytes.size() - std::min(rest.size(), bytes.size());
    }
  }
  return bytes.size();
}

size_t RequestReader::body_bytes_max() const {
  if (!has_body()) {
    return 0;
  }
  const auto announced = parser_->content_length();
  return announced ? static_cast<size_t>(*announced) : limits_.body_bytes;
}

bool RequestReader::expects_continue() const {
  return has_body() && request().version() == 11 && equal_ignoring_case(request()[field::expect], "100-continue");
}

void RequestReader::refuse(const Refused& why) {
  stage_ = Stage::refused;
  refused_ = why;
}

void RequestReader::refuse(const beast::error_code& error) {
  if (error == beast::http::error::body_limit) {
    return refuse(kBodyTooLarge);
  }
  if (error == beast::http::error::header_limit) {
    return refuse(kHeadTooLarge);
  }
  if (stage_ == Stage::body) {
    return refuse(kBadChunk);
  }
  if (error == beast::http::error::bad_content_length || error == beast::http::error::multiple_content_length) {
    return refuse(kBadLength);
  }
  if (error == beast::http::error::bad_transfer_encoding) {
    return refuse(kBadEncoding);
  }
  refuse(Refused{400, Code::invalid_frame, text_of(error)});
}

}  // namespace tidemark::http
