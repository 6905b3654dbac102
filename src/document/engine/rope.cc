#include "document/engine/rope.h"

#include <algorithm>
#include <utility>

#include "document/engine/code_points.h"

namespace tidemark::document::engine {
namespace {

constexpr size_t kLeafBytes = 1024;
constexpr size_t kChildrenMax = 32;
// A longer insertion goes in piece by piece, so that no leaf is ever split into more than two.
constexpr size_t kPieceBytes = kLeafBytes / 2;

// The largest cut of at most `bytes` that divides no code point.
size_t cut_at(std::string_view text, size_t bytes) {
  if (bytes >= text.size()) {
    return text.size();
  }
  while (bytes > 0 && !starts_code_point(text[bytes])) {
    --bytes;
  }
  return bytes;
}

size_t byte_in_leaf(const std::string& text, size_t length, size_t position) {
  return text.size() == length ? position : byte_of_code_point(text, position);
}

}  // namespace

Rope::Child Rope::child_of(std::unique_ptr<Node> node) {
  Child child;
  if (node->is_leaf()) {
    child.length = count_code_points(node->text);
    child.bytes = node->text.size();
  }
  for (const Child& below : node->children) {
    child.length += below.length;
    child.bytes += below.bytes;
  }
  child.node = std::move(node);
  return child;
}

Rope::Rope(std::string_view text) {
  std::vector<Child> level;
  while (!text.empty()) {
    const size_t bytes = cut_at(text, kLeafBytes * 3 / 4);
    auto leaf = std::make_unique<Node>();
    leaf->text = text.substr(0, bytes);
    text.remove_prefix(bytes);
    level.push_back(child_of(std::move(leaf)));
  }
  while (level.size() > 1) {
    std::vector<Child> above;
    for (size_t i = 0; i < level.size(); i += kChildrenMax * 3 / 4) {
      auto node = std::make_unique<Node>();
      const size_t end = std::min(level.size(), i + kChildrenMax * 3 / 4);
      std::move(level.begin() + static_cast<ptrdiff_t>(i), level.begin() + static_cast<ptrdiff_t>(end),
                std::back_inserter(node->children));
      above.push_back(child_of(std::move(node)));
    }
    level = std::move(above);
  }
  if (!level.empty()) {
    root_ = std::move(level.front());
  }
  measure();
}

void Rope::measure() {
  length_ = root_.length;
  bytes_ = root_.bytes;
}

void Rope::insert(size_t position, std::string_view text) {
  while (text.size() > kPieceBytes) {
    const std::string_view piece = text.substr(0, cut_at(text, kPieceBytes));
    insert_piece(position, piece);
    position += count_code_points(piece);
    text.remove_prefix(piece.size());
  }
  if (!text.empty()) {
    insert_piece(position, text);
  }
}

void Rope::insert_piece(size_t position, std::string_view piece) {
  if (root_.node == nullptr) {
    root_.node = std::make_unique<Node>();
  }
  auto right = insert_into(root_, position, piece, count_code_points(piece));
  if (right != nullptr) {
    auto above = std::make_unique<Node>();
    above->children.push_back(std::move(root_));
    above->children.push_back(child_of(std::move(right)));
    root_ = child_of(std::move(above));
  }
  measure();
}

// Puts the text below `child` and keeps its counts. What had to be split off stands to its right.
std::unique_ptr<Rope::Node> Rope::insert_into(Child& child, size_t position, std::string_view text, size_t length) {
  Node& node = *child.node;
  bool full = false;
  if (node.is_leaf()) {
    node.text.insert(byte_in_leaf(node.text, child.length, position), text);
    full = node.text.size() > kLeafBytes;
  } else {
    size_t i = 0;
    while (position > node.children[i].length) {
      position -= node.children[i++].length;
    }
    if (auto right = insert_into(node.children[i], position, text, length)) {
      node.children.insert(node.children.begin() + static_cast<ptrdiff_t>(i) + 1, child_of(std::move(right)));
    }
    full = node.children.size() > kChildrenMax;
  }
  child.length += length;
  child.bytes += text.size();
  if (!full) {
    return nullptr;
  }
  Child right = child_of(split(node));
  child.length -= right.length;
  child.bytes -= right.bytes;
  return std::move(right.node);
}

std::unique_ptr<Rope::Node> Rope::split(Node& node) {
  auto right = std::make_unique<Node>();
  if (node.is_leaf()) {
    const size_t at = cut_at(node.text, node.text.size() / 2);
    right->text = node.text.substr(at);
    node.text.resize(at);
  } else {
    const auto middle = node.children.begin() + static_cast<ptrdiff_t>(node.children.size() / 2);
    std::move(middle, node.children.end(), std::back_inserter(right->children));
    node.children.erase(middle, node.children.end());
  }
  return right;
}

bool Rope::is_small(const Node& node) {
  return node.is_leaf() ? node.text.size() < kLeafBytes / 4 : node.children.size() < kChildrenMax / 4;
}

void Rope::remove(size_t position, size_t count, std::string& removed) {
  if (count == 0) {
    return;
  }
  remove_from(root_, position, count, removed);
  while (root_.node->children.size() == 1) {
    Child only = std::move(root_.node->children.front());
    root_ = std::move(only);
  }
  measure();
}

void Rope::remove_from(Child& child, size_t position, size_t count, std::string& removed) {
  Node& node = *child.node;
  const size_t removed_before = removed.size();
  if (node.is_leaf()) {
    const size_t from = byte_in_leaf(node.text, child.length, position);
    const size_t to = child.bytes == child.length
                          ? from + count
                          : from + byte_of_code_point(std::string_view(node.text).substr(from), count);
    removed.append(node.text, from, to - from);
    node.text.erase(from, to - from);
  } else {
    bool small = false;
    size_t left = count;
    for (Child& below : node.children) {
      if (position >= below.length) {
        position -= below.length;
        continue;
      }
      const size_t here = std::min(left, below.length - position);
      remove_from(below, position, here, removed);
      position = 0;
      left -= here;
      small = small || is_small(*below.node);
      if (left == 0) {
        break;
      }
    }
    if (small) {
      join_small(node.children);
    }
  }
  child.length -= count;
  child.bytes -= removed.size() - removed_before;
}

// Neighbours that fit into one node together become one, and what is empty goes; one child always stays.
void Rope::join_small(std::vector<Child>& children) {
  size_t kept = 0;
  for (size_t i = 1; i < children.size(); ++i) {
    Child& left = children[kept];
    Child& right = children[i];
    const bool fits = left.node->is_leaf()
                          ? left.bytes + right.bytes <= kLeafBytes / 2
                          : left.node->children.size() + right.node->children.size() <= kChildrenMax / 2;
    if (!fits && left.length > 0 && right.length > 0) {
      if (++kept != i) {
        children[kept] = std::move(right);
      }
      continue;
    }
    if (left.length == 0) {
      left = std::move(right);
      continue;
    }
    if (right.length > 0) {
      left.node->text += right.node->text;
      std::move(right.node->children.begin(), right.node->children.end(), std::back_inserter(left.node->children));
      left.length += right.length;
      left.bytes += right.bytes;
    }
  }
  children.resize(kept + 1);
}

std::string Rope::text() const {
  std::string out;
  out.reserve(bytes_);
  append_to(out, 0, length_);
  return out;
}

void Rope::append_to(std::string& out, size_t position, size_t count) const {
  if (count > 0) {
    append(root_, position, count, out);
  }
}

void Rope::append(const Child& child, size_t position, size_t count, std::string& out) {
  const Node& node = *child.node;
  if (node.is_leaf()) {
    std::string_view text = node.text;
    if (position > 0 || count < child.length) {
      text.remove_prefix(byte_in_leaf(node.text, child.length, position));
      text = take_code_points(text, count);
    }
    out += text;
    return;
  }
  for (const Child& below : node.children) {
    if (count == 0) {
      return;
    }
    if (position >= below.length) {
      position -= below.length;
      continue;
    }
    const size_t here = std::min(count, below.length - position);
    append(below, position, here, out);
    position = 0;
    count -= here;
  }
}

}  // namespace tidemark::document::engine
