#include "app/bench/documents_thread.h"

#include <algorithm>

#include "app/bench/rest_client.h"

namespace tidemark::app {
namespace {

using boost::beast::http::verb;

constexpr std::chrono::milliseconds kLinger{200};     // for what still comes although all has come
constexpr std::chrono::microseconds kCallsTurn{200};  // that frames wait for answers over gRPC

}  // namespace

DocumentsThread::DocumentsThread(DocumentsRun& run, size_t thread)
    : run_(run),
      members_(run.members()),
      client_(run.target, *this),
      thread_(thread),
      share_(share_of(run.options.documents, run.options.threads, thread)),
      is_touched_(share_.count) {
  for (size_t i = 0; i < share_.count; ++i) {
    documents_.emplace_back(
        std::make_unique<DocumentCheck>(DocumentCheck::Options{.id = run.ids[share_.first + i],
                                                               .kind = run.options.kind,
                                                               .members = members_,
                                                               .writers = run.options.writers,
                                                               .writers_follow = run.writers_follow(),
                                                               .text_length = run.options.text_length},
                                        random_));
  }
  if (!run.writers_follow()) {
    calls_.emplace(run.options.grpc);
    for (size_t i = 0; i < share_.count * run.options.writers; ++i) {
      const size_t document = share_.first + i / run.options.writers;
      tokens_.push_back(run.accounts.token(run.user(document, i % run.options.writers)));
    }
  }
}

template <class F>
void DocumentsThread::take(size_t number, F tell) {
  DocumentCheck& document = *documents_[number];
  const uint64_t done_before = document.done();
  if (const Status taken = tell(document); !taken) {
    client_.fail_with(taken.error());
  }
  ++arrived_;
  if (document.done() != done_before) {
    done_ += document.done() - done_before;
    touch(number);
  }
}

Status DocumentsThread::open(bool several_addresses) {
  const auto login_of = [this](size_t connection) {
    const std::string user = run_.member(share_.first + connection / members_, connection % members_);
    return LoadClient::Login{run_.accounts.token(user), "bench", share_.first * members_ + connection};
  };
  const size_t connections = share_.count * members_;
  Status opened = client_.open(connections, login_of, {.several_addresses = several_addresses});
  if (!opened || connections == 0) {
    return opened;
  }
  for (size_t i = 0; i < connections; ++i) {
    client_.send(i, documents_[i / members_]->subscribe());
  }
  watchdog_.emplace(clock_.now());
  client_.wake();
  return client_.run();
}

Status DocumentsThread::run(Instant start) {
  const BenchOptions& options = run_.options;
  const uint64_t operations = share_of(options.messages, options.threads, thread_).count;
  const double rate = options.rate / static_cast<double>(options.threads);
  schedule_.emplace(Schedule::Limits{options.window, rate, operations, to_nanoseconds(options.seconds)}, start);
  watchdog_.emplace(start);
  for (size_t i = 0; i < documents_.size(); ++i) {
    touch(i);
  }
  client_.wake();
  const Status result = documents_.empty() ? Status() : client_.run();
  if (!result) {
    run_.stop = true;
  }
  return result;
}

void DocumentsThread::on_text(size_t connection, std::string_view payload, Instant received) {
  take(connection / members_,
       [&](DocumentCheck& document) { return document.arrived(connection % members_, payload, received); });
}

void DocumentsThread::on_turn() {
  if (schedule_ && calls_) {
    take_answers();
  }
  const Instant now = clock_.now();
  if (!schedule_) {
    look_for_subscriptions(now);
    return;
  }
  std::optional<Instant> next;
  if (run_.options.rate > 0) {
    send_at_rate(now);
    next = schedule_->next(sent_);
  } else {
    send_by_window(now);
  }
  if (schedule_->over(now, sent_)) {
    next.reset();
    if (done_ == sent_) {
      finish_at_ = finish_at_.value_or(now + kLinger);
      next = finish_at_;
    }
  }
  if (run_.stop || (finish_at_ && now >= *finish_at_) || (done_ < sent_ && watchdog_->stuck(now, sent_ + arrived_))) {
    client_.stop();
  } else if (next && next != alarm_) {
    alarm_ = next;
    client_.wake_at(*next);
  }
}

void DocumentsThread::add_to(Report& report, Instant start) const {
  for (const auto& document : documents_) {
    report.elapsed = std::max(report.elapsed, document->last_arrival() - start);
    report.operations += document->sent();
    report.deliveries += document->deliveries();
    report.unanswered += document->unanswered();
    report.conflicts += document->conflicts();
    report.violations += document->violations();
    report.ack_latency.merge(document->ack_latency());
    report.delivery_latency.merge(document->delivery_latency());
  }
}

Status DocumentsThread::compare(Report& report) const {
  for (size_t i = 0; i < documents_.size(); ++i) {
    RestClient reader(run_.target, run_.accounts, run_.user(share_.first + i, 0));
    const auto answer = reader.call(verb::get, "/documents/" + run_.ids[share_.first + i]);
    if (!answer) {
      return answer.error();
    }
    report.different_documents += documents_[i]->is_document(answer->body) ? 0 : 1;
  }
  return {};
}

void DocumentsThread::look_for_subscriptions(Instant now) {
  if (!watchdog_) {
    return;
  }
  const auto ready = [](const auto& document) { return document->all_subscribed(); };
  if (std::all_of(documents_.begin(), documents_.end(), ready)) {
    client_.stop();
  } else if (watchdog_->stuck(now, arrived_)) {
    client_.fail_with(fail(Code::unavailable, "not every subscription of a document was answered"));
  }
}

void DocumentsThread::take_answers() {
  calls_->wait(kCallsTurn, [this](const Result<OperationCalls::Answer>& answer) {
    if (!answer) {
      client_.fail_with(answer.error());
      return;
    }
    take(answer->document, [&](DocumentCheck& document) {
      return document.answered(answer->id, answer->version, answer->status, clock_.now());
    });
  });
  if (calls_->on_their_way() > 0) {
    client_.wake();
  }
}

void DocumentsThread::touch(size_t document) {
  if (!is_touched_[document]) {
    is_touched_[document] = true;
    touched_.push_back(document);
  }
}

void DocumentsThread::send_by_window(Instant now) {
  for (const size_t document : touched_) {
    is_touched_[document] = false;
    for (size_t writer = 0; writer < run_.options.writers; ++writer) {
      while (const auto due = schedule_->due(now, sent_, documents_[document]->in_flight(writer))) {
        send(document, writer, *due);
      }
    }
  }
  touched_.clear();
}

void DocumentsThread::send_at_rate(Instant now) {
  while (const auto due = schedule_->due(now, sent_, 0)) {
    send(sent_ % documents_.size(), sent_ / documents_.size() % run_.options.writers, *due);
  }
}

void DocumentsThread::send(size_t document, size_t writer, Instant due) {
  ++sent_;
  if (!calls_) {
    client_.send(document * members_ + writer, documents_[document]->next(writer, due));
    return;
  }
  const std::string session = "writer " + std::to_string(writer);
  const DocumentCheck::Next& next = documents_[document]->make(writer, due);
  calls_->apply(
      tokens_[document * run_.options.writers + writer],
      {document, run_.ids[share_.first + document], session, next.id, next.type, next.data, next.prev_version});
  client_.wake();
}

}  // namespace tidemark::app
