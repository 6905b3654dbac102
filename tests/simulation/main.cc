// tidemark_simulation: runs a node and its clients on a stepped clock, one seed after the other. See docs/reliability.md.
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>

#include "core/log.h"
#include "run.h"

namespace tidemark::simulation {
namespace {

struct Options {
  uint64_t first = 1;
  uint64_t seeds = 1000;
  std::optional<uint64_t> seed;
  int steps = 3000;
  size_t jobs = 2;
  bool print = false;
  bool keep_going = false;
  bool fingerprints = false;
  bool twice = false;
  bool logs = false;
  unsigned patience_s = 60;  // of a seed, in time of its processor; ten times as much by the clock
};

std::string directory_of(pid_t process) { return "/dev/shm/tidemark-simulation-" + std::to_string(process); }

// A seed runs in a process of its own: a broken check ends only that one, and no seed sees what another left behind.
int run_here(const Options& options, uint64_t seed) {
  // One that goes round and round, and one that waits for ever; a machine that is busy with other things is neither.
  const itimerval patience{{}, {static_cast<time_t>(options.patience_s), 0}};
  ::setitimer(ITIMER_PROF, &patience, nullptr);
  ::alarm(10 * options.patience_s);
  RunOptions one;
  one.seed = seed;
  one.steps = options.steps;
  one.print = options.print;
  one.directory = directory_of(::getpid());
  Outcome outcome = run(one);
  if (options.twice && run(one).fingerprint != outcome.fingerprint) {
    outcome.violations.push_back("a second run differs");
  }
  std::string text;
  for (const std::string& violation : outcome.violations) {
    text += "seed " + std::to_string(seed) + ": " + violation + "\n";
  }
  if (options.fingerprints || options.seed) {
    text += "seed " + std::to_string(seed) + " fingerprint " + std::to_string(outcome.fingerprint) + " entries " +
            std::to_string(outcome.entries) + " seen " + std::to_string(outcome.seen) + " crashes " +
            std::to_string(outcome.crashes) + "\n";
  }
  std::cout << text << std::flush;
  return outcome.violations.empty() ? 0 : 1;
}

int run_all(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  std::map<pid_t, uint64_t> running;
  uint64_t next = options.first;
  const uint64_t end = options.first + options.seeds;
  uint64_t done = 0;
  uint64_t failed = 0;
  while (next < end || !running.empty()) {
    const bool more = next < end && (failed == 0 || options.keep_going);
    if (!more && running.empty()) {
      break;
    }
    if (more && running.size() < options.jobs) {
      const uint64_t seed = next++;
      const pid_t child = ::fork();
      if (child == 0) {
        _exit(run_here(options, seed));
      }
      running[child] = seed;
      continue;
    }
    int status = 0;
    const pid_t child = ::wait(&status);
    const auto found = running.find(child);
    if (found == running.end()) {
      continue;
    }
    ++done;
    if (status != 0) {
      ++failed;
      std::filesystem::remove_all(directory_of(child));
      std::cout << "seed " << found->second << " failed"
                << (WIFSIGNALED(status) ? ", ended by signal " + std::to_string(WTERMSIG(status)) : std::string())
                << "; again: tidemark_simulation --seed " << found->second << " --steps " << options.steps << std::endl;
    }
    running.erase(found);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cout << done << " seeds, " << failed << " failed, " << seconds << " s" << std::endl;
  return failed == 0 ? 0 : 1;
}

// With the same addresses in every run, containers that order by address are the same as well.
void fix_addresses(char** argv) {
  const int now = ::personality(0xffffffff);
  if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0 && ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) != -1) {
    ::execv("/proc/self/exe", argv);
  }
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app("Simulates a node and its clients, deterministically from seeds");
  app.add_option("--first", options.first, "The first seed")->capture_default_str();
  app.add_option("--seeds", options.seeds, "How many seeds")->capture_default_str();
  app.add_option("--seed", options.seed, "This one seed");
  app.add_option("--steps", options.steps, "Choices in a run before its calm end")->capture_default_str();
  app.add_option("--jobs", options.jobs, "Seeds at the same time")->capture_default_str();
  app.add_flag("--print", options.print, "What is said, to stderr");
  app.add_flag("--keep-going", options.keep_going, "Goes on after a failed seed");
  app.add_flag("--fingerprints", options.fingerprints, "A fingerprint for each seed");
  app.add_flag("--twice", options.twice, "Runs each seed twice, which must be the same");
  app.add_flag("--logs", options.logs, "The node's warnings, to stderr");
  CLI11_PARSE(app, argc, argv);
  fix_addresses(argv);
  static std::ofstream nowhere("/dev/null");
  log_setup(options.logs ? LogLevel::info : LogLevel::error, LogFormat::text, options.logs ? nullptr : &nowhere);
  if (options.seed) {
    return run_here(options, *options.seed);
  }
  return run_all(options);
}

}  // namespace
}  // namespace tidemark::simulation

int main(int argc, char** argv) { return tidemark::simulation::main_of(argc, argv); }
