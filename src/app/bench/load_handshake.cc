#include "app/bench/load_handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "gateway/handshake.h"

namespace tidemark::app {
namespace {

namespace http = boost::beast::http;

constexpr size_t kHeadBytesMax = 16 * 1024;
constexpr size_t kShownBytes = 300;

std::string random_key(Random& random) {
  std::array<unsigned char, 16> bytes;
  random.fill(bytes);
  std::array<unsigned char, 25> text;  // OpenSSL ends it with a zero
  const int size = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  return std::string(text.begin(), text.begin() + size);
}

}  // namespace

LoadHandshake::LoadHandshake(const Target& target, Random& random)
    : target_(target), key_(random_key(random)), accept_(gateway::accept_key(key_)) {}

std::string LoadHandshake::request(const std::string& token, const std::string& device, bool replay) const {
  const bool raw = target_.dialect == Dialect::raw;
  return "GET " + target_.path + (raw ? "" : "?device_id=" + device + (replay ? "" : "&replay=0")) +
         " HTTP/1.1\r\nHost: " + target_.authority +
         "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key_ +
         (raw ? "" : "\r\nAuthorization: Bearer " + token) + "\r\n\r\n";
}

Result<LoadHandshake::Answer> LoadHandshake::read_answer(std::string_view arrived) const {
  const size_t end = arrived.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (arrived.size() > kHeadBytesMax) {
      return fail(Code::unavailable, "the head of the server's answer does not end");
    }
    return Answer();
  }
  const std::string shown(arrived.substr(0, std::min(kShownBytes, arrived.size())));
  http::response_parser<http::empty_body> parser;
  boost::beast::error_code error;
  const size_t head_size = parser.put(boost::asio::buffer(arrived.data(), end + 4), error);
  if (error || !parser.is_header_done()) {
    return fail(Code::unavailable, "the server did not answer in HTTP: " + shown);
  }
  if (parser.get().result() == http::status::service_unavailable) {
    return Answer{head_size, true};
  }
  if (parser.get().result() != http::status::switching_protocols) {
    return fail(Code::unavailable, "the server refused the connection: " + shown);
  }
  if (parser.get()[http::field::sec_websocket_accept] != accept_) {
    return fail(Code::unavailable, "the server's Sec-WebSocket-Accept is wrong: " + shown);
  }
  return Answer{head_size, false};
}

}  // namespace tidemark::app
