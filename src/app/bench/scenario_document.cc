// Writers and subscribers of shared documents: how fast an operation is stored, and told to everybody.
#include <fmt/format.h>

#include <memory>
#include <tuple>
#include <vector>

#include "app/bench/documents_thread.h"
#include "app/bench/rest_client.h"
#include "app/bench/scenario.h"
#include "core/json.h"

namespace tidemark::app {
namespace {

using boost::beast::http::verb;

// By its first writer: its writers may write, everybody else may read.
Result<std::string> create_document(const DocumentsRun& run, size_t document) {
  std::string editors = "[";
  for (size_t writer = 0; writer < run.options.writers; ++writer) {
    editors += editors.size() > 1 ? "," : "";
    append_json_string(editors, run.user(document, writer));
  }
  editors += ']';
  std::string body;
  JsonWriter json(body);
  json.begin().field("name", "tidemark bench").field("type", name_of(run.options.kind));
  if (run.options.kind == DocumentKind::text) {
    json.field("content", text_of_length(run.options.text_length));
  }
  json.raw("metadata", R"({"permissions":{"public":true,"editors":)" + editors + "}}").end();
  RestClient owner(run.target, run.accounts, run.user(document, 0));
  const auto answer = owner.call(verb::post, "/documents", body);
  if (!answer) {
    return answer.error();
  }
  simdjson::dom::parser parser;
  simdjson::dom::element made;
  std::string_view id;
  if (parser.parse(answer->body).get(made) != simdjson::SUCCESS ||
      made["data"]["document"]["id"].get(id) != simdjson::SUCCESS) {
    return fail(Code::unavailable, "POST /documents was answered without data.document.id");
  }
  return std::string(id);
}

std::string describe(const BenchOptions& options) {
  return fmt::format("{} {}s, {} writers and {} subscribers each, {}{}", options.documents, name_of(options.kind),
                     options.writers, options.followers,
                     options.rate > 0 ? fmt::format("{:g} operations a second", options.rate)
                                      : fmt::format("{} in flight of each writer", options.window),
                     options.grpc.empty() ? "" : " over gRPC");
}

}  // namespace

Result<Report> run_document(const BenchOptions& options, const Target& target, const Accounts& accounts) {
  if (!options.grpc.empty() && options.followers == 0) {
    return fail(Code::invalid_field, "--grpc needs --subscribers: its writers follow nothing");
  }
  DocumentsRun run{options, target, accounts};
  const size_t connections = run.members() * options.documents;
  if (Status reserved = reserve_sockets(connections); !reserved) {
    return reserved.error();
  }
  for (size_t i = 0; i < options.documents; ++i) {
    auto id = create_document(run, i);
    if (!id) {
      return id.error();
    }
    run.ids.push_back(std::move(*id));
  }
  std::vector<std::unique_ptr<DocumentsThread>> threads;
  for (size_t i = 0; i < options.threads; ++i) {
    threads.push_back(std::make_unique<DocumentsThread>(run, i));
  }
  const bool several_addresses = needs_several_addresses(target, connections);
  const Status opened = on_threads(options.threads, [&](size_t i) { return threads[i]->open(several_addresses); });
  if (!opened) {
    return opened.error();
  }
  Report report;
  Measurement measurement(options, report);
  const Instant start = SystemClock().now();
  if (Status ran = on_threads(options.threads, [&](size_t i) { return threads[i]->run(start); }); !ran) {
    return ran.error();
  }
  if (Status measured = measurement.finish(); !measured) {
    return measured.error();
  }
  report.title = "document";
  report.description = describe(options);
  report.connections = connections;
  for (const auto& thread : threads) {
    thread->add_to(report, start);
    if (Status compared = thread->compare(report); !compared) {
      return compared.error();
    }
  }
  std::ignore = on_threads(options.threads, [&](size_t i) { return threads[i]->close(); });
  return report;
}

}  // namespace tidemark::app
