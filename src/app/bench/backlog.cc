#include "app/bench/backlog.h"

#include <charconv>
#include <chrono>

#include "core/json.h"
#include "core/uuid.h"

namespace tidemark::app {

namespace {
constexpr std::chrono::seconds kPatience{20};
}

Backlog::Backlog(const Target& target, const Accounts& accounts, Plan plan)
    : accounts_(accounts),
      plan_(std::move(plan)),
      client_(target, *this),
      written_(plan_.receivers),
      ids_(accounts.user("b", 0) + "-") {
  for (size_t i = 0; i < plan_.writers; ++i) {
    next_receiver_.push_back(i);
  }
}

Status Backlog::write() {
  const auto login_of = [this](size_t writer) {
    return LoadClient::Login{accounts_.token(plan_.user_of(writer)), "backlog", plan_.first_address + writer};
  };
  if (Status opened = client_.open(plan_.writers, login_of, {}); !opened) {
    return opened;
  }
  last_progress_ = clock_.now();
  for (size_t writer = 0; writer < plan_.writers; ++writer) {
    for (size_t i = 0; i < kWindow; ++i) {
      begin_next(writer);
    }
  }
  client_.wake();
  const Status written = client_.run();
  client_.close();
  return written;
}

void Backlog::begin_next(size_t writer) {
  if (next_receiver_[writer] < plan_.receivers) {
    send(next_receiver_[writer]);
    next_receiver_[writer] += plan_.writers;
  }
}

// The id says to whom it is: all receivers of a writer share its connection.
void Backlog::send(size_t receiver) {
  const Stamp stamp{written_[receiver], clock_.now()};
  text_.clear();
  JsonWriter(text_)
      .begin()
      .field("type", "message")
      .field(plan_.address, plan_.receiver_of(receiver))
      .field("id", ids_ + std::to_string(receiver) + "-" + std::to_string(stamp.number))
      .field("content", stamped_content(stamp, plan_.payload))
      .end();
  client_.send(receiver % plan_.writers, text_);
}

void Backlog::on_text(size_t connection, std::string_view payload, Instant) {
  const Result<Incoming> frame = reader_.read(payload);
  if (!frame) {
    client_.fail_with(frame.error());
  } else if (frame->type == "error") {
    client_.fail_with(refused_by_server(*frame));
  } else if (frame->type == "sent" && frame->id.starts_with(ids_)) {
    size_t receiver = 0;
    const std::string_view rest = frame->id.substr(ids_.size());
    std::from_chars(rest.data(), rest.data() + rest.size(), receiver);
    ++answered_;
    if (++written_[receiver] < plan_.each) {
      send(receiver);
    } else {
      begin_next(connection);
    }
  }
}

void Backlog::on_turn() {
  if (answered_ == plan_.receivers * plan_.each) {
    client_.stop();
  } else if (answered_ != answered_before_) {
    answered_before_ = answered_;
    last_progress_ = clock_.now();
  } else if (last_progress_ != Instant{} && clock_.now() - last_progress_ > kPatience) {
    client_.fail_with(fail(Code::unavailable, "the server does not answer: " + std::to_string(answered_) +
                                                  " messages were written, then nothing for 20 s"));
  }
}

}  // namespace tidemark::app
