// One value of one key: what is allowed, and checking and storing it.
#include <algorithm>
#include <limits>

#include "app/config_table.h"
#include "app/config_value.h"

namespace tidemark::app {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

std::string range_text(const std::string& min, const std::string& max) { return min + " to " + max; }

std::string join(const auto& parts) {
  std::string joined;
  for (const auto& part : parts) {
    joined += (joined.empty() ? "" : ", ") + std::string(part);
  }
  return joined;
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string in_quotes(std::string_view text) { return '"' + printable(text) + '"'; }

// Stores one value of the key it was made for.
class Applier {
 public:
  Applier(const ConfigKey& key, std::string_view text, Config& config) : key_(key), text_(text), config_(config) {}

  Result<std::string> operator()(const BytesKey& kind) { return number(kind, parse_bytes(text_), format_bytes); }
  Result<std::string> operator()(const CountKey& kind) {
    return number(kind, parse_count(text_), [](uint64_t value) { return std::to_string(value); });
  }
  Result<std::string> operator()(const DurationKey& kind) {
    return number(kind, parse_duration(text_), format_duration);
  }
  Result<std::string> operator()(const DurationOrForeverKey& kind) {
    if (text_ == "forever") {
      kind.at(config_) = std::nullopt;
      return std::string(text_);
    }
    return number(kind, parse_duration(text_), format_duration);
  }
  Result<std::string> operator()(const ListenerKey& kind) {
    const auto listener = parse_listener(text_);
    if (!listener) {
      return refused();
    }
    kind.at(config_) = *listener;
    return format_listener(*listener);
  }
  Result<std::string> operator()(const TextKey& kind) {
    if (!is_plain_text(text_) || !kind.valid(text_)) {
      return refused();
    }
    kind.at(config_) = text_;
    return or_none(std::string(text_));
  }
  // The value may hold a password, so that an error says only what would be allowed.
  Result<std::string> operator()(const UrlKey& kind) {
    if (!is_plain_text(text_) || !kind.valid(text_)) {
      return fail(Code::invalid_field, "this URL cannot be used; allowed: " + allowed_text(key_));
    }
    kind.at(config_) = text_;
    return without_password(text_);
  }
  Result<std::string> operator()(const SecretKey& kind) {
    if (text_.size() < kind.bytes_min) {
      return fail(Code::invalid_field,
                  "the secret has " + std::to_string(text_.size()) + " bytes; allowed: " + allowed_text(key_));
    }
    kind.at(config_) = Secret(std::string(text_));
    return std::string("[hidden]");
  }
  Result<std::string> operator()(const ChoiceKey& kind) {
    const auto found = std::find(kind.names.begin(), kind.names.end(), text_);
    if (found == kind.names.end()) {
      return refused();
    }
    kind.assign(config_, static_cast<size_t>(found - kind.names.begin()));
    return std::string(text_);
  }
  Result<std::string> operator()(const ListKey&) { return refused(); }
  Result<std::string> operator()(const Unavailable&) { return refused(); }

 private:
  template <class Kind, class Value, class Format>
  Result<std::string> number(const Kind& kind, const std::optional<Value>& value, Format format) {
    if (!value || *value < kind.min || *value > kind.max) {
      return refused();
    }
    kind.at(config_) = *value;
    return format(*value);
  }
  Error refused() const {
    return fail(Code::invalid_field, in_quotes(text_) + " is not allowed; allowed: " + allowed_text(key_));
  }

  const ConfigKey& key_;
  std::string_view text_;
  Config& config_;
};

Result<std::string> apply_list(const ConfigKey& key, const ListKey& kind, const GivenValue& value, Config& config) {
  const std::vector<std::string> items = value.is_list ? value.items : split_list(value.items.at(0));
  for (const std::string& item : items) {
    if (!is_plain_text(item) || !kind.valid(item)) {
      return fail(Code::invalid_field, in_quotes(item) + " is not allowed; allowed: " + allowed_text(key));
    }
  }
  kind.at(config) = items;
  return or_none(join(items));
}

}  // namespace

bool has_file_form(const ConfigKey& key) {
  const auto* missing = std::get_if<Unavailable>(&key.kind);
  return missing != nullptr ? missing->has_file_form
                            : std::holds_alternative<SecretKey>(key.kind) || std::holds_alternative<UrlKey>(key.kind);
}

std::string environment_name(std::string_view key) {
  std::string name = "TIDEMARK_";
  for (const char c : key) {
    name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::string allowed_text(const ConfigKey& key) {
  const auto durations = [](const auto& kind) {
    return range_text(format_duration(kind.min), format_duration(kind.max));
  };
  return std::visit(
      Overloaded{
          [](const BytesKey& kind) { return range_text(format_bytes(kind.min), format_bytes(kind.max)); },
          [](const CountKey& kind) { return range_text(std::to_string(kind.min), std::to_string(kind.max)); },
          [&](const DurationKey& kind) { return durations(kind); },
          [&](const DurationOrForeverKey& kind) { return durations(kind) + ", or forever"; },
          [](const ListenerKey&) { return std::string("HOST:PORT, [IPV6]:PORT or off"); },
          [](const SecretKey& kind) { return "at least " + std::to_string(kind.bytes_min) + " bytes"; },
          [](const ChoiceKey& kind) { return join(kind.names); },
          [](const Unavailable&) { return std::string("nothing"); },
          [](const auto& kind) { return std::string(kind.allowed); },
      },
      key.kind);
}

Result<std::string> apply(const ConfigKey& key, const GivenValue& value, Config& config) {
  if (const auto* list = std::get_if<ListKey>(&key.kind)) {
    return apply_list(key, *list, value, config);
  }
  if (value.is_list) {
    return fail(Code::invalid_field, "a list is not allowed; allowed: " + allowed_text(key));
  }
  return std::visit(Applier(key, value.items.at(0), config), key.kind);
}

}  // namespace tidemark::app
