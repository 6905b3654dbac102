// The table of configuration keys. A key is one row; a row says where the value goes and what is allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config.h"

namespace tidemark::app {

// The place of a value in a Config.
template <class T>
using At = T& (*)(Config&);

struct BytesKey {
  At<size_t> at;
  uint64_t min;
  uint64_t max;
};
struct CountKey {
  At<size_t> at;
  uint64_t min;
  uint64_t max;
};
struct DurationKey {
  At<Milliseconds> at;
  Milliseconds min;
  Milliseconds max;
};
struct DurationOrForeverKey {
  At<std::optional<Milliseconds>> at;
  Milliseconds min;
  Milliseconds max;
};
struct ListenerKey {
  At<Listener> at;
};
struct TextKey {
  At<std::string> at;
  std::string_view allowed;         // for people
  bool (*valid)(std::string_view);  // beyond is_plain_text()
};
struct ListKey {
  At<std::vector<std::string>> at;
  std::string_view allowed;
  bool (*valid)(std::string_view);  // one item
};
struct UrlKey {
  At<std::string> at;
  std::string_view allowed;
  bool (*valid)(std::string_view);
};
struct SecretKey {
  At<Secret> at;
  size_t bytes_min;
};
// The names of an enum's values in its order.
struct ChoiceKey {
  std::span<const std::string_view> names;
  void (*assign)(Config&, size_t index);
};
// The feature is not in this version: giving the key is an error.
struct Unavailable {
  bool has_file_form = false;  // a secret or URL
};

using KeyKind = std::variant<BytesKey, CountKey, DurationKey, DurationOrForeverKey, ListenerKey, TextKey, ListKey,
                             UrlKey, SecretKey, ChoiceKey, Unavailable>;

struct ConfigKey {
  std::string_view name;
  std::string_view default_text;  // in the value's syntax, or in words if it is computed; empty: none
  KeyKind kind;
  std::string_view help = {};
  std::string_view dev_default = {};           // with --dev; empty: the same
  std::string (*compute_default)() = nullptr;  // for a default that depends on the machine
  bool reloads = false;                        // SIGHUP takes a new value over
};

std::span<const ConfigKey> config_table();

inline bool available(const ConfigKey& key) { return !std::holds_alternative<Unavailable>(key.kind); }

// Whether NAME_file exists too.
bool has_file_form(const ConfigKey& key);

// http.listen → TIDEMARK_HTTP_LISTEN
std::string environment_name(std::string_view key);

// What a value of the key may be, for people: "1KiB to 16MiB".
std::string allowed_text(const ConfigKey& key);

// A value as it was given: one text, or the items of a list in the file.
struct GivenValue {
  std::vector<std::string> items;
  bool is_list = false;
};

// Checks the value, stores it and returns its canonical text ("none" for an empty one, [hidden] for a secret). The text
// of an error says what is wrong and what is allowed; the caller puts the key in front of it.
Result<std::string> apply(const ConfigKey& key, const GivenValue& value, Config& config);

}  // namespace tidemark::app
