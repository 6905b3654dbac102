// Callback: a move-only `void()` that keeps small captures inside itself (C++23's std::move_only_function, which
// C++20 lacks; std::function cannot hold a unique_ptr or a coroutine's owner).
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tidemark {

class Callback {
 public:
  Callback() = default;

  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> && std::is_invocable_r_v<void, F&>)
  Callback(F&& function) {  // NOLINT(bugprone-forwarding-reference-overload): what is required excludes a Callback
    using Target = std::decay_t<F>;
    if constexpr (sizeof(Target) <= kInline && alignof(Target) <= alignof(std::max_align_t) &&
                  std::is_nothrow_move_constructible_v<Target>) {
      new (&storage_) Target(std::forward<F>(function));
      table_ = &kInlineTable<Target>;
    } else {
      new (&storage_) Target*(new Target(std::forward<F>(function)));
      table_ = &kHeapTable<Target>;
    }
  }

  Callback(Callback&& other) noexcept { take(other); }
  Callback& operator=(Callback&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;
  ~Callback() { reset(); }

  explicit operator bool() const { return table_ != nullptr; }
  void operator()() { table_->call(&storage_); }

 private:
  static constexpr size_t kInline = 40;

  struct Table {
    void (*call)(void*);
    void (*move)(void* from, void* to);
    void (*destroy)(void*);
  };

  template <class T>
  static constexpr Table kInlineTable = {
      [](void* at) { (*static_cast<T*>(at))(); },
      [](void* from, void* to) {
        new (to) T(std::move(*static_cast<T*>(from)));
        static_cast<T*>(from)->~T();
      },
      [](void* at) { static_cast<T*>(at)->~T(); },
  };
  template <class T>
  static constexpr Table kHeapTable = {
      [](void* at) { (**static_cast<T**>(at))(); },
      [](void* from, void* to) { new (to) T*(*static_cast<T**>(from)); },
      [](void* at) { delete *static_cast<T**>(at); },
  };

  void take(Callback& other) {
    table_ = std::exchange(other.table_, nullptr);
    if (table_ != nullptr) {
      table_->move(&other.storage_, &storage_);
    }
  }
  void reset() {
    if (table_ != nullptr) {
      std::exchange(table_, nullptr)->destroy(&storage_);
    }
  }

  alignas(std::max_align_t) unsigned char storage_[kInline];
  const Table* table_ = nullptr;
};

}  // namespace tidemark
