#include "http/openapi.h"

#include <algorithm>
#include <map>

#include "core/json.h"
#include "http/rest.h"
#include "http/rest_fields.h"

namespace tidemark::http {

using command::Field;
using command::FieldType;
using command::Row;
using command::Where;

namespace {

std::string ref(std::string_view to) {
  std::string json;
  JsonWriter(json).begin().field("$ref", "#/components/" + std::string(to)).end();
  return json;
}

std::string json_string(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

std::string describe(const Field& field) {
  std::string text(field.help);
  const auto add = [&text](const std::string& more) { text += (text.empty() ? "" : ". ") + more; };
  const bool sized =
      field.type == FieldType::text || field.type == FieldType::object || field.type == FieldType::text_map ||
      field.type == FieldType::content;
  if (sized && field.most() != INT64_MAX) {
    add("At most " + std::to_string(field.most()) + " bytes");
  }
  if (!field.alias.empty()) {
    add("Also read from `" + std::string(field.alias) + "`");
  }
  return text;
}

std::string schema(const Field& field) {
  std::string json;
  JsonWriter writer(json);
  writer.begin();
  const bool limited = field.most() != INT64_MAX;
  switch (field.type) {
    case FieldType::text:
      writer.field("type", "string").field("minLength", 1);
      if (limited) {
        writer.field("maxLength", field.most());
      }
      break;
    case FieldType::id: writer.field("type", "string").field("minLength", 1).field("maxLength", 128); break;
    case FieldType::client_id: writer.field("type", "string").field("minLength", 1).field("maxLength", 64); break;
    case FieldType::integer:
      writer.field("type", "integer").field("format", "int64").field("minimum", field.min);
      if (limited) {
        writer.field("maximum", field.most());
      }
      break;
    case FieldType::boolean: writer.field("type", "boolean"); break;
    case FieldType::content: writer.raw("oneOf", R"([{"type":"string"},{"type":"object"}])"); break;
    case FieldType::object: writer.field("type", "object"); break;
    case FieldType::text_map:
      writer.field("type", "object").raw("additionalProperties", R"({"type":"string"})");
      break;
    case FieldType::id_list:
      writer.field("type", "array").raw("items", R"({"type":"string","minLength":1,"maxLength":128})");
      if (limited) {
        writer.field("maxItems", field.most());
      }
      break;
    case FieldType::cursor_map:
      writer.field("type", "object").raw("additionalProperties", R"({"type":"integer","format":"int64","minimum":0})");
      if (limited) {
        writer.field("maxProperties", field.most());
      }
      break;
  }
  if (const std::string text = describe(field); !text.empty()) {
    writer.field("description", text);
  }
  writer.end();
  return json;
}

std::string parameter(const Field& field, bool in_path) {
  std::string json;
  JsonWriter writer(json);
  writer.begin().field("name", field.name).field("in", in_path ? "path" : "query");
  writer.field("required", in_path || field.required);
  if (field.type == FieldType::id_list) {
    writer.field("style", in_path ? "simple" : "form").field("explode", false);
  }
  writer.raw("schema", schema(field)).end();
  return json;
}

void append_item(std::string& list, std::string_view item) {
  list += list.empty() ? "" : ",";
  list += item;
}

// The names between braces.
std::vector<std::string_view> path_names(std::string_view path) {
  std::vector<std::string_view> names;
  for (size_t open = path.find('{'); open != std::string_view::npos; open = path.find('{', open + 1)) {
    names.push_back(path.substr(open + 1, path.find('}', open) - open - 1));
  }
  return names;
}

std::string parameters(const Row& row) {
  std::string list;
  for (const std::string_view name : path_names(row.path)) {
    const auto found = std::find_if(row.fields.begin(), row.fields.end(),
                                    [name](const Field& field) { return field.name == name; });
    append_item(list, parameter(found != row.fields.end() ? *found : Field{.name = name}, true));
  }
  for (const Field& field : row.fields) {
    if (takes_from_query(row, field)) {
      append_item(list, parameter(field, false));
    }
  }
  append_item(list, ref("parameters/ActFor"));
  return "[" + list + "]";
}

// The object that a row takes from a REST body, or all its fields as a WebSocket frame has them. Empty: no fields.
std::string object_schema(const Row& row, bool whole_frame) {
  std::string properties;
  std::string required;
  for (const Field& field : row.fields) {
    if (!whole_frame && (field.where != Where::body || takes_from_query(row, field))) {
      continue;
    }
    append_item(properties, json_string(field.name) + ":" + schema(field));
    if (field.required) {
      append_item(required, json_string(field.name));
    }
  }
  if (properties.empty()) {
    return {};
  }
  std::string json;
  JsonWriter writer(json);
  writer.begin().field("type", "object").raw("properties", "{" + properties + "}");
  if (!required.empty()) {
    writer.raw("required", "[" + required + "]");
  }
  writer.end();
  return json;
}

// Empty: the row takes nothing from a body.
std::string request_body(const Row& row) {
  const std::string body = object_schema(row, false);
  if (body.empty()) {
    return {};
  }
  const bool required = std::any_of(row.fields.begin(), row.fields.end(), [&row](const Field& field) {
    return field.required && field.where == Where::body && !takes_from_query(row, field);
  });
  return R"({"required":)" + std::string(required ? "true" : "false") + R"(,"content":{"application/json":{"schema":)" +
         body + "}}}";
}

// By type: what a client may send on the WebSocket beside `register`, `ping`, `ack` and `refresh`, which are the door's.
std::string websocket_commands(const command::Table& table) {
  std::string members;
  for (const Row& row : table.rows()) {
    if (!row.type.empty()) {
      const std::string fields = object_schema(row, true);
      append_item(members, json_string(row.type) + ":" + (fields.empty() ? R"({"type":"object"})" : fields));
    }
  }
  return "{" + members + "}";
}

std::string responses(const Row& row) {
  std::string json;
  JsonWriter writer(json);
  writer.begin().raw("200", ref("responses/Success"));
  if (row.method == "POST" || row.method == "PUT") {
    writer.raw("201", ref("responses/Created"));
  }
  for (const std::string_view status : {"400", "401", "403", "404", "409", "410", "413", "429", "500", "503"}) {
    writer.raw(status, ref("responses/Error"));
  }
  writer.end();
  return json;
}

// "get_sessions_by_id": unique, because method and path are.
std::string operation_id(std::string_view method, std::string_view path) {
  std::string id;
  for (const char c : method) {
    id += static_cast<char>(c | 0x20);
  }
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '/') {
      id += '_';
    } else if (path[i] == '{') {
      id += "by_";
    } else if (path[i] != '}') {
      id += path[i];
    }
  }
  return id;
}

std::string lower(std::string_view method) {
  std::string text(method);
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return static_cast<char>(c | 0x20); });
  return text;
}

