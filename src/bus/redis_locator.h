// RedisLocator: asks the sentinels, one after the other, where the master is. The one that knew is asked first the next
// time.
//
// Owner: its worker; its owner asks one question at a time. No answer comes inside find() or after stop().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "bus/redis_link.h"

namespace tidemark::bus {

class RedisLocator {
 public:
  using Found = std::function<void(const Result<HostPort>&)>;

  RedisLocator(Worker& worker, std::shared_ptr<const RedisTarget> target);
  ~RedisLocator();

  // Takes options.timeout per sentinel that does not answer. An error quotes one of them, if possible one that
  // answered.
  void find(Found found);
  void stop();

 private:
  void ask_next();
  void ask();
  void take(const Reply& reply);
  void note(const std::string& why);
  void answer(const Result<HostPort>& result);

  Worker& worker_;
  const std::shared_ptr<const RedisTarget> target_;
  Found found_;
  std::shared_ptr<RedisLink> link_;
  Timer deadline_;    // of the question; connecting has one of its own
  size_t at_ = 0;     // the sentinel that is asked
  size_t asked_ = 0;  // sentinels, for this question
  std::string why_;   // it was not answered
};

}  // namespace tidemark::bus
