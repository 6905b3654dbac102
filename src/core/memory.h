// Memory that the allocator keeps although nobody uses it.
#pragma once

namespace tidemark {

// Gives free pages back to the system, at most once in ten seconds. For quiet moments: other threads' allocations may
// wait for a few milliseconds. Any thread.
void release_unused_memory();

}  // namespace tidemark
