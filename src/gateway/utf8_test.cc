#include "gateway/utf8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace tidemark::gateway {
namespace {

static_assert(sizeof(Utf8Validator) <= 8);

struct Case {
  const char* name;
  std::string bytes;
};

std::vector<Case> valid_cases() {
  using namespace std::string_literals;
  return {
      {"nothing", ""},
      {"NUL", "\0"s},
      {"ASCII", "plain text"},
      {"first and last of two bytes", "\xC2\x80\xDF\xBF"},
      {"first and last of three bytes", "\xE0\xA0\x80\xEF\xBF\xBF"},
      {"around the surrogates", "\xED\x9F\xBF\xEE\x80\x80"},
      {"first and last of four bytes", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
      {"mixed", "κόσμε 世界 \xF0\x9F\x98\x80!"},
  };
}

// Each sequence is wrong at its last byte and still possible before it.
std::vector<Case> invalid_cases() {
  return {
      {"lone continuation", "\x80"},
      {"last continuation byte alone", "\xBF"},
      {"one continuation too many", "\xC2\x80\x80"},
      {"overlong lead C0", "\xC0"},
      {"overlong lead C1", "\xC1"},
      {"overlong of three bytes", "\xE0\x9F"},
      {"overlong of four bytes", "\xF0\x8F"},
      {"first high surrogate", "\xED\xA0"},
      {"last low surrogate", "\xED\xBF"},
      {"above U+10FFFF", "\xF4\x90"},
      {"lead F5", "\xF5"},
      {"five byte lead", "\xF8"},
      {"six byte lead", "\xFC"},
      {"FE", "\xFE"},
      {"FF", "\xFF"},
      {"two bytes cut off by ASCII", "\xC3("},
      {"three bytes cut off after one", "\xE4("},
      {"three bytes cut off after two", "\xE4\xB8("},
      {"four bytes cut off after one", "\xF0("},
      {"four bytes cut off after two", "\xF0\x9F("},
      {"four bytes cut off after three", "\xF0\x9F\x98("},
      {"lead after lead", "\xC3\xC3"},
      {"lead where the third byte belongs", "\xE4\xB8\xE4"},
  };
}

// Paddings that put the sequence before, across and after the borders of the fast paths.
std::vector<std::string> paddings() {
  std::vector<std::string> all;
  for (size_t size : {0, 1, 7, 8, 9, 61, 62, 63, 64, 65, 200}) {
    all.emplace_back(size, 'a');
  }
  all.push_back(all.back() + "世界");
  return all;
}

TEST(Utf8Validator, AcceptsValidTextAtEverySplit) {
  for (const Case& valid : valid_cases()) {
    for (const std::string& before : paddings()) {
      std::string text = before + valid.bytes + before;
      for (size_t split = 0; split <= text.size(); ++split) {
        Utf8Validator utf8;
        ASSERT_TRUE(utf8.feed(std::string_view(text).substr(0, split))) << valid.name << ", split at " << split;
        ASSERT_TRUE(utf8.feed(std::string_view(text).substr(split))) << valid.name << ", split at " << split;
        ASSERT_TRUE(utf8.complete()) << valid.name;
      }
    }
  }
}

TEST(Utf8Validator, RefusesEveryInvalidClassAtEverySplit) {
  for (const Case& invalid : invalid_cases()) {
    for (const std::string& before : paddings()) {
      for (const std::string& after : {std::string(), std::string(100, 'z')}) {
        std::string text = before + invalid.bytes + after;
        for (size_t split = 0; split <= text.size(); ++split) {
          Utf8Validator utf8;
          bool fine = utf8.feed(std::string_view(text).substr(0, split));
          ASSERT_EQ(fine, split < before.size() + invalid.bytes.size()) << invalid.name << ", split at " << split;
          ASSERT_FALSE(utf8.feed(std::string_view(text).substr(split))) << invalid.name << ", split at " << split;
          ASSERT_FALSE(utf8.complete()) << invalid.name;
        }
      }
    }
  }
}

TEST(Utf8Validator, FailsAtTheFirstImpossibleByte) {
  for (const Case& invalid : invalid_cases()) {
    Utf8Validator utf8;
    for (size_t i = 0; i < invalid.bytes.size(); ++i) {
      EXPECT_EQ(utf8.feed(std::string_view(invalid.bytes).substr(i, 1)), i + 1 < invalid.bytes.size()) << invalid.name;
    }
  }
}

TEST(Utf8Validator, StaysFailedUntilReset) {
  Utf8Validator utf8;
  EXPECT_FALSE(utf8.feed("\xFF"));
  EXPECT_FALSE(utf8.feed(""));
  EXPECT_FALSE(utf8.feed("fine"));
  EXPECT_FALSE(utf8.feed("\x80"));
  EXPECT_FALSE(utf8.complete());
  utf8.reset();
  EXPECT_TRUE(utf8.feed("fine"));
  EXPECT_TRUE(utf8.complete());
}

TEST(Utf8Validator, IsNotCompleteInsideACharacter) {
  std::string character = "\xF0\x9F\x98\x80";
  Utf8Validator utf8;
  for (size_t i = 0; i < character.size(); ++i) {
    EXPECT_TRUE(utf8.feed(character.substr(i, 1)));
    EXPECT_EQ(utf8.complete(), i + 1 == character.size());
    EXPECT_TRUE(utf8.feed(""));
    EXPECT_EQ(utf8.complete(), i + 1 == character.size());
  }
}

// The table of RFC 3629, section 4, once more and independently: decode and look at the value.
bool is_utf8_by_value(const std::string& bytes) {
  for (size_t i = 0; i < bytes.size();) {
    uint8_t lead = static_cast<uint8_t>(bytes[i]);
    size_t size = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (size == 0 || i + size > bytes.size()) {
      return false;
    }
    uint32_t value = size == 1 ? lead : lead & (0x7F >> size);
    for (size_t k = 1; k < size; ++k) {
      uint8_t byte = static_cast<uint8_t>(bytes[i + k]);
      if (byte >> 6 != 2) {
        return false;
      }
      value = value << 6 | (byte & 0x3F);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < kLeast[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return false;
    }
    i += size;
  }
  return true;
}

TEST(Utf8Validator, AgreesWithDecodingForEveryTwoBytesAndEveryBorderOfFour) {
  constexpr uint8_t kBorders[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xFF};
  auto check = [](const std::string& bytes) {
    Utf8Validator utf8;
    bool accepted = utf8.feed(bytes) && utf8.complete();
    ASSERT_EQ(accepted, is_utf8_by_value(bytes)) << testing::PrintToString(bytes);
  };
  for (int lead = 0; lead < 256; ++lead) {
    for (int second = 0; second < 256; ++second) {
      std::string bytes = {static_cast<char>(lead), static_cast<char>(second)};
      check(bytes);
      for (uint8_t third : kBorders) {
        check(bytes + static_cast<char>(third));
        for (uint8_t fourth : kBorders) {
          check(bytes + static_cast<char>(third) + static_cast<char>(fourth));
        }
      }
    }
  }
}

TEST(Utf8Validator, AnswerDoesNotDependOnRandomCuts) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::string text;
    const std::vector<Case> pieces = valid_cases();
    while (text.size() < 400) {
      text += pieces[random() % pieces.size()].bytes;
    }
    if (seed % 2 == 0) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    Utf8Validator utf8;
    bool fine = true;
    for (size_t at = 0; at < text.size();) {
      size_t size = std::min<size_t>(random() % 150, text.size() - at);
      fine = utf8.feed(std::string_view(text).substr(at, size));
      at += size;
    }
    EXPECT_EQ(fine && utf8.complete(), is_utf8_by_value(text));
  }
}

}  // namespace
}  // namespace tidemark::gateway
