// For tests: workers that a test's thread talks to. The functions here are called from that thread only; they wait for
// an answer and never for time.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>

#include "core/worker.h"

namespace tidemark {

// What `function` returns on `worker`.
template <class F>
auto run_on(Worker& worker, F function) {
  using T = std::invoke_result_t<F&>;
  // Shared: set_value() may still be at its end when the waiter goes on.
  const auto answer = std::make_shared<std::promise<T>>();
  worker.post([&function, answer] {
    if constexpr (std::is_void_v<T>) {
      function();
      answer->set_value();
    } else {
      answer->set_value(function());
    }
  });
  return answer->get_future().get();
}

// Starts the coroutine that `function` makes on `worker` and waits for its end.
template <class F>
void finish_on(Worker& worker, F function) {
  const auto ended = std::make_shared<std::promise<void>>();
  const auto whole = [&function](std::shared_ptr<std::promise<void>> end) -> Task<> {
    co_await function();
    end->set_value();
  };
  worker.post([&whole, ended] { spawn(whole(ended)); });
  ended->get_future().wait();
}

// Lets every worker end the turns that are under way and what these posted to others, `rounds` times over.
inline void settle(WorkerPool& workers, int rounds = 4) {
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < workers.size(); ++i) {
      run_on(workers.at(i), [] {});
    }
  }
}

// Asks `condition` on `worker` again and again until it is true. False: it did not become so within ten seconds.
template <class F>
bool eventually(Worker& worker, F condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!run_on(worker, condition)) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
  }
  return true;
}

}  // namespace tidemark
