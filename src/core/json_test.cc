#include "core/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace tidemark {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

Code refusal(std::string_view text, size_t depth = 32) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, text, depth);
  EXPECT_FALSE(parsed.ok()) << text;
  return parsed.ok() ? Code::internal : parsed.error().code;
}

bool accepts(std::string_view text, size_t depth = 32) {
  simdjson::dom::parser parser;
  return parse_json(parser, text, depth).ok();
}

std::string nested(char open, char close, size_t levels, std::string_view inside) {
  std::string text;
  for (size_t i = 0; i < levels; ++i) {
    text += open == '{' && i > 0 ? "\"a\":{" : std::string(1, open);
  }
  text += inside;
  return text.append(levels, close);
}

TEST(JsonString, EscapesWhatMustBeEscaped) {
  EXPECT_EQ(as_json(""), "\"\"");
  EXPECT_EQ(as_json("a\"b\\c/"), R"("a\"b\\c/")");
  EXPECT_EQ(as_json("\n\r\t"), R"("\n\r\t")");
  EXPECT_EQ(as_json(std::string_view("\0\x1f\x20\x7f", 4)), "\"\\u0000\\u001f \x7f\"");
  EXPECT_EQ(as_json("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\"");
}

// Long stretches are looked at eight bytes at a time.
TEST(JsonString, EscapesEveryByteAtEveryPlace) {
  for (size_t size = 1; size <= 18; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (unsigned byte = 0; byte < 0x80; ++byte) {
        std::string text(size, at % 2 == 0 ? '~' : ' ');
        text[at] = static_cast<char>(byte);
        const std::string json = as_json(text);
        simdjson::dom::parser parser;
        std::string_view back;
        ASSERT_EQ(parser.parse(json).get(back), simdjson::SUCCESS) << json;
        ASSERT_EQ(back, text);
        const bool escaped = byte < 0x20 || byte == '"' || byte == '\\';
        ASSERT_EQ(json.size() > size + 2, escaped) << json;
      }
    }
  }
  EXPECT_EQ(as_json("éééééééé漢漢漢漢漢漢😀😀😀"), "\"éééééééé漢漢漢漢漢漢😀😀😀\"");
}

TEST(JsonString, ComesBackFromTheParserAsItWas) {
  std::string all;
  for (int c = 0; c < 0x80; ++c) {
    all += static_cast<char>(c);
  }
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, as_json(all), 1);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->get_string().value(), all);
}

TEST(JsonNumber, WritesTheEndsOfItsRange) {
  std::string out;
  append_number(out, std::numeric_limits<int64_t>::min());
  out += ' ';
  append_number(out, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(out, "-9223372036854775808 9223372036854775807");
}

TEST(JsonWriter, PlacesCommasBetweenMembers) {
  std::string out;
  JsonWriter(out)
      .begin()
      .field("text", "a\"")
      .field("string", std::string("s"))
      .field("int", 1)
      .field("size", size_t{2})
      .field("big", int64_t{-3})
      .field("yes", true)
      .raw("raw", "[1]")
      .members("\"m\":1,\"n\":2")
      .members("")
      .field("last", false)
      .end();
  EXPECT_EQ(out,
            R"({"text":"a\"","string":"s","int":1,"size":2,"big":-3,"yes":true,"raw":[1],"m":1,"n":2,"last":false})");
}

TEST(JsonWriter, WritesNoLeadingCommaAfterEmptyMembers) {
  std::string out;
  JsonWriter(out).begin().members("").field("a", 1).end();
  EXPECT_EQ(out, R"({"a":1})");
}

TEST(JsonWriter, WritesMembersWithoutBraces) {
  std::string out;
  JsonWriter(out).field("a", 1).field("b", 2);
  EXPECT_EQ(out, R"("a":1,"b":2)");
}

TEST(ParseJson, RefusesWhatIsNoJson) {
  for (const char* text : {"", " ", "{", "{}x", "{'a':1}", "{\"a\":}", "{\"a\":1,}", "nul", "\"a", "01", "\"\x01\"",
                           "{\"a\" 1}"}) {
    EXPECT_EQ(refusal(text), Code::invalid_json) << text;
  }
}

