// The value syntax of the configuration: durations, sizes, counts, listeners, origins. Pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"

namespace tidemark::app {

// Each is none if the text is not one of its forms or does not fit the type. White space is not skipped.
std::optional<uint64_t> parse_count(std::string_view text);         // digits
std::optional<uint64_t> parse_bytes(std::string_view text);         // digits, then nothing, B, KiB, MiB or GiB
std::optional<Milliseconds> parse_duration(std::string_view text);  // digits, then ms, s, m, h or d
std::optional<Listener> parse_listener(std::string_view text);          // HOST:PORT, [IPV6]:PORT, or off

// The largest unit that divides the value: 512KiB, 90s; days from two days on: 24h, 30d.
std::string format_bytes(uint64_t bytes);
std::string format_duration(Milliseconds duration);
std::string format_listener(const Listener& listener);

// What a browser sends as Origin: scheme://host or scheme://host:port, no path, no upper case in scheme and host.
bool is_origin(std::string_view text);

// UTF-8 of at most 4096 bytes without control characters.
bool is_plain_text(std::string_view text);

// The URL without its password: that of the user and those among its parameters are "[hidden]".
std::string without_password(std::string_view url);

// A text from outside, fit for one line of an error: ASCII, cut after 80 bytes.
std::string printable(std::string_view text);

// a, b → {"a", "b"}; spaces around the parts are cut; an empty text is an empty list.
std::vector<std::string> split_list(std::string_view text);

// How many insertions, deletions and replacements turn one into the other (Levenshtein). Looks at 64 bytes of each.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace tidemark::app
