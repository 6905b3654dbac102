// Unix milliseconds as protobuf's Timestamp. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>

namespace tidemark::rpc {

inline void set_time(google::protobuf::Timestamp& out, int64_t unix_ms) {
  out.set_seconds(unix_ms / 1000);
  out.set_nanos(static_cast<int32_t>(unix_ms % 1000 * 1'000'000));
}

}  // namespace tidemark::rpc
