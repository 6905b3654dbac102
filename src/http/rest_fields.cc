#include "http/rest_fields.h"

#include <algorithm>

#include "core/json.h"
#include "http/target.h"

namespace tidemark::http {

using command::Field;
using command::Request;
using command::Row;
using command::Where;

namespace {

constexpr size_t kDepthMax = 32;

Status take_body(Request& request, std::string_view body) {
  if (body.empty()) {
    return {};
  }
  // One per worker: its buffers are used again, and the request keeps nothing of them.
  thread_local simdjson::dom::parser parser;
  const auto document = parse_json(parser, body, kDepthMax);
  if (!document.ok()) {
    return document.error();
  }
  simdjson::dom::object object;
  if (document->get_object().get(object) != simdjson::SUCCESS) {
    return fail(Code::invalid_frame);
  }
  return request.take(object);
}

Status take_query(const Row& row, Request& request, std::string_view query) {
  const auto parameters = query_parameters(query);
  if (!parameters) {
    return fail(Code::invalid_frame, "a broken percent-escape in the query");
  }
  std::vector<bool> seen(row.fields.size());
  for (const auto& [name, value] : *parameters) {
    const auto field = std::find_if(row.fields.begin(), row.fields.end(), [&, &wanted = name](const Field& one) {
      return takes_from_query(row, one) && (one.name == wanted || (!one.alias.empty() && one.alias == wanted));
    });
    if (field == row.fields.end()) {
      continue;
    }
    const auto index = static_cast<size_t>(field - row.fields.begin());
    if (seen[index]) {
      return invalid_field(field->name, "given twice");
    }
    seen[index] = true;
    if (Status taken = request.take_text(field->name, value); !taken.ok()) {
      return taken;
    }
  }
  return {};
}

}  // namespace

bool takes_from_query(const Row& row, const Field& field) {
  return field.where == Where::query || (field.where == Where::body && (row.method == "GET" || row.method == "DELETE"));
}

Result<Request> read_fields(const Row& row, const std::vector<std::pair<std::string_view, std::string>>& path_values,
                            std::string_view query, std::string_view body) {
  Request request(row.fields);
  if (row.method != "GET") {
    if (Status taken = take_body(request, body); !taken.ok()) {
      return taken.error();
    }
  }
  if (Status taken = take_query(row, request, query); !taken.ok()) {
    return taken.error();
  }
  for (const auto& [name, value] : path_values) {
    if (Status taken = request.take_text(name, value); !taken.ok()) {
      return taken.error();
    }
  }
  if (Status complete = request.check_complete(); !complete.ok()) {
    return complete.error();
  }
  return request;
}

}  // namespace tidemark::http
