// Result<T>: a value or an Error; and the codes an error can have.
//
// Every function that can fail because of the world (bytes from outside, a disk, a network) returns a Result.
// What only our own mistake can break is checked with TIDEMARK_CHECK, which ends the process with a message.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace tidemark {

// One row of the error table each (core/error_table.h).
enum class Code : uint8_t {
  invalid_json,
  invalid_frame,
  unknown_type,
  missing_field,
  invalid_field,
  unauthorized,
  not_registered,
  forbidden,
  not_found,
  not_a_member,
  method_not_allowed,
  conflict,
  locked,
  stale_lock,
  stale_version,
  gone,
  too_large,
  rate_limited,
  unavailable,
  internal,
};

struct Error {
  Code code = Code::internal;
  std::string text;            // for people: what happened, to what, which limit was hit; empty: the table's text
  std::string field;           // the field that is meant, if one is
  int64_t retry_after_ms = 0;  // 0: not said
};

inline Error fail(Code code, std::string text = {}) { return Error{code, std::move(text), {}, 0}; }
inline Error invalid_field(std::string_view field, std::string text) {
  return Error{Code::invalid_field, std::move(text), std::string(field), 0};
}

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "tidemark: broken invariant: %s (%s:%d)\n", what, file, line);
  std::abort();
}
#define TIDEMARK_CHECK(condition) \
  ((condition) ? void(0) : ::tidemark::check_failed(#condition, __FILE__, __LINE__))

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    TIDEMARK_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    TIDEMARK_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    TIDEMARK_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    TIDEMARK_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    TIDEMARK_CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace tidemark
