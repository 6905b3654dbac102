// For tests: a document and those who edit it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "document/engine/document.h"

namespace tidemark::document::engine {

inline void PrintTo(Outcome outcome, std::ostream* out) {
  constexpr const char* kNames[] = {"applied", "resolved", "conflict", "rejected"};
  *out << kNames[static_cast<size_t>(outcome)];
}

// A document that applies what it decides, and a log of that.
class Desk {
 public:
  explicit Desk(Kind kind, std::string_view content = {}, const Limits& limits = {})
      : limits_(limits), document_(std::move(Document::create(kind, content, limits)).value()) {}

  // Decides, and applies it if it takes effect.
  Decision submit(const Submission& submission) {
    Decision decision = document_.decide(submission);
    if (decision.outcome == Outcome::applied || decision.outcome == Outcome::resolved) {
      log_.push_back({document_.version() + 1, std::string(submission.id), std::string(submission.session),
                      decision.type, decision.data, decision.trail});
      const Status applied = document_.apply(log_.back());
      EXPECT_TRUE(applied.ok()) << (applied.ok() ? "" : applied.error().text) << " " << decision.data;
    }
    return decision;
  }
  Decision submit(std::string_view session, std::string_view type, std::string_view data, uint64_t prev_version = 0,
                  Policy policy = Policy::merge) {
    const std::string id = "op-" + std::to_string(++ids_);
    Submission submission;
    submission.id = id;
    submission.session = session;
    submission.type = type;
    submission.data = data;
    submission.prev_version = prev_version;
    submission.policy = policy;
    return submit(submission);
  }

  std::string content() const { return document_.content(); }
  uint64_t version() const { return document_.version(); }
  Document& document() { return document_; }
  const std::vector<Applied>& log() const { return log_; }

  // From now on a document that was loaded from a snapshot of the present.
  void reload() {
    const std::string content_before = content();
    const std::string snapshot = document_.snapshot();
    document_ = std::move(Document::from_snapshot(snapshot, limits_)).value();
    EXPECT_EQ(content(), content_before);
    EXPECT_EQ(document_.snapshot(), snapshot);
  }

 private:
  Limits limits_;
  Document document_;
  std::vector<Applied> log_;
  uint64_t ids_ = 0;
};

}  // namespace tidemark::document::engine
