// Runs every fuzz target over its corpus, whole, cut off and changed by chance, in builds without libFuzzer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
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

// Some bytes are replaced, doubled, dropped, or taken from another file of the corpus.
std::string mutant(const std::vector<std::string>& corpus, std::mt19937& random) {
  const auto below = [&random](size_t bound) { return bound == 0 ? 0 : random() % bound; };
  std::string bytes = corpus[below(corpus.size())];
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    const size_t at = below(bytes.size() + 1);
    const size_t size = below(std::min<size_t>(bytes.size() - at, 16) + 1);
    switch (below(5)) {
      case 0:
        bytes.replace(at, size, size, static_cast<char>(random()));
        break;
      case 1:
        bytes.insert(at, bytes.substr(at, size));
        break;
      case 2:
        bytes.erase(at, size);
        break;
      case 3:
        bytes.insert(at, 1, static_cast<char>(random()));
        break;
      default: {
        const std::string& other = corpus[below(corpus.size())];
        bytes.insert(at, other.substr(below(other.size() + 1), 32));
      }
    }
  }
  return bytes;
}

// $TIDEMARK_FUZZ_MUTANTS inputs per target (default 2000) from $TIDEMARK_SEED.
TEST_P(Corpus, IsSurvivedWhenItIsChanged) {
  const auto number_of = [](const char* name, unsigned long otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoul(text, nullptr, 10) : otherwise;
  };
  const auto seed = static_cast<uint32_t>(number_of("TIDEMARK_SEED", 1));
  SCOPED_TRACE("TIDEMARK_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> corpus;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpora / GetParam().name)) {
    corpus.push_back(read(entry.path()));
  }
  std::sort(corpus.begin(), corpus.end());
  for (auto left = number_of("TIDEMARK_FUZZ_MUTANTS", 2000); left > 0; --left) {
    GetParam().run(mutant(corpus, random));
  }
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
