#include "core/error_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace tidemark {
namespace {

// The cells of a Markdown table row, trimmed and without backquotes; nothing if the line is no row.
std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> found;
  if (!line.starts_with("| ")) {
    return found;
  }
  std::istringstream rest(line.substr(1));
  for (std::string cell; std::getline(rest, cell, '|');) {
    std::erase(cell, '`');
    const size_t begin = cell.find_first_not_of(' ');
    found.push_back(begin == std::string::npos ? "" : cell.substr(begin, cell.find_last_not_of(' ') - begin + 1));
  }
  return found;
}

// The rows of the table under a heading, without its title row.
std::vector<std::vector<std::string>> documented(const std::string& heading) {
  std::ifstream page(std::string(TIDEMARK_SOURCE_DIR) + "/docs/errors.md");
  EXPECT_TRUE(page.is_open());
  std::vector<std::vector<std::string>> rows;
  bool here = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) {
      here = line == "## " + heading;
    } else if (const auto row = cells(line); here && !row.empty() && row[0] != "code") {
      rows.push_back(row);
    }
  }
  return rows;
}

TEST(ErrorTable, RowsStandWhereTheirCodesPoint) {
  for (const ErrorRow& row : error_table()) {
    EXPECT_EQ(&row_of(row.code), &row) << row.name;
    EXPECT_FALSE(row.text.empty()) << row.name;
  }
}

TEST(ErrorTable, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const ErrorRow& row : error_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(ErrorTable, BadFramesAreThoseWithStatus400) {
  for (const ErrorRow& row : error_table()) {
    EXPECT_EQ(row.counts_as_bad_frame, row.http_status == 400) << row.name;
  }
}

TEST(ErrorTable, IsWhatTheDocsSay) {
  const auto rows = documented("Errors");
  ASSERT_EQ(rows.size(), error_table().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const ErrorRow& row = error_table()[i];
    ASSERT_EQ(rows[i].size(), 4u) << row.name;
    EXPECT_EQ(rows[i][0], row.name);
    EXPECT_EQ(rows[i][1], std::to_string(row.http_status)) << row.name;
    EXPECT_EQ(rows[i][2], row.retryable ? "yes" : "no") << row.name;
  }
}

TEST(CloseCodes, AllThatAreSentAreInTheDocs) {
  std::set<std::string> listed;
  for (const auto& row : documented("Close codes")) {
    std::istringstream codes(row[0]);
    for (std::string code; std::getline(codes, code, ',');) {
      listed.insert(code.substr(code.find_first_not_of(' ')));
    }
  }
  std::set<std::string> known;
  for (int code = 1000; code < 5000; ++code) {
    // A code that this program knows has a reason; 1000 has none because nothing is wrong.
    if (code == 1000 || !reason_of(static_cast<CloseCode>(code)).empty()) {
      known.insert(std::to_string(code));
    }
  }
  EXPECT_EQ(listed, known);
}

TEST(CloseCodes, TheRangeSaysWhetherToReconnect) {
  EXPECT_FALSE(reconnects(CloseCode::bad_frames));
  EXPECT_FALSE(reconnects(CloseCode::too_many_connections));
  EXPECT_TRUE(reconnects(CloseCode::overloaded));
  EXPECT_TRUE(reconnects(CloseCode::token_expired));
  EXPECT_TRUE(reconnects(CloseCode::draining));
  EXPECT_TRUE(reconnects(CloseCode::heartbeat_lost));
}

}  // namespace
}  // namespace tidemark
