// Recorded editing sessions of people, through the engine, byte by byte.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "app/bench/text_trace.h"
#include "document/engine/engine_fixture.h"

namespace tidemark::document::engine {
namespace {

std::filesystem::path traces() {
  const char* const named = std::getenv("TIDEMARK_TRACES");
  return named != nullptr ? std::filesystem::path(named)
                          : std::filesystem::path(TIDEMARK_SOURCE_DIR) / ".." / "shared" / "traces";
}

void replay(const std::string& name, size_t reload_every) {
  const auto path = traces() / name;
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "no recorded sessions: set TIDEMARK_TRACES to the directory of " << name;
  }
  const auto trace = app::read_text_trace(path.string());
  ASSERT_TRUE(trace.ok()) << trace.error().text;
  Desk desk(Kind::text, trace->start);
  for (const app::TraceOperation& operation : trace->operations) {
    const Decision decision = desk.submit(operation.session, "text", operation.data, operation.prev_version);
    ASSERT_NE(decision.outcome, Outcome::rejected) << decision.error.text << " at version " << desk.version();
    if (desk.version() % reload_every == 0) {
      desk.reload();
    }
  }
  EXPECT_EQ(desk.version(), trace->operations.size() + 1);
  EXPECT_TRUE(desk.content() == trace->end) << "the text is not that of the recording";
}

TEST(Traces, OneWriterEndsWithTheRecordedText) { replay("automerge-paper.json.gz", 100'000); }
TEST(Traces, TwoConcurrentWritersEndWithTheRecordedText) { replay("friendsforever.json.gz", 5'000); }

}  // namespace
}  // namespace tidemark::document::engine
