// Logging: one line per event on stderr, as text or JSON. spdlog writes; this is the only file that knows it.
//
//   log_info("gateway.connected", {{"user", user}, {"connection", number}});
//   2026-11-21T00:00:00.123Z info gateway.connected user="alice" connection=7
//
// Promises: an event is one line whatever its values hold. Control characters, DEL, C1, U+2028, U+2029 and bidi
// controls are written as \uXXXX, invalid UTF-8 as U+FFFD. A Secret does not compile into a line. Tokens and message
// contents are the caller's to leave out.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/secret.h"

namespace tidemark {

enum class LogLevel : uint8_t { debug, info, warn, error };
enum class LogFormat : uint8_t { text, json };

// Once, before other threads log. Without it: info, text, stderr. `sink` is for tests and must outlive the logging.
void log_setup(LogLevel level, LogFormat format, std::ostream* sink = nullptr);

// Any thread, any time.
void log_level(LogLevel level);
bool log_enabled(LogLevel level);

// A name and a value. Views: a field lives as long as the call to log().
struct LogField {
  template <std::convertible_to<std::string_view> Text>
  LogField(std::string_view field, const Text& text) : name(field), value(std::string_view(text)) {}
  template <std::same_as<bool> Truth>  // a template, so that a pointer is not taken for a truth
  LogField(std::string_view field, Truth truth) : name(field), value(truth) {}
  template <std::floating_point Number>
  LogField(std::string_view field, Number number) : name(field), value(static_cast<double>(number)) {}
  template <std::integral Number>
    requires(!std::same_as<Number, bool>)
  LogField(std::string_view field, Number number)
      : name(field), value(std::in_range<int64_t>(number) ? static_cast<int64_t>(number) : INT64_MAX) {}
  LogField(std::string_view field, const Secret& secret) = delete;

  std::string_view name;
  std::variant<std::string_view, int64_t, double, bool> value;
};

// Any thread. `event` is "room.what_happened". Writes the line before it returns; never throws.
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::debug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::info, event, fields);
}
inline void log_warn(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::warn, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::error, event, fields);
}

}  // namespace tidemark
