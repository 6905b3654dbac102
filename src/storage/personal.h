// What a room keeps about one user, read page by page: the parts of `tidemark export-user`.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "storage/database.h"

namespace tidemark::storage {

struct PersonalPage {
  std::vector<std::string> rows;  // JSON objects
  std::string next;               // where the next page begins; empty: this was the last one
};

// One array of the export. `read` runs in a read transaction that ends with the page: it looks at a bounded number of
// rows of the store and may find none of the user among them. `position` is empty at first, then what `next` was.
struct PersonalPart {
  const char* name;
  std::function<PersonalPage(Transaction&, const UserKey&, const std::string& position)> read;
};

}  // namespace tidemark::storage
