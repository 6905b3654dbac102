// SQL and values in the form that PostgreSQL takes. Pure. Used only by the files storage/postgres_*.
#pragma once

#include <string>
#include <string_view>

namespace tidemark::storage {

// `?` outside of quotes becomes $1, $2, … in order. Statements that already have numbers stay as they are.
std::string numbered_parameters(std::string_view sql);

// PostgreSQL's text holds every character but U+0000 (https://www.postgresql.org/docs/15/datatype-character.html), while
// ours may hold it. A noncharacter, U+FDD0, marks the place: followed by '0' it stands for U+0000, by '1' for itself.
// Different texts stay different, so what is compared for equality may be escaped on both sides.
bool needs_escape(std::string_view text);
std::string escape_text(std::string_view text);
bool is_escaped(std::string_view stored);
std::string unescape_text(std::string_view stored);

}  // namespace tidemark::storage
