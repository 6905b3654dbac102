#include "app/bench/process_stats.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace tidemark::app {
namespace {

std::chrono::microseconds to_duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

}  // namespace

Result<ProcessStats> read_process_stats(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::ifstream stat(folder + "/stat");
  std::string line;
  std::getline(stat, line);
  // The second field is the program's name in parentheses, which may itself contain blanks and parentheses.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) {
    return fail(Code::not_found, "no process " + std::to_string(pid) + " on this machine");
  }
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) {
    fields >> skipped;
  }
  int64_t user_ticks = 0;
  int64_t system_ticks = 0;
  fields >> user_ticks >> system_ticks;

  ProcessStats stats;
  stats.cpu = std::chrono::microseconds((user_ticks + system_ticks) * 1'000'000 / sysconf(_SC_CLK_TCK));
  std::ifstream status(folder + "/status");
  while (std::getline(status, line)) {
    if (line.starts_with("VmRSS:")) {
      stats.resident_bytes = std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
    }
  }
  return stats;
}

std::chrono::microseconds own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return to_duration(usage.ru_utime) + to_duration(usage.ru_stime);
}

}  // namespace tidemark::app
