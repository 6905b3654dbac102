#include "app/config.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "app/config_sources.h"
#include "app/config_table.h"
#include "app/config_value.h"

namespace tidemark::app {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr size_t kValueFileBytesMax = 64 << 10;

std::string file_name_of(const ConfigKey& key) { return std::string(key.name) + std::string(kFileSuffix); }

// Puts the key in front and the origin behind what apply() or a file says.
Error about(const ConfigKey& key, const Error& error, std::string_view origin) {
  return Error{error.code, std::string(key.name) + ": " + error.text + " (" + std::string(origin) + ")",
               std::string(key.name), 0};
}

const GivenKey* find_given(const GivenKeys& given, std::string_view name) {
  const auto found = given.find(name);
  return found == given.end() ? nullptr : &found->second;
}

GivenKey default_of(const ConfigKey& key, bool dev) {
  if (dev && !key.dev_default.empty()) {
    return GivenKey{{{std::string(key.dev_default)}, false}, "dev"};
  }
  const std::string text = key.compute_default != nullptr ? key.compute_default() : std::string(key.default_text);
  return GivenKey{{{text}, false}, "default"};
}

// The content of the file that NAME_file names, without the newline that editors leave at its end.
Result<GivenKey> read_file_form(const ConfigKey& key, const GivenKey& file) {
  if (file.value.is_list) {
    return about(key, fail(Code::invalid_field, file_name_of(key) + " is one path, not a list"), file.origin);
  }
  const std::string& path = file.value.items.at(0);
  auto content = read_text_file(path, kValueFileBytesMax);
  if (!content) {
    return about(key, content.error(), file.origin);
  }
  std::string text = *std::move(content);
  for (const char end : {'\n', '\r'}) {
    if (text.ends_with(end)) {
      text.pop_back();
    }
  }
  return GivenKey{{{std::move(text)}, false}, file.origin + ", read from " + path};
}

// The value of a key and where it comes from; the default if nobody gave one.
Result<GivenKey> value_of(const ConfigKey& key, const GivenKeys& given, bool dev) {
  const GivenKey* direct = find_given(given, key.name);
  const GivenKey* file = has_file_form(key) ? find_given(given, file_name_of(key)) : nullptr;
  if (direct != nullptr && file != nullptr) {
    return about(key, fail(Code::invalid_field, file_name_of(key) + " is given too; give one of the two"),
                 direct->origin + "; " + file->origin);
  }
  if (file != nullptr) {
    return read_file_form(key, *file);
  }
  return direct != nullptr ? *direct : default_of(key, dev);
}

Status check_grpc(const Config& config) {
  if (config.grpc.tls_cert.empty() != config.grpc.tls_key.empty()) {
    const std::string_view missing = config.grpc.tls_cert.empty() ? "grpc.tls.cert" : "grpc.tls.key";
    return invalid_field(missing, std::string(missing) + ": TLS needs grpc.tls.cert and grpc.tls.key, or neither");
  }
  if (config.grpc.tls_cert.empty() && !config.grpc.tls_client_ca.empty()) {
    return invalid_field("grpc.tls.client_ca", "grpc.tls.client_ca: clients show certificates over TLS only, which "
                                               "needs grpc.tls.cert and grpc.tls.key");
  }
  if (!config.grpc.tls_cert.empty() || config.grpc.insecure) {
    return {};
  }
  const std::pair<std::string_view, const Listener&> listeners[] = {
      {"session.grpc_listen", config.session.grpc_listen}, {"statesync.grpc_listen", config.statesync.grpc_listen}};
  for (const auto& [key, listener] : listeners) {
    if (listener && !is_loopback(*listener)) {
      return invalid_field(key, std::string(key) + ": beyond this machine it needs TLS (grpc.tls.cert and "
                                                   "grpc.tls.key), or grpc.insecure: true where the network is trusted");
    }
  }
  return {};
}

// What one row cannot say.
Status check_together(const Config& config) {
  if (config.heartbeat.timeout <= config.heartbeat.interval) {
    return invalid_field("heartbeat.timeout", "heartbeat.timeout: " + format_duration(config.heartbeat.timeout) +
                                                  " must be longer than heartbeat.interval, " +
                                                  format_duration(config.heartbeat.interval));
  }
  if (config.http.tls_cert.empty() != config.http.tls_key.empty()) {
    const std::string_view missing = config.http.tls_cert.empty() ? "http.tls.cert" : "http.tls.key";
    return invalid_field(missing, std::string(missing) + ": TLS needs http.tls.cert and http.tls.key, or neither");
  }
  if (const Status checked = check_grpc(config); !checked.ok()) {
    return checked;
  }
  if (config.session.ttl > config.session.ttl_max) {
    return invalid_field("session.ttl", "session.ttl: " + format_duration(config.session.ttl) +
                                            " must not be longer than session.ttl_max, " +
                                            format_duration(config.session.ttl_max));
  }
  return {};
}

Result<GivenKeys> gather(const ConfigSources& sources) {
  GivenKeys given;
  if (sources.file) {
    const auto text = read_text_file(*sources.file, kFileBytesMax);
    if (!text) {
      return text.error();
    }
    if (auto read = read_yaml(*text, *sources.file, given); !read) {
      return read.error();
    }
  }
  if (auto read = read_environment(sources.environment, given); !read) {
    return read.error();
  }
  if (auto read = read_set(sources.set, given); !read) {
    return read.error();
  }
  for (const auto& [name, value] : given) {
    if (!available(*find_key(name))) {
      return invalid_field(name, name + ": not available in this version (" + value.origin + ")");
    }
  }
  return given;
}

// Nobody gave a value and there is no default: the Config's own empty value stays.
bool is_none(const ConfigKey& key, const GivenKey& value) {
  return value.origin == "default" && key.default_text.empty();
}

}  // namespace

