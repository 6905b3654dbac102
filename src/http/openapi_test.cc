#include "http/openapi.h"

#include <gtest/gtest.h>

#include <set>

#include "core/json.h"

namespace tidemark::http {
namespace {

using command::Field;
using command::FieldType;
using command::Where;

class OpenApi : public testing::Test {
 protected:
  OpenApi() {
    const Field id{.name = "id", .type = FieldType::id, .required = true, .where = Where::path};
    table_.add({.method = "POST",
                .path = "/things",
                .summary = "Makes a \"thing\"",
                .fields = {Field{.name = "title", .required = true, .max = 80},
                           Field{.name = "count", .type = FieldType::integer, .max = 9, .min = 2},
                           Field{.name = "members", .type = FieldType::id_list, .max = 5}}});
    table_.add({.method = "GET",
                .path = "/things/{id}",
                .summary = "Shows one",
                .fields = {id, Field{.name = "limit", .type = FieldType::integer, .max = 200, .where = Where::query}}});
    table_.add({.method = "DELETE", .path = "/things/{id}", .summary = "Removes one", .fields = {id}});
    table_.add({.method = "DELETE", .path = "/things/{id}/parts/{part}", .summary = "Removes a part", .fields = {id}});
    table_.add({.type = "typing",
                .summary = "Only on the WebSocket",
                .fields = {Field{.name = "to", .type = FieldType::id, .required = true}}});
    table_.add({.type = "bow", .summary = "Without fields"});
    table_.freeze();
    text_ = openapi(table_);
    auto parsed = parse_json(parser_, text_, 64);
    EXPECT_TRUE(parsed.ok());
    document_ = *parsed;
  }

  simdjson::dom::object object_at(const std::string& pointer) {
    return document_.at_pointer(pointer).get_object().value();
  }

  std::string at(const std::string& pointer) {
    simdjson::dom::element element;
    return document_.at_pointer(pointer).get(element) == simdjson::SUCCESS ? to_json(element) : "absent";
  }

  SystemClock clock_;
  WorkerPool workers_{1, clock_};
  MetricRegistry metrics_;
  command::RateLimiter limiter_{workers_, {}, metrics_};
  command::Table table_{limiter_, clock_};
  simdjson::dom::parser parser_;
  std::string text_;
  simdjson::dom::element document_;
};

TEST_F(OpenApi, ListsRowsWithAPathAndThePlainRoutes) {
  std::set<std::string> paths;
  const simdjson::dom::object items = object_at("/paths");
  for (const auto& [path, item] : items) {
    paths.emplace(path);
  }
  EXPECT_EQ(paths, (std::set<std::string>{"/healthz", "/readyz", "/openapi.json", "/api/v1/ws/connect",
                                          "/api/v1/things", "/api/v1/things/{id}",
                                          "/api/v1/things/{id}/parts/{part}"}));
}

TEST_F(OpenApi, DescribesFieldsWithTheirLimits) {
  const std::string body = "/paths/~1api~1v1~1things/post/requestBody";
  EXPECT_EQ(at(body + "/required"), "true");
  EXPECT_EQ(at(body + "/content/application~1json/schema/required"), R"(["title"])");
  const std::string properties = body + "/content/application~1json/schema/properties";
  EXPECT_EQ(at(properties + "/title/maxLength"), "80");
  EXPECT_EQ(at(properties + "/count"), R"({"type":"integer","format":"int64","minimum":2,"maximum":9})");
  EXPECT_EQ(at(properties + "/members/maxItems"), "5");
  EXPECT_EQ(at("/paths/~1api~1v1~1things~1{id}/get/requestBody"), "absent");
}

// OpenAPI 3.0.3, "Path Templating": every name in a path is declared, and no other.
TEST_F(OpenApi, DeclaresTheNamesInPaths) {
  std::set<std::string> declared;
  const simdjson::dom::array parameters =
      document_.at_pointer("/paths/~1api~1v1~1things~1{id}~1parts~1{part}/delete/parameters").get_array().value();
  for (const auto parameter : parameters) {
    std::string_view place;
    if (parameter["in"].get(place) == simdjson::SUCCESS && place == "path") {
      EXPECT_TRUE(parameter["required"].get_bool().value());
      declared.emplace(parameter["name"].get_string().value());
    }
  }
  EXPECT_EQ(declared, (std::set<std::string>{"id", "part"}));
}

TEST_F(OpenApi, OperationIdsAreUnique) {
  std::set<std::string> ids;
  size_t operations = 0;
  const simdjson::dom::object items = object_at("/paths");
  for (const auto& [path, item] : items) {
    const simdjson::dom::object methods = item.get_object().value();
    for (const auto& [method, operation] : methods) {
      ids.emplace(operation["operationId"].get_string().value());
      ++operations;
    }
  }
  EXPECT_EQ(ids.size(), operations);
  EXPECT_EQ(operations, 8u);
  EXPECT_TRUE(ids.contains("delete_things_by_id_parts_by_part"));
}

void check_references(simdjson::dom::element node, simdjson::dom::element document) {
  if (node.is_object()) {
    const simdjson::dom::object members = node.get_object().value();
    for (const auto& [name, value] : members) {
      if (name == "$ref") {
        const std::string to(value.get_string().value());
        EXPECT_EQ(document.at_pointer(to.substr(1)).error(), simdjson::SUCCESS) << to;
      } else {
        check_references(value, document);
      }
    }
  } else if (node.is_array()) {
    const simdjson::dom::array elements = node.get_array().value();
    for (const auto value : elements) {
      check_references(value, document);
    }
  }
}

TEST_F(OpenApi, ReferencesResolve) { check_references(document_, document_); }

TEST_F(OpenApi, ListsTheTypesOfTheWebSocketWithAllTheirFields) {
  EXPECT_EQ(object_at("/x-websocket-commands").size(), 2U);
  EXPECT_EQ(at("/x-websocket-commands/typing/properties/to/maxLength"), "128");
  EXPECT_EQ(at("/x-websocket-commands/typing/required"), R"(["to"])");
  EXPECT_EQ(at("/x-websocket-commands/bow"), R"({"type":"object"})");
}

}  // namespace
}  // namespace tidemark::http