std::string operation(const Row& row) {
  std::string json;
  JsonWriter writer(json);
  const std::string_view below = row.path.substr(1);
  writer.begin()
      .field("operationId", operation_id(row.method, row.path))
      .field("summary", row.summary)
      .raw("tags", "[" + json_string(below.substr(0, below.find('/'))) + "]")
      .raw("parameters", parameters(row));
  if (const std::string body = request_body(row); !body.empty()) {
    writer.raw("requestBody", body);
  }
  writer.raw("responses", responses(row)).end();
  return json;
}

constexpr std::string_view kPlainPaths = R"(
"/healthz":{"get":{"operationId":"get_healthz","summary":"Whether the process is alive","tags":["health"],"security":[],
"responses":{"200":{"description":"Alive","content":{"application/json":{"schema":{"type":"object","properties":
{"status":{"type":"string"}}}}}}}}},
"/readyz":{"get":{"operationId":"get_readyz","summary":"Whether this node wants traffic","tags":["health"],
"security":[],"responses":{"200":{"description":"Ready","content":{"application/json":{"schema":{"type":"object"}}}},
"503":{"description":"Not ready; the body says which part fails",
"content":{"application/json":{"schema":{"type":"object"}}}}}}},
"/openapi.json":{"get":{"operationId":"get_openapi","summary":"This description","tags":["health"],"security":[],
"responses":{"200":{"description":"OpenAPI 3.0.3","content":{"application/json":{"schema":{"type":"object"}}}}}}},
"/api/v1/ws/connect":{"get":{"operationId":"get_ws_connect","summary":"Upgrade to the WebSocket protocol","tags":["ws"],
"parameters":[{"name":"device_id","in":"query","schema":{"type":"string","minLength":1,"maxLength":128}},
{"name":"session_id","in":"query","schema":{"type":"string"}},
{"name":"conversation_id","in":"query","schema":{"type":"array","items":{"type":"string"}}},
{"name":"replay","in":"query","schema":{"type":"string","enum":["0","1"]}},
{"name":"ack","in":"query","schema":{"type":"string","enum":["client","auto"]}},
{"name":"dialect","in":"query","schema":{"type":"string","enum":["events"]}}],
"responses":{"101":{"description":"Switching protocols"},"400":{"$ref":"#/components/responses/Error"},
"401":{"$ref":"#/components/responses/Error"},"404":{"$ref":"#/components/responses/Error"},
"410":{"$ref":"#/components/responses/Error"},"426":{"$ref":"#/components/responses/Error"},
"503":{"$ref":"#/components/responses/Error"}}}})";

