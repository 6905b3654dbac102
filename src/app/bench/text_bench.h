// `tidemark bench text`: the document engine alone, without a server.
#pragma once

#include <CLI/CLI.hpp>

namespace tidemark::app {

// Adds the subcommand to `bench`. When the command line names it, parsing runs it: it prints what it measured and sets
// `exit_code`: 0 done and the text is the recorded one, 1 it is not, 2 there is no such trace. `exit_code` lives as
// long as `bench`.
void add_text_bench(CLI::App& bench, int& exit_code);

}  // namespace tidemark::app
