#include "http/request_reader.h"

#include <gtest/gtest.h>

namespace tidemark::http {
namespace {

using Stage = RequestReader::Stage;

const std::string kPlain = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

// Gives `bytes` in pieces of `step` and returns what the reader left.
std::string give(RequestReader& reader, std::string_view bytes, size_t step = SIZE_MAX) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, step);
    size_t used = reader.put(piece);
    if (reader.stage() == Stage::head_done) {
      used += reader.put(piece.substr(used));
    }
    bytes.remove_prefix(used);
    if (reader.stage() == Stage::done || reader.stage() == Stage::refused) {
      break;
    }
  }
  return std::string(bytes);
}

int status_of(std::string_view bytes, const ReaderLimits& limits = {}) {
  RequestReader reader(limits);
  give(reader, bytes);
  if (reader.stage() == Stage::refused) {
    EXPECT_FALSE(reader.refused().text.empty());
    return reader.refused().http_status;
  }
  return reader.stage() == Stage::done ? 200 : 0;
}

std::string post(std::string_view headers, std::string_view body) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

TEST(RequestReader, ReadsARequestInPiecesOfEverySize) {
  const std::string bytes = post("Content-Length: 5\r\n", "hello") + kPlain;
  for (size_t step = 1; step <= bytes.size(); ++step) {
    RequestReader reader(ReaderLimits{});
    const std::string left = give(reader, bytes, step);
    ASSERT_EQ(reader.stage(), Stage::done) << step;
    EXPECT_EQ(left, kPlain);
    const HttpRequest request = reader.take();
    EXPECT_EQ(request.method_string(), "POST");
    EXPECT_EQ(request.target(), "/x");
    EXPECT_EQ(request.body(), "hello");
  }
}

TEST(RequestReader, ReadsChunksInPiecesOfEverySize) {
  const std::string bytes = post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n4;a=b\r\ndefg\r\n0\r\n\r\n") + kPlain;
  for (size_t step = 1; step <= bytes.size(); ++step) {
    RequestReader reader(ReaderLimits{});
    EXPECT_EQ(give(reader, bytes, step), kPlain) << step;
    ASSERT_EQ(reader.stage(), Stage::done) << step;
    EXPECT_EQ(reader.take().body(), "abcdefg");
  }
}

TEST(RequestReader, StopsBehindTheHead) {
  RequestReader reader(ReaderLimits{});
  const std::string bytes = post("Content-Length: 5\r\nExpect: 100-continue\r\n", "");
  EXPECT_EQ(reader.put(bytes + "hello"), bytes.size());
  EXPECT_EQ(reader.stage(), Stage::head_done);
  EXPECT_TRUE(reader.expects_continue());
  EXPECT_EQ(reader.body_bytes_max(), 5u);
  EXPECT_EQ(reader.put("hello"), 5u);
  EXPECT_EQ(reader.stage(), Stage::done);
}

TEST(RequestReader, TakesEmptyLinesBeforeTheRequest) {
  EXPECT_EQ(status_of("\r\n\r\n" + kPlain), 200);
  RequestReader reader(ReaderLimits{});
  EXPECT_EQ(give(reader, "\r\n" + kPlain, 1), "");
  EXPECT_EQ(reader.stage(), Stage::done);
  std::string endless;
  for (int i = 0; i < 5000; ++i) {
    endless += "\r\n";
  }
  EXPECT_EQ(status_of(endless), 431);
}

TEST(RequestReader, HeadMayHaveExactlyTheLimit) {
  const std::string rest = "\r\n\r\n";
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const auto head_of = [&](size_t size) { return start + std::string(size - start.size() - rest.size(), 'x') + rest; };
  EXPECT_EQ(status_of(head_of(8192)), 200);
  EXPECT_EQ(status_of(head_of(8193)), 431);
  EXPECT_EQ(status_of("GET /" + std::string(20000, 'x')), 431);
}

TEST(RequestReader, CountsHeaders) {
  const auto with = [](int count) {
    std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 1; i < count; ++i) {
      head += "X-" + std::to_string(i) + ": 1\r\n";
    }
    return head + "\r\n";
  };
  EXPECT_EQ(status_of(with(100)), 200);
  EXPECT_EQ(status_of(with(101)), 431);
}

TEST(RequestReader, BodyMayHaveExactlyTheLimit) {
  const ReaderLimits limits{8192, 100, 10};
  EXPECT_EQ(status_of(post("Content-Length: 10\r\n", "0123456789"), limits), 200);
  EXPECT_EQ(status_of(post("Content-Length: 11\r\n", ""), limits), 413);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", "a\r\n0123456789\r\n0\r\n\r\n"), limits), 200);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", "a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n"), limits), 413);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", "b\r\n"), limits), 413);
}

TEST(RequestReader, RefusesWhatTwoReadersMayReadInTwoWays) {
  EXPECT_EQ(status_of(post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(status_of(post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}")), 400);
  EXPECT_EQ(status_of(post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}")), 400);
  for (const char* value : {"2, 2", "2,3", "-1", "+2", "0x2", "2 2", "", "two", "99999999999999999999999999"}) {
    EXPECT_EQ(status_of(post("Content-Length: " + std::string(value) + "\r\n", "{}")), 400) << value;
  }
  for (const char* value :
       {"gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity", "\"chunked\"", ""}) {
    EXPECT_EQ(status_of(post("Transfer-Encoding: " + std::string(value) + "\r\n", "0\r\n\r\n")), 400) << value;
  }
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST(RequestReader, RefusesMalformedChunks) {
  for (const char* body :
       {"zz\r\n", "\r\n", "-1\r\n", "5\nhello\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "ffffffffffffffffffff\r\n"}) {
    const int status = status_of(post("Transfer-Encoding: chunked\r\n", body));
    EXPECT_TRUE(status == 400 || status == 413) << body << " " << status;
  }
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", "1;" + std::string(9000, 'x'))), 400);
  EXPECT_EQ(status_of(post("Transfer-Encoding: chunked\r\n", "0\r\nAuthorization: x\r\n\r\n")), 400);
}

TEST(RequestReader, RefusesBareLineEndsAndControlCharacters) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"), 400);
  for (const char c : {'\0', '\x01', '\x1b', '\x7f', '\v'}) {
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nX: 1" + std::string(1, c) + "2\r\n\r\n"), 400) << int(c);
    EXPECT_EQ(status_of("GET /" + std::string(1, c) + " HTTP/1.1\r\nHost: a\r\n\r\n"), 400) << int(c);
  }
}

TEST(RequestReader, RefusesMalformedHeads) {
  for (const char* head : {
           "G T / HTTP/1.1\r\nHost: a\r\n\r\n", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
           " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET  HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
           "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
           "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / http/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"}) {
    EXPECT_EQ(status_of(head), 400) << head;
  }
}

TEST(RequestReader, HostMayBeMissingInHttp10) {
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 200);
}

}  // namespace
}  // namespace tidemark::http
