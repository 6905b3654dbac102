// Random histories: several sessions edit one document at the same time, each behind the others as chance will have it;
// answers get lost and are looked up, sessions come back, the server reloads. At the end a replica that applied what
// was published, one that joined from a snapshot, a fresh replay of the log and the server are equal byte by byte, and
// so are the sessions that keep a text of their own and rebase what they have in flight, one operation over the other.
//
// TIDEMARK_TEST_HISTORIES (default 300) histories from TIDEMARK_SEED (default 1).
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <memory>

#include "core/json.h"
#include "document/engine/engine_fixture.h"
#include "document/engine/patch.h"
#include "document/engine/text_chance.h"
#include "document/engine/text_shape.h"

namespace tidemark::document::engine {
namespace {

uint64_t number_of(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TextOperation operation_of(std::string_view data) {
  simdjson::dom::parser parser;
  const auto json = parse_json(parser, data, 8);
  return TextOperation::parse((*json)["ops"]).value();
}

// A writer of a text, as a client would do it: knows its own text, what the server has confirmed, and what is in
// flight.
class Writer {
 public:
  explicit Writer(std::string session, const Document& document)
      : session_(std::move(session)), text_(document.content()), seen_(document.version()) {}

  const std::string& session() const { return session_; }
  const std::string& text() const { return text_; }
  uint64_t seen() const { return seen_; }
  size_t in_flight() const { return in_flight_.size(); }

  std::string write(TextChance& chance) {
    const TextOperation operation = chance.operation(count_code_points(text_)).insertions_first();
    text_ = operation.applied_to(text_);
    in_flight_.push_back(operation);
    return "{\"ops\":" + operation.json() + "}";
  }

  // The next published operation.
  void hear(const Applied& applied) {
    seen_ = applied.version;
    if (applied.session == session_) {
      in_flight_.pop_front();
      return;
    }
    TextShape other(operation_of(applied.data), applied.version);
    for (TextOperation& own : in_flight_) {
      TextOperation over = other.rebase(own);
      other = other.after(own);
      own = std::move(over);
    }
    text_ = on(text_, other, operation_of(applied.data));
  }

 private:
  // The other's operation as it is on this writer's text.
  static std::string on(std::string_view text, const TextShape& other, const TextOperation& original) {
    std::string result;
    std::string_view inserted = original.inserted();
    for (const TextShape::Span& span : other.spans()) {
      if (!span.seen()) {
        result += take_code_points(inserted, span.count);
      } else if (const auto passed = take_code_points(text, span.count); span.there()) {
        result += passed;
      }
    }
    result += text;
    return result;
  }

  std::string session_;
  std::string text_;
  uint64_t seen_;
  std::deque<TextOperation> in_flight_;
};

class History {
 public:
  History(Kind kind, uint64_t seed) : chance_(seed), kind_(kind), start_(start(kind)), desk_(kind, start_) {}

  void run() {
    kind_ == Kind::text ? run_text() : run_objects();
    check();
  }

 private:
  std::string start(Kind kind) {
    return kind == Kind::text ? chance_.text(20) : R"({"a":{"x":1,"text":"abc"},"b":{"style":{"c":1}},"data":"test"})";
  }

  void run_text() {
    std::vector<Writer> writers;
    for (size_t i = 0; i < 3 + chance_.below(3); ++i) {
      writers.emplace_back("w" + std::to_string(i), desk_.document());
    }
    const size_t steps = 10 + chance_.below(40);
    for (size_t i = 0; i < steps; ++i) {
      Writer& writer = writers[chance_.below(writers.size())];
      if (chance_.below(3) == 0) {
        hear(writer, 1 + chance_.below(5));
      } else if (writer.in_flight() < 6) {
        const std::string data = writer.write(chance_);
        submit(writer.session(), "text", data, writer.seen());
      }
      maybe_reload();
    }
    for (Writer& writer : writers) {
      hear(writer, SIZE_MAX);
      EXPECT_EQ(writer.text(), desk_.content()) << writer.session();
    }
  }

  void hear(Writer& writer, size_t count) {
    for (; count > 0 && writer.seen() < desk_.version(); --count) {
      writer.hear(desk_.log()[writer.seen() - 1]);
    }
  }

  void run_objects() {
    std::vector<std::pair<std::string, uint64_t>> sessions;
    for (size_t i = 0; i < 3 + chance_.below(3); ++i) {
      sessions.emplace_back("w" + std::to_string(i), 1);
    }
    const size_t steps = 10 + chance_.below(40);
    for (size_t i = 0; i < steps; ++i) {
      auto& [session, seen] = sessions[chance_.below(sessions.size())];
      seen += chance_.below(desk_.version() - seen + 1);
      const auto [type, data] = edit();
      submit(chance_.below(10) == 0 ? "" : session, type, data, chance_.below(12) == 0 ? 0 : seen);
      maybe_reload();
    }
  }

  std::string value() {
    static constexpr const char* kValues[] = {"1",  "2.50",      "true", "null", "[1,{\"b\":null}]",
                                              "{}", "{\"c\":3}", "\"s\""};
    if (chance_.below(3) == 0) {
      std::string json;
      append_json_string(json, chance_.text(6));
      return json;
    }
    return kValues[chance_.below(std::size(kValues))];
  }
  std::string id() { return std::string(1, static_cast<char>('a' + chance_.below(4))); }
  std::string key() {
    static constexpr const char* kKeys[] = {"x", "text", "style", "style.c", "style.c.d", "label"};
    return kKeys[chance_.below(std::size(kKeys))];
  }

  std::pair<std::string, std::string> edit() {
    const std::string target = "{\"id\":\"" + id() + "\"";
    switch (chance_.below(9)) {
      case 0:
        return {"create", target + ",\"" + key() + "\":" + value() + "}"};
      case 1:
        return {"delete", target + "}"};
      case 2:
        return {"move", target + ",\"x\":1,\"y\":2,\"parent\":\"" + id() + "\"}"};
      case 3:
        return {"update", "{\"id\":\"\",\"data\":" + std::string(chance_.below(2) == 0 ? "[1]" : "\"t\"") + "}"};
      case 4:
        return {"update", "{\"content\":{\"a\":{\"" + key() + "\":" + value() + "},\"" + id() + "x\":{}}}"};
      case 5:
      case 6:
        return {"text",
                target + ",\"key\":\"" + key() + "\",\"ops\":" + chance_.operation(chance_.below(8)).json() + "}"};
      default:
        return {"update", target + ",\"" + key() + "\":" + value() + "}"};
    }
  }

  void submit(std::string_view session, std::string_view type, std::string_view data, uint64_t seen) {
    static constexpr Policy kPolicies[] = {Policy::merge, Policy::merge, Policy::lww, Policy::manual};
    const Policy policy = kind_ == Kind::text ? Policy::merge : kPolicies[chance_.below(4)];
    const uint64_t before = desk_.version();
    const Decision decision = desk_.submit(session, type, data, seen, policy);
    if (decision.outcome == Outcome::conflict) {
      EXPECT_EQ(decision.conflicts.size(), 1U);
      parked_.emplace_back(before, decision);
    }
    EXPECT_NE(kind_ == Kind::text ? decision.outcome : Outcome::applied, Outcome::rejected) << decision.error.text;
    if (decision.outcome == Outcome::resolved) {
      EXPECT_FALSE(decision.conflicts.empty());
    }
    if (!parked_.empty() && chance_.below(4) == 0) {
      const auto [version, taken] = parked_.front();
      parked_.pop_front();
      desk_.submit("", taken.type, taken.data, version, Policy::forced);
    }
    if (chance_.below(15) == 0 && desk_.version() > 1) {
      joined_ = std::make_unique<Document>(Document::from_snapshot(desk_.document().snapshot()).value());
    }
  }

  void maybe_reload() {
    if (chance_.below(12) == 0) {
      desk_.reload();
    }
  }

  void check() {
    Document replay = Document::create(kind_, start_).value();
    for (const Applied& applied : desk_.log()) {
      ASSERT_TRUE(replay.apply(applied).ok());
      EXPECT_EQ(replay.content_at(replay.version()).value(), replay.content());
    }
    EXPECT_EQ(replay.content(), desk_.content());
    EXPECT_EQ(replay.snapshot(), desk_.document().snapshot());
    EXPECT_EQ(replay.content_bytes(), desk_.document().content_bytes());
    EXPECT_EQ(replay.content_at(1).value(), Document::create(kind_, start_)->content());
    Document plain = Document::create(kind_, start_).value();  // a replica that only knows what was published
    for (Applied applied : desk_.log()) {
      applied.trail.clear();
      ASSERT_TRUE(plain.apply(applied).ok());
    }
    EXPECT_EQ(plain.content(), desk_.content());
    if (joined_ != nullptr) {
      for (size_t i = joined_->version() - 1; i < desk_.log().size(); ++i) {
        ASSERT_TRUE(joined_->apply(desk_.log()[i]).ok());
      }
      EXPECT_EQ(joined_->snapshot(), replay.snapshot());
    }
    EXPECT_EQ(Document::create(kind_, desk_.content())->content(), desk_.content());
  }

  TextChance chance_;
  Kind kind_;
  std::string start_;
  Desk desk_;
  std::deque<std::pair<uint64_t, Decision>> parked_;
  std::unique_ptr<Document> joined_;
};

void run_histories(Kind kind) {
  const uint64_t first = number_of("TIDEMARK_SEED", 1);
  const uint64_t count = number_of("TIDEMARK_TEST_HISTORIES", 300);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("TIDEMARK_SEED=" + std::to_string(seed) + " TIDEMARK_TEST_HISTORIES=1");
    History(kind, seed).run();
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

TEST(Convergence, OfTexts) { run_histories(Kind::text); }
TEST(Convergence, OfObjects) { run_histories(Kind::objects); }

}  // namespace
}  // namespace tidemark::document::engine
