// A REST call: "METHOD TARGET\nBODY" → the row of its path → its fields.
#include <string>

#include "command_table.h"
#include "fuzz.h"
#include "http/rest_fields.h"
#include "http/target.h"

namespace tidemark::http {

FUZZ_TARGET(rest, bytes) {
  const size_t line_end = std::min(bytes.find('\n'), bytes.size());
  const std::string_view line = bytes.substr(0, line_end);
  const std::string_view body = bytes.substr(std::min(line_end + 1, bytes.size()));
  const size_t space = std::min(line.find(' '), line.size());
  const Target target = split_target(line.substr(std::min(space + 1, line.size())));
  const auto match = fuzz::command_table().by_path(line.substr(0, space), target.path);
  if (match.row == nullptr) {
    return;
  }
  const auto request = read_fields(*match.row, match.path_values, target.query, body);
  if (!request.ok()) {
    const Code code = request.error().code;
    TIDEMARK_CHECK(code == Code::invalid_json || code == Code::invalid_frame || code == Code::missing_field ||
                   code == Code::invalid_field);
    return;
  }
  for (const command::Field& field : match.row->fields) {
    TIDEMARK_CHECK(!field.required || request->has(field.name));
  }
}

}  // namespace tidemark::http
