// Cursors and devices in the database. Private to the device room.
#pragma once

#include "device/device.h"

namespace tidemark::device::store {

void raise_cursor(storage::Transaction& tx, const UserKey& user, const DeviceId& device, stream::StreamId stream,
                  int64_t seq);
// Removes up to `limit` devices that were last seen before `before_ms`, with their cursors. Returns how many.
int64_t forget(storage::Transaction& tx, int64_t before_ms, int limit);
// Entries of an own stream as `sync` frames.
std::vector<stream::Entry> events(storage::Transaction& tx, stream::StreamId stream, int64_t after, int64_t since_ms,
                                  int64_t until, int64_t limit);

}  // namespace tidemark::device::store
