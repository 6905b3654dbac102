#include "http/rest_fields.h"

#include <gtest/gtest.h>

namespace tidemark::http {
namespace {

using command::Field;
using command::FieldType;
using command::Where;

command::Row row(std::string_view method) {
  command::Row row;
  row.method = method;
  row.path = "/things/{id}";
  row.fields = {Field{.name = "id", .type = FieldType::id, .where = Where::path},
                Field{.name = "limit", .type = FieldType::integer, .max = 200, .min = 1, .where = Where::query},
                Field{.name = "text", .max = 10, .alias = "content"}};
  return row;
}

TEST(RestFields, ComeFromPathQueryAndBody) {
  const auto post = row("POST");
  const auto fields = read_fields(post, {{"id", "a b"}}, "limit=7&text=q", R"({"id":"other","content":"hi","x":1})");
  ASSERT_TRUE(fields.ok());
  EXPECT_EQ(fields->text("id"), "a b");
  EXPECT_EQ(fields->integer("limit"), 7);
  EXPECT_EQ(fields->text("text"), "hi");
}

TEST(RestFields, GetReadsEverythingFromTheQueryAndNoBody) {
  const auto get = row("GET");
  const auto fields = read_fields(get, {{"id", "x"}}, "content=a+b%21&other=1", "no json");
  ASSERT_TRUE(fields.ok());
  EXPECT_EQ(fields->text("text"), "a b!");
}

TEST(RestFields, RefusesBadBodies) {
  const auto post = row("POST");
  for (const char* body : {"{", "nonsense", "{\"text\":\"\xC3\"}", "{\"text\":\"x\",}"}) {
    EXPECT_EQ(read_fields(post, {}, "", body).error().code, Code::invalid_json) << body;
  }
  for (const char* body : {"[]", "\"x\"", "7", "null"}) {
    EXPECT_EQ(read_fields(post, {}, "", body).error().code, Code::invalid_frame) << body;
  }
  EXPECT_TRUE(read_fields(post, {}, "", "").ok());
  std::string deep = "{\"x\":";
  EXPECT_TRUE(read_fields(post, {}, "", deep + std::string(31, '[') + "1" + std::string(31, ']') + "}").ok());
  EXPECT_EQ(read_fields(post, {}, "", deep + std::string(32, '[') + "1" + std::string(32, ']') + "}").error().code,
            Code::invalid_json);
}

TEST(RestFields, RefusesBadQueries) {
  const auto get = row("GET");
  for (const char* query : {"limit=0", "limit=201", "limit=x", "limit=1.5", "limit=", "limit=1&limit=1",
                            "limit=99999999999999999999"}) {
    const auto fields = read_fields(get, {}, query, "");
    ASSERT_FALSE(fields.ok()) << query;
    EXPECT_EQ(fields.error().code, Code::invalid_field) << query;
    EXPECT_EQ(fields.error().field, "limit");
  }
  EXPECT_EQ(read_fields(get, {}, "limit=%zz", "").error().code, Code::invalid_frame);
}

TEST(RestFields, SaysWhichFieldIsMissing) {
  auto post = row("POST");
  post.fields[2].required = true;
  const auto fields = read_fields(post, {{"id", "x"}}, "", "{}");
  ASSERT_FALSE(fields.ok());
  EXPECT_EQ(fields.error().code, Code::missing_field);
  EXPECT_EQ(fields.error().field, "text");
}

}  // namespace
}  // namespace tidemark::http
