#include "account/base64url.h"

#include <gtest/gtest.h>

namespace tidemark::account {
namespace {

TEST(Base64url, KnowsTheVectorsOfTheRfc) {
  // RFC 4648 section 10, without padding.
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""},         {"f", "Zg"},         {"fo", "Zm8"},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64url_encode(bytes), text);
    EXPECT_EQ(base64url_decode(text), std::string(bytes));
  }
}

TEST(Base64url, UsesTheAlphabetThatIsSafeInAddresses) {
  // RFC 7515 appendix C.
  EXPECT_EQ(base64url_encode("\x03\xec\xff\xe0\xc1"), "A-z_4ME");
  EXPECT_EQ(base64url_decode("A-z_4ME"), "\x03\xec\xff\xe0\xc1");
}

TEST(Base64url, GivesBackEveryByteAtEveryLength) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64url, RefusesWhatIsNotItsAlphabet) {
  for (const std::string_view text : {"Zg==", "Zm8=", "Zm9v\n", " Zm9v", "Zm 9v", "A+z/4ME", "Zm9v.", "Zm9v\xc3\xa4"}) {
    EXPECT_FALSE(base64url_decode(text)) << text;
  }
  EXPECT_FALSE(base64url_decode(std::string_view("Zm\0v", 4)));
  int accepted = 0;
  for (int c = 0; c < 256; ++c) {
    accepted += base64url_decode("AAA" + std::string(1, static_cast<char>(c))).has_value();
  }
  EXPECT_EQ(accepted, 64);
}

TEST(Base64url, RefusesALengthThatNoBytesHave) {
  EXPECT_FALSE(base64url_decode("A"));
  EXPECT_FALSE(base64url_decode("Zm9vA"));
}

TEST(Base64url, RefusesBitsLeftOver) {
  // One byte leaves four bits of the second character, two bytes two of the third: they must be zero.
  int ones = 0;
  int twos = 0;
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
    ones += base64url_decode(std::string("A") + c).has_value();
    twos += base64url_decode(std::string("AA") + c).has_value();
  }
  EXPECT_EQ(ones, 4);
  EXPECT_EQ(twos, 16);
  EXPECT_FALSE(base64url_decode("Zh"));
  EXPECT_FALSE(base64url_decode("Zm9"));
}

}  // namespace
}  // namespace tidemark::account
