// A command for Redis as the bytes that are sent. Words may hold any bytes; nothing in them is taken for an end.
//
//   Command("SET", key, value, "PX", 15000)
//
// A value; any thread.
#pragma once

#include <concepts>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::bus {

class Command {
 public:
  template <class... Words>
  requires(sizeof...(Words) > 0 && (... && (std::convertible_to<Words, std::string_view> ||
                                            std::integral<Words>))) explicit Command(const Words&... words) {
    std::deque<std::string> numbers;
    const std::string_view views[] = {view(words, numbers)...};
    format(views);
  }
  static Command of(std::span<const std::string_view> words) {
    Command command;
    command.format(words);
    return command;
  }

  const std::string& bytes() const { return bytes_; }

 private:
  Command() = default;
  template <class T>
  static std::string_view view(const T& word, std::deque<std::string>& numbers) {
    if constexpr (std::integral<T>) {
      return numbers.emplace_back(std::to_string(word));
    } else {
      return word;
    }
  }
  void format(std::span<const std::string_view> words);

  std::string bytes_;
};

// A key of Tidemark in Redis, "tidemark:session:{a1b2}": keys with the same tag lie on the same server of a cluster, so
// that a script may use them together.
std::string redis_key(std::string_view kind, std::string_view tag);

}  // namespace tidemark::bus
