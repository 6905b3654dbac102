#include "app/config_value.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <span>

namespace tidemark::app {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// Largest first, as format_with wants it.
constexpr std::array kByteUnits = {Unit{"GiB", 1 << 30}, Unit{"MiB", 1 << 20}, Unit{"KiB", 1 << 10}, Unit{"B", 1}};
constexpr std::array kTimeUnits = {Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000},
                                   Unit{"ms", 1}};
constexpr uint64_t kNumberMax = std::numeric_limits<int64_t>::max();

struct Number {
  uint64_t value;
  std::string_view rest;
};

std::optional<Number> leading_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value > kNumberMax) {
    return std::nullopt;
  }
  return Number{value, text.substr(static_cast<size_t>(end - text.data()))};
}

std::optional<uint64_t> parse_with(std::span<const Unit> units, std::string_view text) {
  const auto number = leading_number(text);
  if (!number) {
    return std::nullopt;
  }
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == number->rest; });
  if (unit == units.end() || number->value > kNumberMax / unit->factor) {
    return std::nullopt;
  }
  return number->value * unit->factor;
}

std::string format_with(std::span<const Unit> units, uint64_t value) {
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return value % u.factor == 0; });
  const Unit& used = value == 0 ? units.back() : *unit;
  return std::to_string(value / used.factor) + std::string(used.name);
}

bool is_host(std::string_view host) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-_").find(c) != std::string_view::npos;
  };
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), good);
}

bool is_ipv6(std::string_view host) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' || c == '.';
  };
  return host.size() >= 2 && host.size() <= 45 && host.find(':') != std::string_view::npos &&
         std::all_of(host.begin(), host.end(), good);
}

std::optional<uint16_t> parse_port(std::string_view text) {
  const auto number = parse_count(text);
  if (!number || *number > std::numeric_limits<uint16_t>::max()) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(*number);
}

// HOST:PORT or [IPV6]:PORT. A second colon without brackets is refused: it cannot be told which is which.
std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view host = text.substr(0, colon);
  const auto port = parse_port(text.substr(colon + 1));
  const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  if (!port || !(bracketed ? is_ipv6(host) : is_host(host))) {
    return std::nullopt;
  }
  return Endpoint{std::string(host), *port};
}

}  // namespace

std::optional<uint64_t> parse_count(std::string_view text) {
  const auto number = leading_number(text);
  return number && number->rest.empty() ? std::optional(number->value) : std::nullopt;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  if (const auto plain = parse_count(text)) {
    return plain;
  }
  return parse_with(kByteUnits, text);
}

std::optional<Milliseconds> parse_duration(std::string_view text) {
  const auto count = parse_with(kTimeUnits, text);
  return count ? std::optional(Milliseconds(*count)) : std::nullopt;
}

std::optional<Listener> parse_listener(std::string_view text) {
  if (text == "off") {
    return Listener();
  }
  auto endpoint = parse_endpoint(text);
  return endpoint ? std::optional<Listener>(std::in_place, std::move(*endpoint)) : std::nullopt;
}

std::string format_bytes(uint64_t bytes) { return format_with(kByteUnits, bytes); }

std::string format_duration(Milliseconds duration) {
  if (duration.count() == 0) {
    return "0s";
  }
  const bool in_days = duration >= std::chrono::days(2);
  return format_with(std::span(kTimeUnits).subspan(in_days ? 0 : 1), static_cast<uint64_t>(duration.count()));
}

std::string format_listener(const Listener& listener) {
  if (!listener) {
    return "off";
  }
  const bool ipv6 = listener->host.find(':') != std::string::npos;
  return (ipv6 ? "[" + listener->host + "]" : listener->host) + ":" + std::to_string(listener->port);
}

bool is_origin(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) {
    return false;
  }
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const std::string_view scheme = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 3);
  if (!std::all_of(scheme.begin(), scheme.end(), lower) ||
      std::any_of(rest.begin(), rest.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return false;
  }
  return parse_endpoint(rest) || parse_endpoint(std::string(rest) + ":0");
}

bool is_plain_text(std::string_view text) {
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  return text.size() <= 4096 && std::none_of(text.begin(), text.end(), control) &&
         simdjson::validate_utf8(text.data(), text.size());
}

std::string without_password(std::string_view url) {
  constexpr std::string_view kHidden = "[hidden]";
  std::string shown(url);
  const size_t query = shown.find('?');
  if (query != std::string::npos) {
    for (size_t begin = query + 1; begin < shown.size();) {
      const size_t end = std::min(shown.find('&', begin), shown.size());
      const std::string_view parameter = std::string_view(shown).substr(begin, end - begin);
      const size_t name = std::min(parameter.find('='), parameter.size());
      if (name < parameter.size() && parameter.substr(0, name).ends_with("password")) {
        shown.replace(begin + name + 1, end - begin - name - 1, kHidden);
        begin += name + 1 + kHidden.size() + 1;
      } else {
        begin = end + 1;
      }
    }
  }
  const size_t scheme = shown.find("://");
  if (scheme == std::string::npos) {
    return shown;
  }
  const size_t begin = scheme + 3;
  const std::string_view rest = std::string_view(shown).substr(begin);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const size_t at = authority.rfind('@');
  const size_t colon = authority.find(':');
  if (at != std::string_view::npos && colon < at) {
    shown.replace(begin + colon + 1, at - colon - 1, kHidden);
  }
  return shown;
}

std::string printable(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string result(text.substr(0, kShown));
  std::replace_if(result.begin(), result.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return text.size() > kShown ? result + "..." : result;
}

std::vector<std::string> split_list(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  std::vector<std::string> parts;
  if (text.find_first_not_of(kSpace) == std::string_view::npos) {
    return parts;
  }
  for (size_t start = 0; start <= text.size();) {
    const size_t comma = std::min(text.find(',', start), text.size());
    std::string_view part = text.substr(start, comma - start);
    part.remove_prefix(std::min(part.find_first_not_of(kSpace), part.size()));
    part = part.substr(0, part.find_last_not_of(kSpace) + 1);
    parts.emplace_back(part);
    start = comma + 1;
  }
  return parts;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, 64);
  b = b.substr(0, 64);
  std::vector<size_t> row(b.size() + 1);  // the distances of a's beginning to each beginning of b
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

}  // namespace tidemark::app
