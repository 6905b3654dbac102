#include "command/request.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace tidemark::command {
namespace {

const Fields kFields = {
    {.name = "text", .type = FieldType::text, .max = 5},
    {.name = "user", .type = FieldType::id, .alias = "userId"},
    {.name = "id", .type = FieldType::client_id},
    {.name = "count", .type = FieldType::integer, .max = 200, .min = 1},
    {.name = "seq", .type = FieldType::integer, .min = 1},
    {.name = "is_typing", .type = FieldType::boolean, .alias = "data.is_typing"},
    {.name = "data", .type = FieldType::object, .max = 20},
    {.name = "labels", .type = FieldType::text_map, .max = 30},
    {.name = "users", .type = FieldType::id_list, .max = 3},
    {.name = "cursors", .type = FieldType::cursor_map, .max = 2},
};
const Fields kRequired = {
    {.name = "to", .type = FieldType::id, .required = true},
    {.name = "content", .type = FieldType::text, .required = true, .max = 100},
    {.name = "is_typing", .type = FieldType::boolean, .required = true, .alias = "data.is_typing"},
};

Status take(Request& request, const std::string& json) {
  simdjson::dom::parser parser;
  const auto parsed = parse_json(parser, json, 32);
  EXPECT_TRUE(parsed.ok()) << json;
  return request.take(parsed->get_object().value());
}

// The refusal of one object: its code and its field.
std::string refusal(const std::string& json, const Fields& fields = kFields) {
  Request request(fields);
  Status taken = take(request, json);
  if (taken.ok()) {
    taken = request.check_complete();
  }
  if (taken.ok()) {
    return "taken";
  }
  return (taken.error().code == Code::invalid_field   ? "invalid_field "
          : taken.error().code == Code::missing_field ? "missing_field "
                                                       : "another code ") +
         taken.error().field;
}

std::string text_refusal(const std::string& name, const std::string& text) {
  Request request(kFields);
  const Status taken = request.take_text(name, text);
  return taken.ok() ? "taken" : taken.error().field;
}

TEST(Request, TakesEveryType) {
  Request request(kFields);
  ASSERT_TRUE(take(request, R"({"text":"abc","user":"alice","id":"1","count":7,"seq":9007199254740993,"is_typing":true,
      "data":{"a": [1, 2]},"labels":{"k":"v"},"users":["a","b"],"cursors":{"c":0,"@self":9},"unknown":[null]})").ok());
  EXPECT_EQ(request.text("text"), "abc");
  EXPECT_EQ(request.text("user"), "alice");
  EXPECT_EQ(request.text("id"), "1");
  EXPECT_EQ(request.integer("count"), 7);
  EXPECT_EQ(request.integer("seq"), 9007199254740993);
  EXPECT_TRUE(request.boolean("is_typing"));
  EXPECT_EQ(request.text("data"), R"({"a":[1,2]})");
  EXPECT_EQ(request.text("labels"), R"({"k":"v"})");
  EXPECT_EQ(request.list("users"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.cursors("cursors"), (CursorMap{{"c", 0}, {"@self", 9}}));
}

TEST(Request, AnswersDefaultsForWhatIsAbsent) {
  Request request(kFields);
  ASSERT_TRUE(take(request, "{}").ok());
  EXPECT_TRUE(request.check_complete().ok());
  EXPECT_FALSE(request.has("text"));
  EXPECT_FALSE(request.has("no such field"));
  EXPECT_EQ(request.text("text"), "");
  EXPECT_EQ(request.integer("count"), 0);
  EXPECT_EQ(request.integer("count", 50), 50);
  EXPECT_TRUE(request.boolean("is_typing", true));
  EXPECT_TRUE(request.list("users").empty());
  EXPECT_TRUE(request.cursors("cursors").empty());
}

TEST(Request, OwnsWhatItTook) {
  Request request(kFields);
  {
    simdjson::dom::parser parser;
    std::string json = R"({"text":"abc"})";
    ASSERT_TRUE(request.take(parse_json(parser, json, 3)->get_object().value()).ok());
    json.assign(json.size(), 'x');
    ASSERT_TRUE(parse_json(parser, R"({"text":"xyz"})", 3).ok());
  }
  EXPECT_EQ(request.text("text"), "abc");
}

TEST(Request, RefusesNullEverywhere) {
  for (const Field& field : kFields) {
    const std::string name(field.name);
    EXPECT_EQ(refusal("{\"" + name + "\":null}"), "invalid_field " + name);
  }
  EXPECT_EQ(refusal(R"({"to":null,"content":"a","is_typing":true})", kRequired), "missing_field to");
}

TEST(Request, NamesTheFirstRequiredFieldThatIsMissing) {
  EXPECT_EQ(refusal("{}", kRequired), "missing_field to");
  EXPECT_EQ(refusal(R"({"to":"bob"})", kRequired), "missing_field content");
  EXPECT_EQ(refusal(R"({"to":"bob","content":"a"})", kRequired), "missing_field is_typing");
  EXPECT_EQ(refusal(R"({"to":"bob","content":"a","is_typing":false})", kRequired), "taken");
}

TEST(Request, RefusesEveryWrongType) {
  const std::vector<std::pair<const char*, std::vector<const char*>>> wrong = {
      {"text", {"1", "true", "[]", "{}"}},
      {"user", {"1", "[\"a\"]"}},
      {"id", {"1", "false"}},
      {"count", {"\"1\"", "1.5", "1.0", "true", "[]", "18446744073709551615"}},
      {"is_typing", {"1", "\"true\"", "{}"}},
      {"data", {"[]", "\"{}\"", "1"}},
      {"labels", {"[]", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}"}},
      {"users", {"\"a\"", "{}", "[1]", "[null]", "[\"\"]", "[\"a\",[]]"}},
      {"cursors", {"[]", "1", "{\"a\":\"1\"}", "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":null}"}},
  };
  for (const auto& [name, values] : wrong) {
    for (const char* const value : values) {
      const std::string json = "{\"" + std::string(name) + "\":" + value + "}";
      EXPECT_EQ(refusal(json), "invalid_field " + std::string(name)) << json;
    }
  }
}

TEST(Request, RefusesEmptyTexts) {
  EXPECT_EQ(refusal(R"({"text":""})"), "invalid_field text");
  EXPECT_EQ(refusal(R"({"user":""})"), "invalid_field user");
  EXPECT_EQ(refusal(R"({"id":""})"), "invalid_field id");
}

TEST(Request, RefusesOnePastEachLimit) {
  EXPECT_EQ(refusal(R"({"text":"12345"})"), "taken");
  EXPECT_EQ(refusal(R"({"text":"123456"})"), "invalid_field text");
  EXPECT_EQ(refusal("{\"text\":\"\xc3\xa4\xc3\xa4\xc3\xa4\"}"), "invalid_field text") << "bytes, not characters";
  EXPECT_EQ(refusal("{\"user\":\"" + std::string(128, 'x') + "\"}"), "taken");
  EXPECT_EQ(refusal("{\"user\":\"" + std::string(129, 'x') + "\"}"), "invalid_field user");
  EXPECT_EQ(refusal(R"({"user":"a\u0007"})"), "invalid_field user");
  EXPECT_EQ(refusal(R"({"count":200})"), "taken");
  EXPECT_EQ(refusal(R"({"count":201})"), "invalid_field count");
  EXPECT_EQ(refusal(R"({"count":0})"), "invalid_field count");
  EXPECT_EQ(refusal(R"({"seq":9223372036854775807})"), "taken");
  EXPECT_EQ(refusal(R"({"data":{"a":"345678901234"}})"), "taken");  // 20 bytes
  EXPECT_EQ(refusal(R"({"data":{"a":"3456789012345"}})"), "invalid_field data");
  EXPECT_EQ(refusal(R"({"labels":{"a":"1234567890123456789012"}})"), "taken");  // 30 bytes
  EXPECT_EQ(refusal(R"({"labels":{"a":"12345678901234567890123"}})"), "invalid_field labels");
  EXPECT_EQ(refusal(R"({"users":["a","b","c"]})"), "taken");
  EXPECT_EQ(refusal(R"({"users":["a","b","c","d"]})"), "invalid_field users");
  EXPECT_EQ(refusal(R"({"cursors":{"a":1,"b":2}})"), "taken");
  EXPECT_EQ(refusal(R"({"cursors":{"a":1,"b":2,"c":3}})"), "invalid_field cursors");
}

TEST(Request, CountsTheCharactersOfAClientId) {
  std::string id;
  for (int i = 0; i < 64; ++i) {
    id += "\xf0\x9f\x98\x80";
  }
  EXPECT_EQ(refusal("{\"id\":\"" + id + "\"}"), "taken");
  EXPECT_EQ(refusal("{\"id\":\"" + id + "x\"}"), "invalid_field id");
  EXPECT_EQ(refusal("{\"id\":\"" + std::string(64, 'x') + "\"}"), "taken");
  EXPECT_EQ(refusal("{\"id\":\"" + std::string(65, 'x') + "\"}"), "invalid_field id");
}

TEST(Request, TakesAnAlias) {
  Request request(kFields);
  ASSERT_TRUE(take(request, R"({"userId":"alice"})").ok());
  EXPECT_EQ(request.text("user"), "alice");
  EXPECT_TRUE(request.has("user"));
}

TEST(Request, RefusesANameGivenTwiceAlsoUnderItsAlias) {
  EXPECT_EQ(refusal(R"({"text":"a","text":"a"})"), "invalid_field text");
  EXPECT_EQ(refusal(R"({"user":"a","userId":"a"})"), "invalid_field user");
  EXPECT_EQ(refusal(R"({"unknown":1,"unknown":2})"), "taken");
}

TEST(Request, TakesANestedAlias) {
  Request request(kFields);
  ASSERT_TRUE(take(request, R"({"data":{"is_typing":true}})").ok());
  EXPECT_TRUE(request.boolean("is_typing"));
  EXPECT_EQ(refusal(R"({"to":"b","content":"a","data":{"is_typing":false}})", kRequired), "taken");
}

TEST(Request, PrefersTheOwnNameToANestedAlias) {
  Request request(kFields);
  ASSERT_TRUE(take(request, R"({"is_typing":false,"data":{"is_typing":true}})").ok());
  EXPECT_FALSE(request.boolean("is_typing", true));
}

TEST(Request, ChecksANestedAlias) {
  EXPECT_EQ(refusal(R"({"data":{"is_typing":1}})"), "invalid_field is_typing");
  EXPECT_EQ(refusal(R"({"to":"b","content":"a","data":{}})", kRequired), "missing_field is_typing");
  EXPECT_EQ(refusal(R"({"to":"b","content":"a","data":7})", kRequired), "missing_field is_typing");
  EXPECT_EQ(refusal(R"({"to":"b","content":"a","data":{"is_typing":null}})", kRequired), "missing_field is_typing");
}

TEST(Request, TakesTextsOfPathAndQuery) {
  Request request(kFields);
  EXPECT_TRUE(request.take_text("count", "50").ok());
  EXPECT_TRUE(request.take_text("is_typing", "1").ok());
  EXPECT_TRUE(request.take_text("users", "a,b").ok());
  EXPECT_TRUE(request.take_text("user", "alice").ok());
  EXPECT_TRUE(request.take_text("unknown", "\xff").ok());
  EXPECT_EQ(request.integer("count"), 50);
  EXPECT_TRUE(request.boolean("is_typing"));
  EXPECT_EQ(request.list("users"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.text("user"), "alice");
}

TEST(Request, RefusesBadTextsOfPathAndQuery) {
  for (const char* const number : {"", " 1", "1 ", "+1", "1.0", "0x1", "0", "201", "99999999999999999999"}) {
    EXPECT_EQ(text_refusal("count", number), "count") << number;
  }
  for (const char* const truth : {"", "yes", "TRUE", "2"}) {
    EXPECT_EQ(text_refusal("is_typing", truth), "is_typing") << truth;
  }
  for (const char* const list : {"", ",", "a,", ",a", "a,,b", "a,b,c,d"}) {
    EXPECT_EQ(text_refusal("users", list), "users") << list;
  }
  EXPECT_EQ(text_refusal("user", ""), "user");
  EXPECT_EQ(text_refusal("user", "\xff"), "user");
  EXPECT_EQ(text_refusal("text", "123456"), "text");
}

TEST(Request, KnowsWhetherItHasABody) {
  const Fields only_path = {{.name = "a", .where = Where::path}, {.name = "b", .where = Where::query}};
  EXPECT_FALSE(Request(only_path).wants_body());
  EXPECT_TRUE(Request(kFields).wants_body());
}

}  // namespace
}  // namespace tidemark::command
