// Reading what is stored, one request after another: how long until the answer is there.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

#include "app/bench/backlog.h"
#include "app/bench/rest_client.h"
#include "app/bench/scenario.h"
#include "core/json.h"

namespace tidemark::app {
namespace {

using boost::beast::http::verb;
using std::chrono::seconds;

// The newest page of one conversation over WebSocket, by several readers, one request of each at a time.
class HistoryReaders final : public LoadHandler {
 public:
  HistoryReaders(const BenchOptions& options, const Target& target, const Accounts& accounts, const Group& group)
      : options_(options), accounts_(accounts), group_(group), client_(target, *this), asked_(options.readers) {}

  Status open() {
    const auto login_of = [this](size_t reader) {
      return LoadClient::Login{accounts_.token(accounts_.user("r", reader)), "history", reader};
    };
    return client_.open(options_.readers, login_of, {});
  }

  Status run(Instant start) {
    end_ = start + to_nanoseconds(options_.seconds);
    client_.wake_at(end_);
    for (size_t i = 0; i < options_.readers; ++i) {
      ask(i);
    }
    client_.wake();
    return client_.run();
  }
  void close() { client_.close(); }

  void on_text(size_t reader, std::string_view payload, Instant received) override {
    simdjson::dom::element frame;
    std::string_view type;
    if (parser_.parse(payload.data(), payload.size()).get(frame) != simdjson::SUCCESS ||
        frame["type"].get(type) != simdjson::SUCCESS) {
      client_.fail_with(fail(Code::unavailable, "the server sent no JSON with a type: " + std::string(payload)));
    } else if (type == "error") {
      client_.fail_with(fail(Code::unavailable, "the server refused a request: " + std::string(payload)));
    } else if (type == "history") {
      if (!is_newest_page(frame)) {
        client_.fail_with(fail(Code::unavailable, "that is not the newest page: " + std::string(payload.substr(0, 300))));
      }
      latency_.record(received - asked_[reader]);
      last_answer_ = received;
      ask(reader);
    }
  }
  void on_turn() override {
    if (clock_.now() >= end_) {
      client_.stop();
    }
  }

  const Histogram& latency() const { return latency_; }
  Instant last_answer() const { return last_answer_; }

 private:
  void ask(size_t reader) {
    std::string text;
    JsonWriter(text)
        .begin()
        .field("type", "history")
        .field("id", "h")
        .field("conversation_id", group_.conversation_id)
        .field("limit", options_.limit)
        .end();
    asked_[reader] = clock_.now();
    client_.send(reader, text);
  }

  // Every entry up to the last one, in order and without a hole.
  bool is_newest_page(simdjson::dom::element frame) const {
    simdjson::dom::array entries;
    if (frame["entries"].get(entries) != simdjson::SUCCESS || entries.size() != options_.limit) {
      return false;
    }
    const int64_t last = group_.last_seq + static_cast<int64_t>(options_.stored);
    int64_t expected = last - static_cast<int64_t>(options_.limit);
    for (const simdjson::dom::element entry : entries) {
      int64_t seq = 0;
      if (entry["seq"].get(seq) != simdjson::SUCCESS || seq != ++expected) {
        return false;
      }
    }
    return true;
  }

  const BenchOptions& options_;
  const Accounts& accounts_;
  const Group& group_;
  LoadClient client_;
  simdjson::dom::parser parser_;
  SystemClock clock_;
  std::vector<Instant> asked_;
  Instant end_ = Instant::max();
  Instant last_answer_{};
  Histogram latency_;
};

// A path over REST, by one caller.
class RestReader {
 public:
  RestReader(const BenchOptions& options, const Target& target, const Accounts& accounts)
      : options_(options), client_(target, accounts, accounts.user("r", 0)) {}

  RestClient& client() { return client_; }
  Status run(Instant start, const std::string& path, std::string_view expected) {
    const Instant end = start + to_nanoseconds(options_.seconds);
    for (Instant asked = start; asked < end; asked = last_answer_) {
      const auto answer = client_.call(verb::get, path);
      last_answer_ = clock_.now();
      if (!answer) {
        return answer.error();
      }
      if (answer->body.find(expected) == std::string::npos) {
        return fail(Code::unavailable, "GET " + path + ": not what is stored: " + answer->body.substr(0, 300));
      }
      latency_.record(last_answer_ - asked);
    }
    return {};
  }
  const Histogram& latency() const { return latency_; }
  Instant last_answer() const { return last_answer_; }

