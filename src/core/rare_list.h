// RareList<T, kMax>: a list that is nearly always empty, and then costs one pointer. Keeps the newest kMax values.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace tidemark {

template <class T, size_t kMax>
class RareList {
 public:
  void push_back(T value) {
    if (values_ == nullptr) {
      values_ = std::make_unique<std::vector<T>>();
    }
    if (values_->size() == kMax) {
      values_->erase(values_->begin());
    }
    values_->push_back(std::move(value));
  }
  void clear() { values_.reset(); }
  size_t size() const { return values_ == nullptr ? 0 : values_->size(); }
  const T* begin() const { return values_ == nullptr ? nullptr : values_->data(); }
  const T* end() const { return values_ == nullptr ? nullptr : values_->data() + values_->size(); }

 private:
  std::unique_ptr<std::vector<T>> values_;
};

}  // namespace tidemark
