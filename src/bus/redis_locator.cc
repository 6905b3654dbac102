#include "bus/redis_locator.h"

#include <charconv>

#include "bus/redis_command.h"

namespace tidemark::bus {

RedisLocator::RedisLocator(Worker& worker, std::shared_ptr<const RedisTarget> target)
    : worker_(worker),
      target_(std::move(target)),
      deadline_(
          [](void* self) {
            auto& locator = *static_cast<RedisLocator*>(self);
            locator.note("it does not answer");
            locator.ask_next();
          },
          this) {}

RedisLocator::~RedisLocator() { stop(); }

void RedisLocator::stop() {
  found_ = nullptr;
  worker_.cancel(deadline_);
  if (link_ != nullptr) {
    std::exchange(link_, nullptr)->close();
  }
}

void RedisLocator::find(Found found) {
  found_ = std::move(found);
  asked_ = 0;
  why_.clear();
  ask();
}

void RedisLocator::note(const std::string& why) { why_ = target_->options.hosts[at_].str() + ": " + why; }

void RedisLocator::ask() {
  RedisLink::Events events;
  events.up = [this] {
    worker_.arm(deadline_, target_->options.timeout);
    link_->send(Command("SENTINEL", "get-master-addr-by-name", target_->options.master).bytes());
  };
  events.reply = [this](const Reply& reply) { take(reply); };
  events.lost = [this](const Error& error) {
    if (why_.empty()) {
      note(error.text);
    }
    ask_next();
  };
  link_ = RedisLink::open(worker_, target_, target_->options.hosts[at_], RedisLink::Peer::sentinel, std::move(events));
}

void RedisLocator::ask_next() {
  worker_.cancel(deadline_);
  std::exchange(link_, nullptr)->close();
  const size_t sentinels = target_->options.hosts.size();
  if (++asked_ == sentinels) {
    answer(fail(Code::unavailable, "no sentinel knows where the master is; " + why_));
    return;
  }
  at_ = (at_ + 1) % sentinels;
  ask();
}

void RedisLocator::take(const Reply& reply) {
  if (reply.elements.size() == 2) {
    HostPort master{reply.elements[0].text, 0};
    const std::string& port = reply.elements[1].text;
    const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), master.port);
    if (failed == std::errc() && end == port.data() + port.size() && master.port != 0 && !master.host.empty()) {
      worker_.cancel(deadline_);
      std::exchange(link_, nullptr)->close();
      answer(master);
      return;
    }
  }
  note(reply.is(Reply::Kind::nil)     ? "it knows no master of that name"
       : reply.is(Reply::Kind::error) ? error_of(reply).text
                                      : "its answer is no address");
  ask_next();
}

void RedisLocator::answer(const Result<HostPort>& result) {
  const Found found = std::exchange(found_, nullptr);
  found(result);
}

}  // namespace tidemark::bus
