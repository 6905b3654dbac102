#include "app/bench/text_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/bench/text_trace.h"
#include "document/engine/document.h"

namespace tidemark::app {
namespace {

using document::engine::Applied;
using document::engine::Decision;
using document::engine::Document;
using document::engine::Kind;
using document::engine::Limits;
using document::engine::Outcome;
using document::engine::Submission;

struct TextBenchOptions {
  std::string trace;
  uint64_t behind = 5000;
  size_t rounds = 5;
  bool json = false;
};

struct Figures {
  size_t operations = 0;
  size_t bytes = 0;
  double replay_ms = 0;         // every operation decided and applied
  double apply_ms = 0;          // only applied, as a replica or a reload does
  double load_ms = 0;           // of a document with the finished text
  double load_snapshot_ms = 0;  // with its history
  double behind_first_ms = 0;   // one operation that is `behind` versions behind, when nobody was before
  double behind_ms = 0;         // another author who is as far behind
};

// Decides, and applies what takes effect.
Result<Applied> submit(Document& document, const Submission& submission) {
  Decision decision = document.decide(submission);
  if (decision.outcome == Outcome::rejected) {
    return std::move(decision.error);
  }
  Applied applied{document.version() + 1,   std::string(submission.id), std::string(submission.session),
                  std::move(decision.type), std::move(decision.data),   std::move(decision.trail)};
  if (auto done = document.apply(applied); !done) {
    return done.error();
  }
  return applied;
}

// The fastest of several runs: what else the machine does only makes it slower.
class Stopwatch {
 public:
  explicit Stopwatch(double& best) : best_(best) {}
  ~Stopwatch() {
    const double taken = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    best_ = best_ == 0 ? taken : std::min(best_, taken);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& best_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Decides and applies each operation.
Result<Document> replay(const TextTrace& trace, const Limits& limits, std::vector<Applied>* log = nullptr) {
  auto document = Document::create(Kind::text, trace.start, limits);
  for (const TraceOperation& operation : trace.operations) {
    if (!document) {
      break;
    }
    Submission submission;
    submission.session = operation.session;
    submission.type = "text";
    submission.data = operation.data;
    submission.prev_version = operation.prev_version;
    if (auto applied = submit(*document, submission); !applied) {
      document = applied.error();
    } else if (log != nullptr) {
      log->push_back(std::move(*applied));
    }
  }
  return document;
}

// Applies what was decided before.
Result<Document> follow(const TextTrace& trace, const std::vector<Applied>& log, const Limits& limits) {
  auto document = Document::create(Kind::text, trace.start, limits);
  for (const Applied& applied : log) {
    if (auto done = document ? document->apply(applied) : Status(document.error()); !done) {
      return done.error();
    }
  }
  return document;
}

// An insertion by somebody who saw the text that many versions ago, and has written nothing since.
Status insert_behind(Document& document, const char* session, uint64_t behind, double& best) {
  Submission submission;
  submission.session = session;
  submission.type = "text";
  submission.data = R"({"ops":["late"]})";
  submission.prev_version = document.version() - behind;
  const Stopwatch watch(best);
  const auto applied = submit(document, submission);
  return applied ? Status() : applied.error();
}

Status measure_round(const TextTrace& trace, const std::vector<Applied>& log, uint64_t behind, const Limits& limits,
                     Figures& figures) {
  const auto timed = [](double& best, auto&& work) {
    const Stopwatch watch(best);
    return work();
  };
  const auto replayed = timed(figures.replay_ms, [&] { return replay(trace, limits); });
  const auto followed = timed(figures.apply_ms, [&] { return follow(trace, log, limits); });
  const auto loaded = timed(figures.load_ms, [&] { return Document::create(Kind::text, trace.end, limits); });
  for (const auto* document : {&replayed, &followed, &loaded}) {
    if (!*document) {
      return document->error();
    }
    if ((*document)->content() != trace.end) {
      return fail(Code::conflict, "the text is not the recorded one");
    }
  }
  const std::string snapshot = replayed->snapshot();
  auto reloaded = timed(figures.load_snapshot_ms, [&] { return Document::from_snapshot(snapshot, limits); });
  if (!reloaded || behind == 0) {
    return reloaded ? Status() : reloaded.error();
  }
  if (auto first = insert_behind(*reloaded, "first", behind, figures.behind_first_ms); !first) {
    return first;
  }
  return insert_behind(*reloaded, "second", behind, figures.behind_ms);
}

Result<Figures> measure(const TextTrace& trace, const TextBenchOptions& options) {
  Figures figures;
  figures.operations = trace.operations.size();
  figures.bytes = trace.end.size();
  Limits limits;
  const uint64_t behind = std::min<uint64_t>(options.behind, trace.operations.size());
  limits.history_max = std::max<size_t>(limits.history_max, behind + 1);
  std::vector<Applied> log;
  if (auto first = replay(trace, limits, &log); !first) {
    return first.error();
  }
  for (size_t round = 0; round < options.rounds; ++round) {
    if (auto done = measure_round(trace, log, behind, limits, figures); !done) {
      return done.error();
    }
  }
  return figures;
}

std::string to_text(const Figures& figures, const TextBenchOptions& options) {
  if (options.json) {
    return fmt::format(
        R"({{"operations":{},"bytes":{},"replay_ms":{:.2f},"apply_ms":{:.2f},"load_ms":{:.3f},"load_snapshot_ms":{:.3f},)"
        R"("behind":{},"behind_first_ms":{:.3f},"behind_ms":{:.3f}}})"
        "\n",
        figures.operations, figures.bytes, figures.replay_ms, figures.apply_ms, figures.load_ms,
        figures.load_snapshot_ms, options.behind, figures.behind_first_ms, figures.behind_ms);
  }
  return fmt::format(
      "text: {} operations, {} bytes at the end, best of {}\n"
      "  decide and apply each   {:10.2f} ms\n"
      "  apply each              {:10.2f} ms\n"
      "  load the finished text  {:10.3f} ms\n"
      "  load its snapshot       {:10.3f} ms\n"
      "  one operation {} versions behind: {:.3f} ms, the next one {:.3f} ms\n",
      figures.operations, figures.bytes, options.rounds, figures.replay_ms, figures.apply_ms, figures.load_ms,
      figures.load_snapshot_ms, options.behind, figures.behind_first_ms, figures.behind_ms);
}

int run(const TextBenchOptions& options) {
  const auto failed = [](const Error& error, int exit_code) {
    std::fprintf(stderr, "tidemark bench: %s\n", error.text.c_str());
    return exit_code;
  };
  const auto trace = read_text_trace(options.trace);
  if (!trace) {
    return failed(trace.error(), 2);
  }
  const auto figures = measure(*trace, options);
  if (!figures) {
    return failed(figures.error(), 1);
  }
  std::fputs(to_text(*figures, options).c_str(), stdout);
  return 0;
}

}  // namespace

void add_text_bench(CLI::App& bench, int& exit_code) {
  const auto options = std::make_shared<TextBenchOptions>();
  CLI::App& command = *bench.add_subcommand(
      "text", "The document engine alone: a recorded editing session, loading, an author who is far behind");
  command.add_option("trace", options->trace, "Gzipped JSON of the collection editing-traces")
      ->required()
      ->type_name("FILE");
  command.add_option("--behind", options->behind, "How many versions the late author is behind; 0: not measured")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command.add_option("--rounds", options->rounds, "The best of so many is told")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_flag("--json", options->json, "One JSON object instead of lines");
  command.callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace tidemark::app
