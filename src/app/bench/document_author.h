// What one writer of a document does next.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "app/bench/document_replica.h"
#include "core/random.h"

namespace tidemark::app {

// Makes operations as an editor would. On a whiteboard: adds objects of its own, mostly moves them, resizes, styles and
// labels them, removes the oldest. In a text: types at a cursor that jumps now and then, and removes as much as keeps
// the text near its length. Owner: one thread.
class DocumentAuthor {
 public:
  struct Options {
    DocumentKind kind = DocumentKind::whiteboard;
    size_t number = 0;       // among the writers of the document
    size_t objects = 20;     // on a whiteboard at the same time
    size_t text_length = 0;  // code points
  };
  explicit DocumentAuthor(const Options& options) : options_(options) {}

  struct Made {
    std::string_view type;
    std::string data;    // JSON
    size_t removed = 0;  // code points of a text
  };
  // `length`: code points that the text surely has where the author stands.
  Made make(size_t length, Random& random);

 private:
  Made draw(Random& random);
  Made write_text(size_t length, Random& random);

  Options options_;
  std::deque<std::string> objects_;
  uint64_t created_ = 0;
  size_t cursor_ = 0;
};

// A text of so many code points, of one to four bytes each.
std::string text_of_length(size_t code_points);

}  // namespace tidemark::app
