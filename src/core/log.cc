#include "core/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <ctime>
#include <memory>

namespace tidemark {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  constexpr std::array kLevels = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
  return kLevels[static_cast<size_t>(level)];
}

struct Output {
  LogFormat format = LogFormat::text;
  std::shared_ptr<spdlog::logger> logger;
};

Output make_output(LogLevel level, LogFormat format, std::ostream* sink) {
  std::shared_ptr<spdlog::sinks::sink> target;
  if (sink != nullptr) {
    target = std::make_shared<spdlog::sinks::ostream_sink_mt>(*sink, true);
  } else {
    target = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  auto logger = std::make_shared<spdlog::logger>("tidemark", std::move(target));
  logger->set_pattern("%v");
  logger->set_level(spdlog_level(level));
  return {format, std::move(logger)};
}

Output& output() {
  // Never destroyed: what ends after main() may still log.
  static Output& instance = *new Output(make_output(LogLevel::info, LogFormat::text, nullptr));
  return instance;
}

// The code point that starts at `at`, or none if it is not well-formed (Unicode 15, table 3-7), and its length; for
// ill-formed bytes the length of what U+FFFD stands for.
struct Decoded {
  char32_t point;
  size_t length;
  bool valid;
};

Decoded decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) {
    return {first, 1, true};
  }
  if (first < 0xC2 || first > 0xF4) {
    return {0, 1, false};
  }
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t point = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    // The second byte's range keeps out overlong forms, surrogates and what is beyond U+10FFFF.
    const unsigned char low = i > 1 ? 0x80 : first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = i > 1 ? 0xBF : first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) {
      return {0, i, false};
    }
    point = point << 6 | (byte(at + i) & 0x3F);
  }
  return {point, length, true};
}

// What would end the line, steer a terminal or turn the text around.
bool must_escape(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x2028 || point == 0x2029 ||  //
         point == 0x061C || point == 0x200E || point == 0x200F ||                                   //
         (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

// Both formats escape alike; the result is the inside of a JSON string.
void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (size_t at = 0; at < text.size();) {
    const Decoded decoded = decode(text, at);
    if (!decoded.valid) {
      out += "\xEF\xBF\xBD";
    } else if (must_escape(decoded.point)) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) {
        out += kHex[(decoded.point >> shift) & 0xF];
      }
    } else {
      if (decoded.point == '"' || decoded.point == '\\') {
        out += '\\';
      }
      out += text.substr(at, decoded.length);
    }
    at += decoded.length;
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

template <class Number>
void append_number(std::string& out, Number number) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_value(std::string& out, const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    append_quoted(out, *text);
  } else if (const auto* integer = std::get_if<int64_t>(&field.value)) {
    append_number(out, *integer);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    if (std::isfinite(*number)) {
      append_number(out, *number);
    } else {
      out += "null";  // JSON has no word for it
    }
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

// 2026-11-21T00:00:00.123Z
void append_time(std::string& out) {
  using std::chrono::milliseconds;
  const auto since_epoch =
      std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::time_t seconds = since_epoch / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  out.append(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts));
  const auto thousandths = static_cast<int>(since_epoch % 1000);
  out += static_cast<char>('0' + thousandths / 100);
  out += static_cast<char>('0' + thousandths / 10 % 10);
  out += static_cast<char>('0' + thousandths % 10);
  out += 'Z';
}

std::string text_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line;
  append_time(line);
  line += ' ';
  line += kLevelNames[static_cast<size_t>(level)];
  line += ' ';
  append_escaped(line, event);
  for (const LogField& field : fields) {
    line += ' ';
    append_escaped(line, field.name);
    line += '=';
    append_value(line, field);
  }
  return line;
}

std::string json_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line = R"({"time":")";
  append_time(line);
  line += R"(","level":)";
  append_quoted(line, kLevelNames[static_cast<size_t>(level)]);
  line += R"(,"event":)";
  append_quoted(line, event);
  for (const LogField& field : fields) {
    line += ',';
    append_quoted(line, field.name);
    line += ':';
    append_value(line, field);
  }
  line += '}';
  return line;
}

}  // namespace

void log_setup(LogLevel level, LogFormat format, std::ostream* sink) { output() = make_output(level, format, sink); }

void log_level(LogLevel level) { output().logger->set_level(spdlog_level(level)); }

bool log_enabled(LogLevel level) { return output().logger->should_log(spdlog_level(level)); }

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!log_enabled(level)) {
    return;
  }
  const Output& out = output();
  const std::string line =
      out.format == LogFormat::json ? json_line(level, event, fields) : text_line(level, event, fields);
  out.logger->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace tidemark
