// Where configuration comes from: reads a YAML document, the environment and --set into keys and texts.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/config_table.h"

namespace tidemark::app {

struct GivenKey {
  GivenValue value;
  std::string origin;  // file PATH:LINE | environment NAME | --set
};
using GivenKeys = std::map<std::string, GivenKey, std::less<>>;

// Each adds the known keys it finds to `keys`, over what is there. An unknown key, and anything that is not a flat or
// nested map of plain values, is refused.
Status read_yaml(std::string_view text, const std::string& path, GivenKeys& keys);
Status read_environment(const std::map<std::string, std::string>& environment, GivenKeys& keys);
Status read_set(const std::vector<std::string>& arguments, GivenKeys& keys);

// The bytes of a file, at most `bytes_max`; else not_found with a text that says why.
Result<std::string> read_text_file(const std::string& path, size_t bytes_max);

// The error for a key that is not there: names the nearest available one.
Error unknown_key(std::string_view key, std::string_view origin);

// The row of a key or of its `_file`; null if there is none.
const ConfigKey* find_key(std::string_view name);

// Whether keys start with `name` and a dot.
bool is_group(std::string_view name);

inline constexpr std::string_view kFileSuffix = "_file";

}  // namespace tidemark::app
