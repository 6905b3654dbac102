// How much memory the process has, and how much it may have. Any thread.
#pragma once

#include <cstddef>

namespace tidemark {

// Resident bytes, from /proc/self/statm; 0 where the system does not say.
size_t resident_bytes();

// The smaller of the machine's memory and the limit of the process's control group (version 2, or version 1).
size_t memory_of_process();

}  // namespace tidemark
