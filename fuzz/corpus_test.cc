// Runs every fuzz target over its corpus, whole and cut off, in builds without libFuzzer.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "fuzz.h"

namespace tidemark::fuzz {
namespace {

const std::filesystem::path kCorpora = std::filesystem::path(TIDEMARK_SOURCE_DIR) / "fuzz" / "corpus";

class Corpus : public ::testing::TestWithParam<Target> {};

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_P(Corpus, IsSurvived) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpora / GetParam().name)) {
    SCOPED_TRACE(entry.path().string());
    const std::string bytes = read(entry.path());
    GetParam().run(bytes);
    for (size_t parts = 1; parts < 8; ++parts) {
      GetParam().run(std::string_view(bytes).substr(0, bytes.size() * parts / 8));
    }
    ++files;
  }
  EXPECT_GT(files, 0U) << "a target needs a corpus: fuzz/corpus/" << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(EachTarget, Corpus, ::testing::ValuesIn(targets()),
                         [](const auto& target) { return std::string(target.param.name); });

TEST(Corpora, BelongToTargets) {
  std::set<std::string> names;
  for (const Target& target : targets()) {
    names.emplace(target.name);
  }
  for (const auto& entry : std::filesystem::directory_iterator(kCorpora)) {
    EXPECT_TRUE(names.contains(entry.path().filename().string())) << entry.path();
  }
}

}  // namespace
}  // namespace tidemark::fuzz
