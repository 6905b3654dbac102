// RedisClient: commands to Redis, for state that may be lost (leases, counters, what is kept elsewhere too).
//
//   const Result<Reply> reply = co_await client.call(Command("SET", key, value, "PX", 15000));
//
// Each worker has options.connections of its own, and a breaker: where Redis does not answer, it is not asked.
// Owner: made at wiring and goes after the workers have stopped. start() before or after they start, stop() before they
// stop. call() and run() are for a worker's turns; the coroutine goes on on that worker.
// Promises: a call ends within options.timeout, with a reply or an error; an error reply of Redis is an error. A call
// that Redis certainly has not run is tried again, options.retries times. After `unavailable` a call may have been run.
// Does not promise: that two calls are run in their order, unless the first has been awaited.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bus/breaker.h"
#include "bus/redis_pipe.h"
#include "core/metrics.h"
#include "core/task.h"

namespace tidemark::bus {

// A Lua script. Redis keeps the scripts that it has seen, so that a call sends the hash alone; a value, any thread.
class RedisScript {
 public:
  explicit RedisScript(std::string text);
  const std::string& text() const { return text_; }
  const std::string& hash() const { return hash_; }  // SHA-1, hexadecimal: Redis' name for it

 private:
  std::string text_;
  std::string hash_;
};

class RedisClient {
 public:
  // `random` may be used from any thread.
  RedisClient(WorkerPool& workers, std::shared_ptr<const RedisTarget> target, Random& random, MetricRegistry& metrics);
  ~RedisClient();

  void start();
  // From any thread. Calls that are under way end with `unavailable`, as does every later one.
  void stop();

  Task<Result<Reply>> call(Command command);
  // The keys have to have one tag (redis_key) where Redis may be a cluster one day.
  Task<Result<Reply>> run(const RedisScript& script, std::vector<std::string> keys, std::vector<std::string> arguments);

  // Of the calling worker: calls are refused at the moment.
  bool is_refusing();

 private:
  struct Lane;

  Task<Result<Reply>> ask(Command command);
  Lane& here();
  Result<Reply> finished(Result<Reply> reply);

  WorkerPool& workers_;
  const std::shared_ptr<const RedisTarget> target_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // by worker, touched only by it
  Counter& answered_;
  Counter& refused_;
  Counter& unavailable_;
  Counter& not_tried_;
};

}  // namespace tidemark::bus
