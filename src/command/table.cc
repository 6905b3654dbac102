#include "command/table.h"

#include <algorithm>

namespace tidemark::command {
namespace {

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(path.front() == '/' ? 1 : 0);
    const size_t end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

bool is_variable(std::string_view segment) { return segment.starts_with('{'); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_limited(Rate rate, const Caller& caller) { return rate != Rate::none && !caller.user.empty() && !caller.service; }

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool query) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0) {
        return std::nullopt;
      }
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += query && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

void Table::add(Row row) { rows_.push_back(std::move(row)); }

void Table::freeze() {
  // Literal segments are tried before variables: /messages/search before /messages/{message_id}.
  std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    return std::count(a.path.begin(), a.path.end(), '{') < std::count(b.path.begin(), b.path.end(), '{');
  });
  for (const Row& row : rows_) {
    if (!row.type.empty()) {
      TIDEMARK_CHECK(by_type_.emplace(row.type, &row).second);
    }
  }
}

const Row* Table::by_type(std::string_view type) const {
  const auto found = by_type_.find(type);
  return found == by_type_.end() ? nullptr : found->second;
}

Table::Match Table::by_path(std::string_view method, std::string_view path) const {
  Match match;
  const auto given = segments(path);
  for (const Row& row : rows_) {
    if (row.method.empty()) {
      continue;
    }
    const auto pattern = segments(row.path);
    const bool fits = pattern.size() == given.size() &&
                      std::equal(pattern.begin(), pattern.end(), given.begin(), [](auto want, auto have) {
                        return is_variable(want) ? !have.empty() : want == have;
                      });
    if (!fits) {
      continue;
    }
    if (row.method != method) {
      if (match.allowed.find(row.method) == std::string::npos) {
        match.allowed += (match.allowed.empty() ? "" : ", ") + std::string(row.method);
      }
      continue;
    }
    match.path_values.clear();
    for (size_t i = 0; i < pattern.size(); ++i) {
      if (!is_variable(pattern[i])) {
        continue;
      }
      auto value = percent_decode(given[i], false);
      if (!value) {
        return {};
      }
      match.path_values.emplace_back(pattern[i].substr(1, pattern[i].size() - 2), std::move(*value));
    }
    match.row = &row;
    return match;
  }
  return match;
}

Status Table::permits(const Row& row, const Caller& caller) {
  if (row.access == Access::admin && !caller.admin) {
    return fail(Code::forbidden, "only the role admin may do this");
  }
  if (row.access == Access::user && caller.user.empty()) {
    return invalid_field("Tidemark-User", "name the user to act for");
  }
  return {};
}

Task<Status> Table::charge(Rate rate, Caller* caller) const {
  if (!is_limited(rate, *caller)) {
    co_return Status();
  }
  if (!caller->rates) {
    caller->rates = co_await limiter_.rates_of(caller->key());
  }
  co_return caller->rates->take(rate, clock_.now());
}

Task<Result<Reply>> Table::run(const Row& row, Caller caller, Request request) const {
  if (const Status permitted = permits(row, caller); !permitted.ok()) {
    co_return permitted.error();
  }
  if (is_limited(row.rate, caller)) {
    if (!caller.rates) {
      caller.rates = co_await limiter_.rates_of(caller.key());
    }
    if (const Status taken = caller.rates->take(row.rate, clock_.now()); !taken.ok()) {
      Error refused = taken.error();
      if (!row.too_fast.empty()) {
        refused.text = row.too_fast;
      }
      co_return refused;
    }
  }
  Worker& from = *Worker::current();
  auto reply = co_await row.handler(std::move(caller), std::move(request));
  co_await from.enter();
  co_return reply;
}

}  // namespace tidemark::command
