// What a user types into a search field, as a query that the index understands. Private to the conversation room.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace tidemark::conversation {

inline constexpr size_t kSearchBytesMax = 256;  // of what is typed
inline constexpr size_t kSearchTermsMax = 16;

// Terms are separated by white space and all have to be in the message. Each is quoted, so that nothing of it is ever
// syntax: operators, column names, wildcards and quotes are text. Several words that the tokenizer finds in one term
// (co-operate) have to stand one behind the other. `invalid_field` without a term and with more than kSearchTermsMax.
Result<std::string> search_query(std::string_view typed);

// The part of a message that is indexed: its first kIndexedBytes, whole characters.
inline constexpr size_t kIndexedBytes = 16 * 1024;
std::string_view indexed_part(std::string_view text);

}  // namespace tidemark::conversation
