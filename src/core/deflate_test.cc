#include "core/deflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <string>
#include <thread>

namespace tidemark {
namespace {

using Outcome = Inflated::Outcome;
using std::string_literals::operator""s;

constexpr size_t kPlenty = 64 << 20;

std::string inflated(std::string_view compressed, size_t bytes_max = kPlenty) {
  const Inflated result = inflate_message(compressed, bytes_max);
  EXPECT_EQ(result.outcome, Outcome::whole);
  return std::string(result.payload);
}

// What another implementation may send: any window, level and flush; `chunk` bytes between two flushes.
std::string compressed_elsewhere(std::string_view text, int window_bits, int level, size_t chunk = SIZE_MAX) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, -window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(2 * text.size() + 10 * (text.size() / std::min(chunk, text.size() + 1) + 1) + 100, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  do {
    const size_t size = std::min(chunk, text.size());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(size);
    EXPECT_EQ(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    text.remove_prefix(size);
  } while (!text.empty());
  out.resize(stream.total_out - 4);
  deflateEnd(&stream);
  return out;
}

std::string words(size_t size, uint32_t seed = 1) {
  std::minstd_rand random(seed);
  std::string text;
  while (text.size() < size) {
    text += "word" + std::to_string(random() % 1000) + " ";
  }
  text.resize(size);
  return text;
}

std::string noise(size_t size) {
  std::minstd_rand random(7);
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random());
  }
  return bytes;
}

TEST(Deflate, ReadsTheExamplesOfTheRfc) {
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");          // 7.2.3.1
  EXPECT_EQ(inflated("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s), "Hello");  // 7.2.3.3, a stored block
  EXPECT_EQ(inflated("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s), "Hello");      // 7.2.3.4, a last block
  EXPECT_EQ(inflated("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s), "Hello");  // 7.2.3.5, two blocks
  EXPECT_EQ(inflated("\x00"s), "");                                       // 7.2.3.6
}

TEST(Deflate, ReadsWhatItWrites) {
  for (const size_t size : {0, 1, 255, 256, 4095, 4096, 4097, 65536, 1 << 20, 5 << 20}) {
    for (const std::string& text : {words(size), noise(size), std::string(size, 'x')}) {
      EXPECT_EQ(inflated(deflate_message(text)), text);
    }
  }
}

TEST(Deflate, ForgetsTheMessageBefore) {
  const std::string text = words(5000);
  const std::string first(deflate_message(text));
  EXPECT_EQ(deflate_message(text), first);
  inflated(first);
  // The second of two messages with context takeover refers to the first.
  const std::string two = compressed_elsewhere(text + text, 15, 9, text.size());
  const std::string second = two.substr(compressed_elsewhere(text, 15, 9).size() + 4);
  EXPECT_LT(second.size(), 100u);
  EXPECT_EQ(inflate_message(second, kPlenty).outcome, Outcome::broken);
}

TEST(Deflate, KeepsToItsWindow) {
  // The same incompressible bytes again, further away than the window: another 2^12 may not be saved.
  const std::string block = noise(8192);
  EXPECT_GT(deflate_message(block + block).size(), 2 * block.size());
  EXPECT_LT(compressed_elsewhere(block + block, 15, 9).size(), block.size() + 1000);
}

TEST(Deflate, ReadsAnyWindowLevelAndCut) {
  const std::string text = words(100'000);
  for (const int window : {9, 12, 15}) {
    for (const int level : {0, 1, 9}) {
      for (const size_t chunk : {size_t{1000}, size_t{40'000}, SIZE_MAX}) {
        EXPECT_EQ(inflated(compressed_elsewhere(text, window, level, chunk)), text);
      }
    }
  }
}

TEST(Deflate, StopsAtTheLimit) {
  for (const size_t size : {1, 4095, 4096, 4097, 65536, 100'000}) {
    const std::string text = words(size);
    const std::string compressed(deflate_message(text));
    EXPECT_EQ(inflated(compressed, size), text);
    EXPECT_EQ(inflate_message(compressed, size - 1).outcome, Outcome::too_big);
  }
  const std::string bomb(deflate_message(std::string(50 << 20, '\0')));
  EXPECT_LT(bomb.size(), 100'000u);
  EXPECT_EQ(inflate_message(bomb, 100'000).outcome, Outcome::too_big);
  EXPECT_EQ(inflated("\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello") << "after a bomb all is as before";
}

TEST(Deflate, RefusesWhatIsBroken) {
  EXPECT_EQ(inflate_message("", kPlenty).outcome, Outcome::broken);
  EXPECT_EQ(inflate_message("hello", kPlenty).outcome, Outcome::broken);
  EXPECT_EQ(inflate_message("\xff\xff\xff\xff"s, kPlenty).outcome, Outcome::broken);
  const std::string whole(deflate_message(words(3000)));
  int broken = 0;
  for (size_t size = 1; size < whole.size(); ++size) {
    broken += inflate_message(std::string_view(whole).substr(0, size), kPlenty).outcome == Outcome::broken;
  }
  EXPECT_GT(broken, static_cast<int>(whole.size()) * 9 / 10) << "cut off";
  EXPECT_EQ(inflated(whole), words(3000)) << "after broken ones all is as before";
}

TEST(Deflate, NeverHoldsMoreThanTheLimitWhateverComes) {
  std::minstd_rand random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 60, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random());
    }
    const Inflated result = inflate_message(bytes, 100);
    EXPECT_LE(result.payload.size(), 100u);
  }
}

TEST(Deflate, EachThreadHasItsOwn) {
  const std::string text = words(10'000);
  std::thread other([&] { EXPECT_EQ(inflated(deflate_message(text)), text); });
  EXPECT_EQ(inflated(deflate_message(text)), text);
  other.join();
}

}  // namespace
}  // namespace tidemark
