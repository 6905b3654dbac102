#include "bus/redis_command.h"

#include <hiredis/hiredis.h>

#include "core/result.h"

namespace tidemark::bus {

void Command::format(std::span<const std::string_view> words) {
  std::vector<const char*> starts;
  std::vector<size_t> sizes;
  starts.reserve(words.size());
  sizes.reserve(words.size());
  for (const std::string_view word : words) {
    starts.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* formatted = nullptr;
  const int size = redisFormatCommandArgv(&formatted, static_cast<int>(words.size()), starts.data(), sizes.data());
  TIDEMARK_CHECK(size > 0);
  bytes_.assign(formatted, static_cast<size_t>(size));
  redisFreeCommand(formatted);
}

std::string redis_key(std::string_view kind, std::string_view tag) {
  std::string key = "tidemark:";
  key += kind;
  key += ":{";
  key += tag;
  key += '}';
  return key;
}

}  // namespace tidemark::bus
