// The fields of a REST call, gathered from its path, query and body. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/table.h"

namespace tidemark::http {

// Whether the row takes this field from the query. GET and DELETE have no body that means anything everywhere, so there
// every field that is not in the path may stand in the query.
bool takes_from_query(const command::Row& row, const command::Field& field);

// Path wins over query, query over body. `body`: empty, or a JSON object; not looked at for GET. The result is
// complete: every required field is there.
Result<command::Request> read_fields(const command::Row& row,
                                     const std::vector<std::pair<std::string_view, std::string>>& path_values,
                                     std::string_view query, std::string_view body);

}  // namespace tidemark::http
