// `tidemark bench`: load generator and verifier.
#pragma once

#include <CLI/CLI.hpp>

namespace tidemark::app {

// Adds the subcommand `bench` with its scenarios to `root`. When the command line names one, parsing runs it: it
// prints its report, waits until it is done and sets `exit_code`: 0 done and verified, 1 failed (something was lost,
// doubled, out of order or refused), 2 wrong usage. `exit_code` lives as long as `root`.
void add_bench(CLI::App& root, int& exit_code);

}  // namespace tidemark::app
