#include "app/config_sources.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <system_error>

#include "app/config_value.h"

namespace tidemark::app {
namespace {

constexpr std::string_view kEnvironmentPrefix = "TIDEMARK_";

constexpr size_t kTypo = 2;  // so many changes make a name somebody else's

// Whether the variable is not meant to configure: it names no section of the table and is no misspelled key. Container
// orchestrators put TIDEMARK_PORT and TIDEMARK_SERVICE_HOST beside a service of that name.
bool is_foreign(std::string_view variable) {
  if (!variable.starts_with(kEnvironmentPrefix)) {
    return true;
  }
  for (const ConfigKey& key : config_table()) {
    const std::string name = environment_name(key.name);
    const std::string_view section = std::string_view(name).substr(0, kEnvironmentPrefix.size() + key.name.find('.') + 1);
    if (variable.starts_with(section) || edit_distance(variable, name) <= kTypo) {
      return false;
    }
  }
  return true;
}

// Every name that may be given, `_file` forms and unavailable keys too.
std::vector<std::string> all_names(bool available_only) {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_table()) {
    if (available_only && !available(key)) {
      continue;
    }
    names.emplace_back(key.name);
    if (has_file_form(key)) {
      names.push_back(std::string(key.name) + std::string(kFileSuffix));
    }
  }
  return names;
}

// `spell` is how the source writes a key, so that the hint can be copied.
template <class Spell>
Error unknown(std::string_view given, std::string_view origin, Spell spell) {
  std::string nearest;
  size_t nearest_distance = std::numeric_limits<size_t>::max();
  for (const std::string& name : all_names(true)) {
    std::string spelled = spell(name);
    const size_t distance = edit_distance(given, spelled);
    if (distance < nearest_distance) {
      nearest = std::move(spelled);
      nearest_distance = distance;
    }
  }
  const std::string name = printable(given);
  return invalid_field(
      name, name + ": unknown key; the nearest known one is " + nearest + " (" + std::string(origin) + ")");
}

}  // namespace

const ConfigKey* find_key(std::string_view name) {
  for (const ConfigKey& key : config_table()) {
    if (name == key.name ||
        (has_file_form(key) && name.starts_with(key.name) && name.substr(key.name.size()) == kFileSuffix)) {
      return &key;
    }
  }
  return nullptr;
}

bool is_group(std::string_view name) {
  const auto table = config_table();
  return std::any_of(table.begin(), table.end(), [&](const ConfigKey& key) {
    return key.name.starts_with(name) && key.name.substr(name.size()).starts_with('.');
  });
}

Error unknown_key(std::string_view key, std::string_view origin) {
  return unknown(key, origin, [](const std::string& name) { return name; });
}

Status read_environment(const std::map<std::string, std::string>& environment, GivenKeys& keys) {
  std::map<std::string, std::string, std::less<>> key_of;
  for (const std::string& name : all_names(false)) {
    key_of.emplace(environment_name(name), name);
  }
  for (const auto& [variable, value] : environment) {
    if (is_foreign(variable)) {
      continue;
    }
    const auto found = key_of.find(variable);
    if (found == key_of.end()) {
      return unknown(variable, "environment", environment_name);
    }
    keys.insert_or_assign(found->second, GivenKey{{{value}, false}, "environment " + variable});
  }
  return {};
}

Status read_set(const std::vector<std::string>& arguments, GivenKeys& keys) {
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string_view name = std::string_view(argument).substr(0, equals);
    if (find_key(name) == nullptr) {
      return unknown_key(name, "--set");
    }
    if (equals == std::string::npos) {
      return invalid_field(name, std::string(name) + ": --set wants key=value");
    }
    keys.insert_or_assign(std::string(name), GivenKey{{{argument.substr(equals + 1)}, false}, "--set"});
  }
  return {};
}

Result<std::string> read_text_file(const std::string& path, size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  std::string text(bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return fail(Code::not_found, "file " + path + " cannot be read: " + std::generic_category().message(errno));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > bytes_max) {
    return fail(Code::too_large, "file " + path + " is longer than " + format_bytes(bytes_max));
  }
  return text;
}

}  // namespace tidemark::app