bool is_loopback(const Endpoint& endpoint) {
  return endpoint.host == "localhost" || endpoint.host == "::1" || endpoint.host.starts_with("127.");
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (text.starts_with("TIDEMARK_") && equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  const auto given = gather(sources);
  if (!given) {
    return given.error();
  }
  LoadedConfig loaded;
  for (const ConfigKey& key : config_table()) {
    if (!available(key)) {
      continue;
    }
    const Result<GivenKey> value = value_of(key, *given, sources.dev);
    if (!value) {
      return value.error();
    }
    std::string shown = "none";
    if (!is_none(key, *value)) {
      auto applied = apply(key, value->value, loaded.config);
      if (!applied) {
        return about(key, applied.error(), value->origin);
      }
      shown = *std::move(applied);
    }
    loaded.entries.push_back({std::string(key.name), std::move(shown), value->origin});
  }
  if (auto checked = check_together(loaded.config); !checked) {
    return checked.error();
  }
  return loaded;
}

std::string config_reference_markdown() {
  std::string table =
      "| key | environment | default | allowed | meaning |\n"
      "|---|---|---|---|---|\n";
  for (const ConfigKey& key : config_table()) {
    if (!available(key)) {
      continue;
    }
    table += "| `" + std::string(key.name) + "` | `" + environment_name(key.name) + "` | ";
    table += key.default_text.empty() ? "none" : std::string(key.default_text);
    if (!key.dev_default.empty()) {
      table += " (`--dev`: " + std::string(key.dev_default) + ")";
    }
    table += " | " + allowed_text(key) + (has_file_form(key) ? "; also as `" + file_name_of(key) + "`" : "") + " | " +
             std::string(key.help) + (key.reloads ? " ⟳" : "") + " |\n";
  }
  return table;
}

std::vector<std::string> changed_for_restart(const std::vector<ConfigEntry>& running,
                                             const std::vector<ConfigEntry>& fresh) {
  std::vector<std::string> changed;
  for (const ConfigEntry& entry : fresh) {
    const auto before = std::find_if(running.begin(), running.end(),
                                     [&](const ConfigEntry& one) { return one.key == entry.key; });
    if (before != running.end() && before->value != entry.value && !find_key(entry.key)->reloads) {
      changed.push_back(entry.key);
    }
  }
  return changed;
}

std::string check_config_text(const LoadedConfig& loaded) {
  size_t key_width = 0;
  size_t value_width = 0;
  for (const ConfigEntry& entry : loaded.entries) {
    key_width = std::max(key_width, entry.key.size());
    value_width = std::max(value_width, std::min<size_t>(entry.value.size(), 32));
  }
  std::string text;
  for (const ConfigEntry& entry : loaded.entries) {
    text += entry.key + std::string(key_width - entry.key.size() + 2, ' ') + entry.value +
            std::string(value_width - std::min(entry.value.size(), value_width) + 2, ' ') + entry.origin + "\n";
  }
  return text;
}

}  // namespace tidemark::app
