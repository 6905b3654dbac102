// HTTP requests on a connection: the outcome depends on the bytes, not on how they were cut; what is accepted is not
// open to two readings.
#include <algorithm>
#include <charconv>
#include <memory>
#include <string>

#include "fuzz.h"
#include "gateway/handshake.h"
#include "http/request_reader.h"

namespace tidemark::http {
namespace {

using boost::beast::http::field;

constexpr ReaderLimits kLimits{1024, 16, 4096};

struct Outcome {
  int refused = 0;  // HTTP status; 0: a request was read
  std::string_view why;
  std::string head;
  std::string body;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

size_t count(const HttpRequest& request, field name) {
  const auto [first, last] = request.equal_range(name);
  return static_cast<size_t>(std::distance(first, last));
}

void check(const HttpRequest& request) {
  const size_t hosts = count(request, field::host);
  TIDEMARK_CHECK(hosts == 1 || (hosts == 0 && request.version() == 10));
  const size_t lengths = count(request, field::content_length);
  const size_t encodings = count(request, field::transfer_encoding);
  TIDEMARK_CHECK(lengths + encodings <= 1);
  TIDEMARK_CHECK(request.body().size() <= kLimits.body_bytes);
  if (lengths == 1) {
    const std::string_view length = request[field::content_length];
    uint64_t announced = 0;
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), announced);
    TIDEMARK_CHECK(error == std::errc() && end == length.data() + length.size() && announced == request.body().size());
  }
  for (const auto& line : request) {
    for (const char c : std::string_view(line.value())) {
      const auto code = static_cast<unsigned char>(c);
      TIDEMARK_CHECK((code >= 0x20 && code != 0x7f) || c == '\t');
    }
  }
}

std::vector<Outcome> read(std::string_view bytes, fuzz::Cuts* cuts) {
  std::vector<Outcome> outcomes;
  auto current = std::make_unique<RequestReader>(kLimits);
  while (!bytes.empty() && outcomes.size() < 8) {
    std::string_view piece = bytes.substr(0, cuts == nullptr ? bytes.size() : cuts->next(bytes.size()));
    bytes.remove_prefix(piece.size());
    while (!piece.empty() && outcomes.size() < 8) {
      const size_t used = current->put(piece);
      TIDEMARK_CHECK(used <= piece.size());
      piece.remove_prefix(used);
      if (current->stage() == RequestReader::Stage::head_done) {
        TIDEMARK_CHECK(current->body_bytes_max() <= kLimits.body_bytes || !current->has_body());
        piece.remove_prefix(current->put(piece));
      }
      if (current->stage() == RequestReader::Stage::refused) {
        outcomes.push_back({current->refused().http_status, current->refused().text, {}, {}});
        return outcomes;
      }
      if (current->stage() == RequestReader::Stage::done) {
        const HttpRequest request = current->take();
        check(request);
        std::string head(request.method_string());
        head.append(" ").append(request.target());
        for (const auto& line : request) {
          head.append("\n").append(line.name_string()).append(":").append(line.value());
        }
        outcomes.push_back({0, {}, std::move(head), request.body()});
        static_cast<void>(gateway::check_handshake(request.base()));
        current = std::make_unique<RequestReader>(kLimits);
      } else {
        TIDEMARK_CHECK(piece.empty());
      }
    }
  }
  return outcomes;
}

}  // namespace

FUZZ_TARGET(http_request, bytes) {
  fuzz::Cuts cuts(fuzz::Choices(bytes).number(2));
  TIDEMARK_CHECK(read(bytes, nullptr) == read(bytes, &cuts));
}

}  // namespace tidemark::http
