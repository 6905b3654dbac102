// Rope: a text in which an insertion or a deletion anywhere costs O(log n).
//
// A B+ tree: leaves hold up to kLeafBytes of UTF-8, inner nodes hold for each child how many code points and bytes are
// below it. All leaves are equally deep; none is empty, except that of the empty text.
// A value that is moved, not copied. Positions count code points; those and lengths are the caller's to check.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::document::engine {

class Rope {
 public:
  Rope() = default;
  explicit Rope(std::string_view text);

  size_t length() const { return length_; }
  size_t bytes() const { return bytes_; }

  // position <= length().
  void insert(size_t position, std::string_view text);
  // position + count <= length(). What is removed is appended to `removed`.
  void remove(size_t position, size_t count, std::string& removed);

  std::string text() const;
  void append_to(std::string& out, size_t position, size_t count) const;

 private:
  struct Node;
  struct Child {
    std::unique_ptr<Node> node;
    size_t length = 0;
    size_t bytes = 0;
  };
  struct Node {
    std::string text;             // of a leaf
    std::vector<Child> children;  // of an inner node
    bool is_leaf() const { return children.empty(); }
  };

  static Child child_of(std::unique_ptr<Node> node);
  static std::unique_ptr<Node> insert_into(Child& child, size_t position, std::string_view text, size_t length);
  static std::unique_ptr<Node> split(Node& node);
  static bool is_small(const Node& node);
  static void remove_from(Child& child, size_t position, size_t count, std::string& removed);
  static void join_small(std::vector<Child>& children);
  static void append(const Child& child, size_t position, size_t count, std::string& out);
  void insert_piece(size_t position, std::string_view piece);
  void measure();

  Child root_;
  size_t length_ = 0;
  size_t bytes_ = 0;
};

}  // namespace tidemark::document::engine
