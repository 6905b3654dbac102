// What a process of this machine has used, from /proc (proc(5)).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

#include "core/result.h"

namespace tidemark::app {

struct ProcessStats {
  std::chrono::microseconds cpu{};  // user and system time of all its threads, in steps of the kernel's tick (10 ms)
  int64_t resident_bytes = 0;       // VmRSS
};

// not_found if there is no such process.
Result<ProcessStats> read_process_stats(pid_t pid);

// User and system time of this process.
std::chrono::microseconds own_cpu();

}  // namespace tidemark::app
