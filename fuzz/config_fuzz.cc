// Configuration: a YAML file, then the environment, then --set, separated by lines of "---env" and "---set".
//
// What is accepted is shown as a text that means the same when it is given again.
#include <map>
#include <string>

#include "app/config_sources.h"
#include "app/config_table.h"
#include "fuzz.h"

namespace tidemark::app {
namespace {

std::string_view take_part(std::string_view& rest, std::string_view mark) {
  const size_t at = std::min(rest.find(mark), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + mark.size(), rest.size()));
  return part;
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> all;
  while (!text.empty()) {
    all.emplace_back(take_part(text, "\n"));
  }
  return all;
}

Status read(std::string_view bytes, GivenKeys& given) {
  const std::string_view yaml = take_part(bytes, "---env\n");
  const std::string_view environment = take_part(bytes, "---set\n");
  if (auto status = read_yaml(yaml, "fuzz.yaml", given); !status) {
    return status;
  }
  std::map<std::string, std::string> variables;
  for (const std::string& line : lines(environment)) {
    const size_t equals = std::min(line.find('='), line.size());
    variables.emplace(line.substr(0, equals), line.substr(std::min(equals + 1, line.size())));
  }
  if (auto status = read_environment(variables, given); !status) {
    return status;
  }
  return read_set(lines(bytes), given);
}

}  // namespace

FUZZ_TARGET(config, bytes) {
  GivenKeys given;
  if (const auto status = read(bytes, given); !status) {
    TIDEMARK_CHECK(!status.error().text.empty());
    return;
  }
  Config config;
  for (const auto& [name, value] : given) {
    const ConfigKey* const key = find_key(name);
    TIDEMARK_CHECK(key != nullptr);
    if (name.ends_with(kFileSuffix) || !available(*key)) {
      continue;
    }
    const auto shown = apply(*key, value.value, config);
    if (!shown.ok()) {
      TIDEMARK_CHECK(!shown.error().text.empty());
      continue;
    }
    if (*shown == "[hidden]" || *shown == "none" || std::holds_alternative<UrlKey>(key->kind)) {
      continue;
    }
    Config other;
    const auto again = apply(*key, GivenValue{{*shown}, false}, other);
    TIDEMARK_CHECK(again.ok() && *again == *shown);
  }
}

}  // namespace tidemark::app
