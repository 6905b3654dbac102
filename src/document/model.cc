#include "document/model.h"

#include <array>

namespace tidemark::document {
namespace {

constexpr std::array<std::string_view, 4> kTypes = {"whiteboard", "text", "canvas", "sheet"};
constexpr std::array<std::string_view, 3> kStates = {"active", "archived", "deleted"};
constexpr std::array<std::string_view, 5> kStatuses = {"pending", "applied", "conflict", "rejected", "resolved"};

// The enumerators count from 1, in the order of their names.
template <class E, size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, E value) {
  const auto number = static_cast<size_t>(value);
  TIDEMARK_CHECK(number >= 1 && number <= N);
  return names[number - 1];
}

template <class E, size_t N>
std::optional<E> named_in(const std::array<std::string_view, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i] == name) {
      return static_cast<E>(i + 1);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Type type) { return name_in(kTypes, type); }
std::string_view name_of(State state) { return name_in(kStates, state); }
std::string_view name_of(OperationStatus status) { return name_in(kStatuses, status); }
std::optional<Type> type_named(std::string_view name) { return named_in<Type>(kTypes, name); }
std::optional<State> state_named(std::string_view name) { return named_in<State>(kStates, name); }
std::optional<OperationStatus> status_named(std::string_view name) { return named_in<OperationStatus>(kStatuses, name); }

}  // namespace tidemark::document
