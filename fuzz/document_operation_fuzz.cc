// Data of document operations: a document survives them, its content stays canonical, and a replica and a reload end
// with the same bytes. The input is several operations, each with its type, author and age in front.
#include <simdjson.h>

#include <string>
#include <vector>

#include "document/engine/document.h"
#include "fuzz.h"

namespace tidemark::document::engine {
namespace {

constexpr std::string_view kTypes[] = {"text", "update", "create", "delete", "move", "resize", "style", "text"};
constexpr std::string_view kSessions[] = {"a", "b", ""};
constexpr Policy kPolicies[] = {Policy::merge, Policy::lww, Policy::manual, Policy::forced};
constexpr char kEnd = '\n';  // of one operation's data

Document start(Kind kind) {
  const char* const content = kind == Kind::text ? "one two\xf0\x9f\x98\x80" : R"({"r":{"x":1,"text":"one two"},"v":1})";
  return std::move(Document::create(kind, content)).value();
}

void check_equal(const Document& a, const Document& b) {
  TIDEMARK_CHECK(a.content() == b.content());
  TIDEMARK_CHECK(a.content_bytes() == b.content_bytes());
  TIDEMARK_CHECK(a.snapshot() == b.snapshot());
}

}  // namespace

FUZZ_TARGET(document_operation, bytes) {
  const Kind kind = fuzz::Choices(bytes).number(1) % 2 == 0 ? Kind::objects : Kind::text;
  Document document = start(kind);
  Document replica = start(kind);
  for (size_t count = 0; !bytes.empty() && count < 64; ++count) {
    const uint32_t choice = fuzz::Choices(bytes).number(2);
    const std::string_view data = bytes.substr(0, bytes.find(kEnd));
    bytes.remove_prefix(std::min(bytes.size(), data.size() + 1));
    Submission submission;
    submission.id = "operation";
    submission.type = kTypes[choice % std::size(kTypes)];
    submission.session = kSessions[choice / 8 % std::size(kSessions)];
    submission.policy = kPolicies[choice / 64 % std::size(kPolicies)];
    submission.prev_version = document.version() - std::min<uint64_t>(document.version() - 1, choice / 256 % 8);
    submission.data = data;
    const std::string before = document.content();
    const Decision decision = document.decide(submission);
    TIDEMARK_CHECK(document.content() == before);
    if (decision.outcome == Outcome::rejected || decision.outcome == Outcome::conflict) {
      continue;
    }
    const Applied applied{document.version() + 1, "operation", std::string(submission.session), decision.type,
                          decision.data, decision.trail};
    TIDEMARK_CHECK(document.apply(applied).ok());
    TIDEMARK_CHECK(replica.apply(applied).ok());
  }
  check_equal(document, replica);
  const auto reloaded = Document::from_snapshot(document.snapshot());
  TIDEMARK_CHECK(reloaded.ok());
  check_equal(document, *reloaded);
  const std::string content = document.content();
  TIDEMARK_CHECK(simdjson::validate_utf8(content.data(), content.size()));
  const auto again = Document::create(kind, content);
  TIDEMARK_CHECK(again.ok() && again->content() == content);
}

}  // namespace tidemark::document::engine
