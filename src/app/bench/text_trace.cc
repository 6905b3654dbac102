#include "app/bench/text_trace.h"

#include <zlib.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>

#include "core/json.h"

namespace tidemark::app {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;

Result<std::string> inflate_file(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), &gzclose);
  if (file == nullptr) {
    return fail(Code::unavailable, "cannot read " + path);
  }
  std::string text;
  std::vector<char> buffer(1 << 16);
  int size = 0;
  while ((size = gzread(file.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    text.append(buffer.data(), static_cast<size_t>(size));
  }
  return size == 0 ? Result<std::string>(std::move(text)) : fail(Code::unavailable, "cannot unpack " + path);
}

// How many transactions of each author a transaction's author has seen: the numbers behind the newest ones.
using Seen = std::map<int64_t, size_t>;

struct Transaction {
  int64_t agent = 0;
  Seen seen;  // without itself
};

Seen seen_by(element transaction, size_t number, const std::vector<Transaction>& before) {
  Seen seen;
  const auto add = [&](size_t parent) {
    for (const auto& [agent, newest] : before[parent].seen) {
      seen[agent] = std::max(seen[agent], newest);
    }
    seen[before[parent].agent] = std::max(seen[before[parent].agent], parent + 1);
  };
  array parents;
  if (transaction["parents"].get_array().get(parents) == simdjson::SUCCESS) {
    for (const element parent : parents) {
      add(std::min<size_t>(parent.get_uint64().value_unsafe(), number - 1));
    }
  } else if (number > 0) {
    add(number - 1);  // one author, one after the other
  }
  return seen;
}

// The version after the last transaction before the first of another author that this one has not seen.
// `first` is where that was for the author's previous transaction; it never goes back.
Result<uint64_t> version_seen(const Transaction& transaction, const std::vector<Transaction>& before, size_t& first) {
  const auto is_seen = [&](size_t number) {
    const auto newest = transaction.seen.find(before[number].agent);
    return newest != transaction.seen.end() && number < newest->second;
  };
  while (first < before.size() && (is_seen(first) || before[first].agent == transaction.agent)) {
    ++first;
  }
  for (size_t number = first; number < before.size(); ++number) {
    if (is_seen(number) != (before[number].agent == transaction.agent)) {
      return invalid_field("parents", "a transaction is not made on a version and the own ones since");
    }
  }
  return first + 1;
}

std::string data_of(array patches) {
  const element patch = patches.at(0).value_unsafe();
  const int64_t position = patch.at(0).get_int64().value_unsafe();
  const int64_t removed = patch.at(1).get_int64().value_unsafe();
  const std::string_view inserted = patch.at(2).get_string().value_unsafe();
  std::string data = "{\"ops\":[";
  append_number(data, position);
  if (!inserted.empty()) {
    data += ',';
    append_json_string(data, inserted);
  }
  if (removed > 0) {
    data += ",{\"d\":";
    append_number(data, removed);
    data += '}';
  }
  data += "]}";
  return data;
}

}  // namespace

Result<TextTrace> read_text_trace(const std::string& path) {
  const auto text = inflate_file(path);
  if (!text) {
    return text.error();
  }
  simdjson::dom::parser parser;
  const auto root = parse_json(parser, *text, 16);
  std::string_view start;
  std::string_view end;
  array transactions;
  if (!root || (*root)["endContent"].get_string().get(end) != simdjson::SUCCESS ||
      (*root)["txns"].get_array().get(transactions) != simdjson::SUCCESS) {
    return invalid_field("trace", path + " is not an editing trace");
  }
  if ((*root)["startContent"].get_string().get(start) != simdjson::SUCCESS) {
    start = {};
  }
  TextTrace trace{std::string(start), std::string(end), {}};
  std::vector<Transaction> known;
  std::map<int64_t, size_t> first_unseen;  // of each author
  for (const element transaction : transactions) {
    Transaction next;
    if (transaction["agent"].get_int64().get(next.agent) != simdjson::SUCCESS) {
      next.agent = 0;  // one author
    }
    next.seen = seen_by(transaction, known.size(), known);
    array patches;
    if (transaction["patches"].get_array().get(patches) != simdjson::SUCCESS || patches.size() != 1) {
      return invalid_field("patches", "a transaction of " + path + " has not one patch");
    }
    const auto version = version_seen(next, known, first_unseen[next.agent]);
    if (!version) {
      return version.error();
    }
    trace.operations.push_back({"writer-" + std::to_string(next.agent), *version, data_of(patches)});
    known.push_back(std::move(next));
  }
  return trace;
}

}  // namespace tidemark::app
