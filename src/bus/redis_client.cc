#include "bus/redis_client.h"

#include <openssl/evp.h>

#include <algorithm>

namespace tidemark::bus {
namespace {

std::string sha1(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  TIDEMARK_CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) == 1);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

// `co_await` gives what became of the request.
struct Request {
  Request(Worker& of, RedisPipe& over, const Command& what, Instant until)
      : worker(of), pipe(over), command(what), deadline(until) {}

  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    return pipe.request(command, deadline, [this, waiting](RedisPipe::Outcome got) {
      outcome.emplace(std::move(got));
      worker.post([waiting] { waiting.resume(); });
    });
  }
  RedisPipe::Outcome await_resume() {
    if (!outcome) {
      return {fail(Code::unavailable, "too much waits for Redis"), false};
    }
    return std::move(*outcome);
  }

  Worker& worker;
  RedisPipe& pipe;
  const Command& command;
  const Instant deadline;
  std::optional<RedisPipe::Outcome> outcome;
};

}  // namespace

RedisScript::RedisScript(std::string text) : text_(std::move(text)), hash_(sha1(text_)) {}

// What one worker has.
struct RedisClient::Lane {
  explicit Lane(Worker& of) : worker(of) {}

  // The one with the least to do.
  RedisPipe& pipe() {
    return **std::min_element(pipes.begin(), pipes.end(),
                              [](const auto& a, const auto& b) { return a->under_way() < b->under_way(); });
  }

  Worker& worker;
  std::vector<std::unique_ptr<RedisPipe>> pipes;
  Breaker breaker{Breaker::Options()};
};

RedisClient::RedisClient(WorkerPool& workers, std::shared_ptr<const RedisTarget> target, Random& random,
                         MetricRegistry& metrics)
    : workers_(workers),
      target_(std::move(target)),
      answered_(metrics.counter("tidemark_redis_calls_total", "Calls to Redis by outcome.", {{"outcome", "answered"}})),
      refused_(metrics.counter("tidemark_redis_calls_total", "Calls to Redis by outcome.", {{"outcome", "refused"}})),
      unavailable_(
          metrics.counter("tidemark_redis_calls_total", "Calls to Redis by outcome.", {{"outcome", "unavailable"}})),
      not_tried_(
          metrics.counter("tidemark_redis_calls_total", "Calls to Redis by outcome.", {{"outcome", "not_tried"}})) {
  TIDEMARK_CHECK(target_->options.connections > 0);
  for (int i = 0; i < workers.size(); ++i) {
    lanes_.push_back(std::make_unique<Lane>(workers.at(i)));
    for (int k = 0; k < target_->options.connections; ++k) {
      lanes_.back()->pipes.push_back(std::make_unique<RedisPipe>(workers.at(i), target_, random, "commands"));
    }
  }
}

RedisClient::~RedisClient() = default;

void RedisClient::start() {
  for (const auto& lane : lanes_) {
    lane->worker.post([&lane = *lane] {
      for (const auto& pipe : lane.pipes) {
        pipe->start();
      }
    });
  }
}

void RedisClient::stop() {
  for (const auto& lane : lanes_) {
    lane->worker.post([&lane = *lane] {
      for (const auto& pipe : lane.pipes) {
        pipe->stop();
      }
    });
  }
}

RedisClient::Lane& RedisClient::here() {
  Worker* const worker = Worker::current();
  TIDEMARK_CHECK(worker != nullptr && &worker->pool() == &workers_);
  return *lanes_[static_cast<size_t>(worker->index())];
}

bool RedisClient::is_refusing() { return here().breaker.is_open(); }

// The reply may be an error reply.
Task<Result<Reply>> RedisClient::ask(Command command) {
  Lane& lane = here();
  if (!lane.breaker.admits(lane.worker.now())) {
    not_tried_.add();
    co_return fail(Code::unavailable, "Redis has not answered lately and is not asked");
  }
  const Instant deadline = lane.worker.now() + target_->options.timeout;
  for (int tries_left = target_->options.retries;; --tries_left) {
    RedisPipe::Outcome outcome = co_await Request(lane.worker, lane.pipe(), command, deadline);
    const bool answered = outcome.reply.ok();
    if (answered && outcome.certainly_not_run && tries_left > 0 && lane.worker.now() < deadline) {
      continue;  // on a connection that is made anew
    }
    if (answered) {
      lane.breaker.succeeded(lane.worker.now());
    } else {
      unavailable_.add();
      lane.breaker.failed(lane.worker.now());
    }
    co_return std::move(outcome.reply);
  }
}

Result<Reply> RedisClient::finished(Result<Reply> reply) {
  if (!reply.ok()) {
    return reply;
  }
  if (reply->is(Reply::Kind::error)) {
    refused_.add();
    return error_of(*reply);
  }
  answered_.add();
  return reply;
}

Task<Result<Reply>> RedisClient::call(Command command) { co_return finished(co_await ask(std::move(command))); }

Task<Result<Reply>> RedisClient::run(const RedisScript& script, std::vector<std::string> keys,
                                     std::vector<std::string> arguments) {
  const std::string key_count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVALSHA", script.hash(), key_count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  Result<Reply> reply = co_await ask(Command::of(words));
  if (reply.ok() && reply->is(Reply::Kind::error) && reply->text.starts_with("NOSCRIPT")) {
    words[0] = "EVAL";
    words[1] = script.text();
    reply = co_await ask(Command::of(words));
  }
  co_return finished(std::move(reply));
}

}  // namespace tidemark::bus
