#include "bus/redis_dialer.h"

#include "core/log.h"

namespace tidemark::bus {
namespace {

// A connection that did not live so long is one more failed try: a server that takes connections and closes them is
// not asked again at once.
constexpr auto kSteadyAfter = std::chrono::seconds(1);

}  // namespace

RedisDialer::RedisDialer(Worker& worker, std::shared_ptr<const RedisTarget> target, Random& random, std::string purpose,
                         Events events)
    : worker_(worker),
      target_(std::move(target)),
      random_(random),
      purpose_(std::move(purpose)),
      events_(std::move(events)),
      locator_(worker, target_),
      backoff_(Backoff::Options{}),
      retry_([](void* self) { static_cast<RedisDialer*>(self)->try_now(); }, this) {}

RedisDialer::~RedisDialer() { stop(); }

void RedisDialer::start() {
  running_ = true;
  try_now();
}

void RedisDialer::stop() {
  running_ = false;
  up_ = false;
  locator_.stop();
  worker_.cancel(retry_);
  if (link_ != nullptr) {
    std::exchange(link_, nullptr)->close();
  }
}

void RedisDialer::try_now() {
  if (target_->options.master.empty()) {
    connect(target_->options.hosts.front());
    return;
  }
  locator_.find([this](const Result<HostPort>& master) {
    if (master.ok()) {
      connect(*master);
    } else {
      lose(master.error());
    }
  });
}

void RedisDialer::connect(const HostPort& server) {
  RedisLink::Events events;
  events.up = [this] { came_up(); };
  events.reply = [this](Reply reply) { events_.reply(std::move(reply)); };
  events.lost = [this](const Error& error) { lose(error); };
  const auto peer = target_->options.master.empty() ? RedisLink::Peer::redis : RedisLink::Peer::master;
  link_ = RedisLink::open(worker_, target_, server, peer, std::move(events));
}

void RedisDialer::came_up() {
  up_ = true;
  up_since_ = worker_.now();
  // A start is many connections and nothing to tell; that the server is back is.
  log(last_said_.empty() ? LogLevel::debug : LogLevel::info, "redis.connected",
      {{"server", link_->server().str()}, {"for", purpose_}, {"worker", worker_.index()}});
  last_said_.clear();
  events_.up();
}

void RedisDialer::drop(std::string why) {
  if (link_ != nullptr) {
    link_->close();
    lose(fail(Code::unavailable, std::move(why)));
  }
}

void RedisDialer::lose(const Error& error) {
  if (up_ && worker_.now() - up_since_ >= kSteadyAfter) {
    backoff_.reset();
  }
  up_ = false;
  say_lost(error);
  link_.reset();
  worker_.arm(retry_, backoff_.next(random_));
  events_.down(error);
}

void RedisDialer::say_lost(const Error& error) {
  if (error.text == last_said_) {
    return;
  }
  last_said_ = error.text;
  const std::string server = link_ != nullptr ? link_->server().str() : target_->options.master;
  log_warn("redis.lost", {{"server", server}, {"for", purpose_}, {"worker", worker_.index()}, {"reason", error.text}});
}

}  // namespace tidemark::bus
