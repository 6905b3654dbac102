// Secret: a string that cannot be printed by accident. Only reveal() gives the text away.
#pragma once

#include <ostream>
#include <string>
#include <utility>

namespace tidemark {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend bool operator==(const Secret&, const Secret&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "[hidden]"; }

 private:
  std::string text_;
};

}  // namespace tidemark