TEST(ParseJson, TakesEveryKindOfValue) {
  for (const char* text : {"{}", "[]", "\"a\"", "1", "-0.5e3", "true", "null", " {\"a\" : [1, {\"b\": null}]} "}) {
    EXPECT_TRUE(accepts(text)) << text;
  }
}

TEST(ParseJson, RefusesNumbersOutOfRange) {
  EXPECT_TRUE(accepts("[9223372036854775807,-9223372036854775808,18446744073709551615,1e308]"));
  EXPECT_EQ(refusal("18446744073709551616"), Code::invalid_json);
  EXPECT_EQ(refusal("-9223372036854775809"), Code::invalid_json);
  EXPECT_EQ(refusal("[1e400]"), Code::invalid_json);
}

TEST(ParseJson, RefusesWhatIsNotUtf8) {
  EXPECT_EQ(refusal("\"\xff\""), Code::invalid_json);
  EXPECT_EQ(refusal("\"\xed\xa0\x80\""), Code::invalid_json);
  EXPECT_EQ(refusal("{\"\xc0\xaf\":1}"), Code::invalid_json);
}

TEST(ParseJson, RefusesLoneSurrogatesWhereverTheyStand) {
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("x\ud800y")", R"("\ud800\u0041")", R"("\udc00\ud800")",
                           R"({"\ud800":1})", R"([[{"a":"\udfff"}]])", R"(["fine",{"b":["\uDBFF"]}])"}) {
    EXPECT_EQ(refusal(text), Code::invalid_json) << text;
  }
  EXPECT_TRUE(accepts(R"("\ud83d\ude00")"));
  EXPECT_TRUE(accepts(R"("\\ud800")"));  // a backslash and five characters
  EXPECT_TRUE(accepts(R"("\u0000\uffff")"));
}

TEST(ParseJson, CountsNestingFromOne) {
  EXPECT_TRUE(accepts(R"({"a":1})", 1));
  EXPECT_EQ(refusal(R"({"a":{"b":1}})", 1), Code::invalid_json);
  for (const size_t depth : {size_t{2}, size_t{32}}) {
    EXPECT_TRUE(accepts(nested('[', ']', depth, "1"), depth));
    EXPECT_EQ(refusal(nested('[', ']', depth + 1, "1"), depth), Code::invalid_json);
    EXPECT_TRUE(accepts(nested('{', '}', depth, "\"b\":1"), depth));
    EXPECT_EQ(refusal(nested('{', '}', depth + 1, "\"b\":1"), depth), Code::invalid_json);
  }
}

TEST(ParseJson, CountsAnEmptyInnermostLevelToo) {
  EXPECT_TRUE(accepts(nested('[', ']', 32, ""), 32));
  EXPECT_EQ(refusal(nested('[', ']', 33, ""), 32), Code::invalid_json);
  EXPECT_EQ(refusal(nested('{', '}', 33, ""), 32), Code::invalid_json);
}

TEST(ParseJson, UsesOneParserForDocumentsOfAllSizesAndDepths) {
  simdjson::dom::parser parser;
  const std::string big = "\"" + std::string(300'000, 'x') + "\"";
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(parse_json(parser, "{\"a\":1}", 32).ok());
    const auto parsed = parse_json(parser, big, 2);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->get_string().value().size(), 300'000u);
    EXPECT_FALSE(parse_json(parser, "{\"a\":", 32).ok());
    ASSERT_TRUE(parse_json(parser, nested('[', ']', 32, "1"), 32).ok());
  }
  // What a large document needed is given back at the next one.
  EXPECT_TRUE(parse_json(parser, "{}", 32).ok());
  EXPECT_LE(parser.capacity(), 64u * 1024);
}

TEST(ToJson, LeavesNoWhiteSpace) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, " { \"a\" : [ 1 , \"b c\" ] } ", 3);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(to_json(*parsed), R"({"a":[1,"b c"]})");
}

}  // namespace
}  // namespace tidemark