 private:
  const BenchOptions& options_;
  RestClient client_;
  SystemClock clock_;
  Instant last_answer_{};
  Histogram latency_;
};

template <class Work>
Result<Report> measure(const BenchOptions& options, std::string description, Work work) {
  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  if (Status ran = work(report, start); !ran) {
    return ran.error();
  }
  if (Status measured = measurement.finish(); !measured) {
    return measured.error();
  }
  report.title = "history";
  report.description = std::move(description);
  report.requests = report.answer_latency.count();
  return report;
}

Result<Report> read_messages(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  std::vector<std::string> members;
  for (size_t i = 0; i < options.readers; ++i) {
    members.push_back(accounts.user("r", i));
  }
  RestClient owner(target, accounts, accounts.user("w", 0));
  const Result<Group> group = create_group(owner, members);
  if (!group) {
    return group.error();
  }
  Backlog::Plan plan;
  plan.address = "conversation_id";
  plan.receivers = 1;
  plan.each = options.stored;
  plan.payload = options.payload;
  plan.receiver_of = [&](size_t) { return group->conversation_id; };
  plan.user_of = [&](size_t) { return accounts.user("w", 0); };
  if (Status written = Backlog(target, accounts, plan).write(); !written) {
    return written.error();
  }
  HistoryReaders readers(options, target, accounts, *group);
  if (Status opened = readers.open(); !opened) {
    return opened.error();
  }
  return measure(options,
                 fmt::format("last {} of {} messages, {} readers", options.limit, options.stored, options.readers),
                 [&](Report& report, Instant start) {
                   const Status ran = readers.run(start);
                   report.answer_latency.merge(readers.latency());
                   report.elapsed = readers.last_answer() - start;
                   report.connections = options.readers;
                   readers.close();
                   return ran;
                 });
}

Result<Report> read_conversations(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  RestClient other(target, accounts, accounts.user("w", 0));
  const std::string reader = accounts.user("r", 0);
  std::string last;
  for (size_t i = 0; i < options.conversations; ++i) {
    const Result<Group> group = create_group(other, {reader});
    if (!group) {
      return group.error();
    }
    last = group->conversation_id;
    const auto sent = other.call(verb::post, "/messages",
                                 R"({"conversation_id":")" + last + R"(","content":")" +
                                     stamped_content({}, options.payload) + R"("})");
    if (!sent) {
      return sent.error();
    }
  }
  RestReader one(options, target, accounts);
  const std::string path = "/conversations?limit=" + std::to_string(std::min<size_t>(options.conversations, 200));
  return measure(options, fmt::format("list of {} conversations with unread counts, 1 reader over REST",
                                      options.conversations),
                 [&](Report& report, Instant start) {
                   const Status ran = one.run(start, path, "\"" + last + "\"");
                   report.answer_latency.merge(one.latency());
                   report.elapsed = one.last_answer() - start;
                   return ran;
                 });
}

Result<Report> read_session(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  RestReader one(options, target, accounts);
  const auto made = one.client().call(verb::post, "/sessions", R"({"device_id":"bench"})");
  if (!made) {
    return made.error();
  }
  simdjson::dom::parser parser;
  simdjson::dom::element body;
  std::string_view id;
  if (parser.parse(made->body).get(body) != simdjson::SUCCESS ||
      body["data"]["session"]["session_id"].get(id) != simdjson::SUCCESS) {
    return fail(Code::unavailable, "POST /sessions was answered without data.session.session_id");
  }
  return measure(options, "one session, 1 reader over REST", [&](Report& report, Instant start) {
    const Status ran = one.run(start, "/sessions/" + std::string(id), id);
    report.answer_latency.merge(one.latency());
    report.elapsed = one.last_answer() - start;
    return ran;
  });
}

}  // namespace

Result<Report> run_history(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  if (options.read == "conversations") {
    return read_conversations(options, target, accounts);
  }
  if (options.read == "session") {
    return read_session(options, target, accounts);
  }
  return read_messages(options, target, accounts);
}

}  // namespace tidemark::app
