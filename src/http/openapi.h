// The description of the REST door as OpenAPI 3.0.3, generated from the command table.
#pragma once

#include <string>

#include "command/table.h"

namespace tidemark::http {

// One JSON document: every row with a path, and the plain routes. Pure.
std::string openapi(const command::Table& table);

}  // namespace tidemark::http