constexpr std::string_view kComponents = R"({"securitySchemes":{
"bearer":{"type":"http","scheme":"bearer","bearerFormat":"JWT"},
"query":{"type":"apiKey","in":"query","name":"token"}},
"parameters":{"ActFor":{"name":"Tidemark-User","in":"header","required":false,
"description":"The user that a token with role service acts for",
"schema":{"type":"string","minLength":1,"maxLength":128}}},
"schemas":{
"Success":{"type":"object","required":["code","message","data"],"properties":{
"code":{"type":"integer"},"message":{"type":"string"},"data":{"type":"object"}}},
"Error":{"type":"object","required":["code","message","error"],"properties":{
"code":{"type":"integer","description":"The HTTP status"},"message":{"type":"string","description":"For people"},
"error":{"type":"string","description":"For programs"},"field":{"type":"string"},
"retry_after_ms":{"type":"integer","format":"int64","minimum":1}}}},
"responses":{
"Success":{"description":"Done","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Success"}}}},
"Created":{"description":"Created","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Success"}}}},
"Error":{"description":"Refused","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Error"}}}}}})";

}  // namespace

std::string openapi(const command::Table& table) {
  std::map<std::string, std::string> operations;  // by path: what stands between the braces of its path item
  for (const Row& row : table.rows()) {
    if (!row.method.empty()) {
      append_item(operations[std::string(Rest::kPrefix) + std::string(row.path)],
                  json_string(lower(row.method)) + ":" + operation(row));
    }
  }
  std::string paths(kPlainPaths);
  for (const auto& [path, members] : operations) {
    append_item(paths, json_string(path) + ":{" + members + "}");
  }
  std::string json;
  JsonWriter(json)
      .begin()
      .field("openapi", "3.0.3")
      .raw("info", R"({"title":"Tidemark","version":"1","description":"Times are Unix milliseconds."})")
      .raw("servers", R"([{"url":"/"}])")
      .raw("security", R"([{"bearer":[]},{"query":[]}])")
      .raw("paths", "{" + paths + "}")
      .raw("components", kComponents)
      .raw("x-websocket-commands", websocket_commands(table))
      .end();
  return json;
}

}  // namespace tidemark::http
