#include "app/bench/bench.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "account/keys.h"
#include "app/bench/scenario.h"
#include "app/bench/text_bench.h"

namespace tidemark::app {
namespace {

using Scenario = Result<Report> (*)(const BenchOptions&, const Target&, const Accounts&);

constexpr size_t kPayloadBytesMax = 256 * 1024;
constexpr size_t kThreadsMax = 64;
constexpr size_t kConnectionsMax = 1'000'000;

constexpr const char* kFooter =
    "The server limits each user by default. To measure more than that, start it with\n"
    "  --set limits.messages_per_second=1000000 --set limits.messages_burst=1000000\n"
    "and for direct --ephemeral the same of signals, for history of queries, for idle of creations (per minute), for\n"
    "document of operations.\n"
    "Server and load generator want a processor each:\n"
    "  taskset -c 0 tidemark serve ... and taskset -c 1 tidemark bench ...\n"
    "Exit code 0: everything arrived once and in order. 1: it did not, or the measurement failed. 2: wrong usage.";

// What was typed, until the scenario runs.
struct Arguments {
  BenchOptions options;
  std::string secret;
  std::string secret_file;
  bool json = false;
};

int report_failure(const Error& error, int exit_code) {
  std::fprintf(stderr, "tidemark bench: %s\n", error.text.c_str());
  return exit_code;
}

// What was typed goes before the environment. CLI11's envname() would not do: it fills in the option of every scenario,
// also beside the one that runs, and they share one variable.
Result<Secret> read_secret(const Arguments& arguments) {
  if (arguments.secret_file.empty()) {
    const char* const environment = std::getenv("TIDEMARK_AUTH_HS256_SECRET");
    return Secret(arguments.secret.empty() && environment != nullptr ? environment : arguments.secret);
  }
  std::ifstream file(arguments.secret_file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    return fail(Code::not_found, "cannot read --secret-file " + arguments.secret_file);
  }
  // The line end is not part of it.
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
    text.pop_back();
  }
  return Secret(std::move(text));
}

int run(Arguments& arguments, Scenario scenario) {
  Result<Secret> secret = read_secret(arguments);
  if (!secret) {
    return report_failure(secret.error(), 2);
  }
  if (arguments.options.dialect == Dialect::raw && secret->empty()) {
    *secret = Secret(std::string(account::kSecretBytesMin, '-'));  // nobody will see a token
  }
  const Result<Accounts> accounts = Accounts::make(std::move(*secret), arguments.options.tenant);
  if (!accounts) {
    return report_failure(accounts.error(), 2);
  }
  Result<Target> target = parse_target(arguments.options.url);
  if (!target) {
    return report_failure(target.error(), target.error().code == Code::invalid_field ? 2 : 1);
  }
  target->dialect = arguments.options.dialect;
  if (target->secure) {
    auto tls = make_client_tls(arguments.options.check);
    if (!tls) {
      return report_failure(tls.error(), 2);
    }
    target->tls = std::move(*tls);
  }
  const Result<Report> report = scenario(arguments.options, *target, *accounts);
  if (!report) {
    return report_failure(report.error(), 1);
  }
  std::fputs((arguments.json ? to_json_text(*report) : to_table(*report)).c_str(), stdout);
  return report->verified() ? 0 : 1;
}

void add_common_options(CLI::App& command, Arguments& arguments) {
  BenchOptions& options = arguments.options;
  command
      .add_option("--url", options.url,
                  "The server: ws://HOST:PORT or wss://HOST:PORT, with /PATH if it is not /api/v1/ws/connect")
      ->capture_default_str();
  auto* const insecure = command.add_flag("--insecure", options.check.skip,
                                          "wss://: do not look at the server's certificate (measurements only: "
                                          "whoever answers gets the tokens)");
  command.add_option("--ca", options.check.ca_file, "wss://: PEM file of those to trust (default: the system's)")
      ->type_name("FILE")
      ->excludes(insecure);
  auto* const file = command
                         .add_option("--secret-file", arguments.secret_file,
                                     "File with the server's auth.hs256_secret, to sign tokens with "
                                     "(default: the environment's TIDEMARK_AUTH_HS256_SECRET)")
                         ->type_name("FILE");
  command
      .add_option("--secret", arguments.secret,
                  "The secret itself; visible to other users of the machine, so rather a file or the environment")
      ->excludes(file);
  command.add_option("--tenant", options.tenant, "Tenant of all users")->capture_default_str();
  command.add_option("--pid", options.pid, "Process id of the server, to tell its CPU time and memory")
      ->check(CLI::PositiveNumber);
  command.add_option("--threads", options.threads, "Threads of the load generator")
      ->check(CLI::Range(size_t{1}, kThreadsMax))
      ->capture_default_str();
  command.add_flag("--json", arguments.json, "One JSON object instead of a table");
  command.footer(kFooter);
}

void add_payload_option(CLI::App& command, BenchOptions& options) {
  command.add_option("--payload", options.payload, "Bytes of each message's content")
      ->check(CLI::Range(kPayloadBytesMin, kPayloadBytesMax))
      ->capture_default_str();
}

void add_dialect_option(CLI::App& command, BenchOptions& options) {
  static const std::map<std::string, Dialect> kNames{{"tidemark", Dialect::tidemark}, {"raw", Dialect::raw}};
  command
      .add_option("--dialect", options.dialect,
                  "tidemark, or raw: any WebSocket server that sends each message back as it is, to its sender "
                  "(direct) or to everybody (fanout)")
      ->transform(CLI::CheckedTransformer(kNames))
      ->default_str("tidemark");
}

// `what` are sent, by `who`; how many is said with the option `count`.
void add_pace_options(CLI::App& command, BenchOptions& options, const std::string& what, const std::string& who,
                      const std::string& count) {
  auto* const window = command
                           .add_option("--window", options.window,
                                       "How many " + what + "s of each " + who +
                                           " are in flight: not yet acknowledged and received by everybody")
                           ->check(CLI::Range(1, 65'536))
                           ->capture_default_str();
  command
      .add_option("--rate", options.rate,
                  "How many " + what + "s a second, all " + who +
                      "s together, however many are in flight; latency counts from the moment one was planned for")
      ->check(CLI::Range(0.001, 1e7))
      ->excludes(window);
  auto* const seconds = command.add_option("--seconds", options.seconds, "How long to send")
                            ->check(CLI::Range(0.001, 86'400.0))
                            ->capture_default_str();
  command.add_option(count, options.messages, "How many to send, all " + who + "s together, however long it takes")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}))
      ->excludes(seconds);
}

void add_message_options(CLI::App& command, BenchOptions& options) {
  add_payload_option(command, options);
  add_pace_options(command, options, "message", "sender", "--messages");
}

CLI::App& add_scenario(CLI::App& bench, const std::string& name, const std::string& description, Scenario scenario,
                       const std::shared_ptr<Arguments>& arguments, int& exit_code) {
  CLI::App& command = *bench.add_subcommand(name, description);
  add_common_options(command, *arguments);
  command.callback([arguments, scenario, &exit_code] { exit_code = run(*arguments, scenario); });
  return command;
}

void add_document(CLI::App& bench, const std::shared_ptr<Arguments>& arguments, int& exit_code) {
  static const std::map<std::string, DocumentKind> kKinds{{"whiteboard", DocumentKind::whiteboard},
                                                          {"text", DocumentKind::text}};
  BenchOptions& options = arguments->options;
  CLI::App& document = add_scenario(bench, "document", "Writers and subscribers of shared documents", run_document,
                                    arguments, exit_code);
  document
      .add_option("--kind", options.kind,
                  "whiteboard: each writer adds, moves, styles and removes objects of its own; text: all type and "
                  "remove in one text")
      ->transform(CLI::CheckedTransformer(kKinds))
      ->default_str("whiteboard");
  document.add_option("--documents", options.documents, "Documents")
      ->check(CLI::Range(size_t{1}, kConnectionsMax))
      ->capture_default_str();
  document.add_option("--writers", options.writers, "Writers of each document, who follow it as well")
      ->check(CLI::Range(size_t{1}, size_t{10'000}))
      ->capture_default_str();
  document.add_option("--subscribers", options.followers, "Connections that follow each document beside its writers")
      ->check(CLI::Range(size_t{0}, kConnectionsMax))
      ->capture_default_str();
  document.add_option("--length", options.text_length, "Code points of each text, about")
      ->check(CLI::Range(size_t{0}, size_t{500'000}))
      ->capture_default_str();
  add_pace_options(document, options, "operation", "writer", "--operations");
  document
      .add_option("--grpc", options.grpc,
                  "HOST:PORT of statesync.grpc_listen: writers call it instead, and do not follow; one operation of "
                  "each in flight, since calls have no order; all on one connection of each thread")
      ->excludes("--window")
      ->excludes("--rate");
}

}  // namespace

void add_bench(CLI::App& root, int& exit_code) {
  CLI::App& bench = *root.add_subcommand("bench", "Put load on a running server and verify every delivery");
  bench.require_subcommand(1);
  bench.footer(kFooter);
  // The callbacks keep it alive.
  const auto arguments = std::make_shared<Arguments>();
  BenchOptions& options = arguments->options;

  CLI::App& fanout = add_scenario(bench, "fanout", "One publisher, many subscribers of one group", run_fanout,
                                  arguments, exit_code);
  add_message_options(fanout, options);
  fanout.add_option("--subscribers", options.subscribers, "Connections that receive, each of its own user")
      ->check(CLI::Range(size_t{1}, kConnectionsMax))
      ->capture_default_str();

  CLI::App& direct = add_scenario(bench, "direct", "Pairs of users, one writes to the other", run_direct, arguments,
                                  exit_code);
  add_message_options(direct, options);
  direct.add_option("--pairs", options.pairs, "Pairs, two connections each")
      ->check(CLI::Range(size_t{1}, kConnectionsMax / 2))
      ->capture_default_str();

  direct.add_flag("--ephemeral", options.ephemeral, "Typing signals in place of messages: relayed, not stored");
  add_dialect_option(fanout, options);
  add_dialect_option(direct, options);

  CLI::App& append = add_scenario(bench, "append", "Users who write to themselves: time until a message is durable",
                                  run_append, arguments, exit_code);
  add_message_options(append, options);
  append.add_option("--senders", options.pairs, "Connections, each of its own user, which take turns")
      ->check(CLI::Range(size_t{1}, kConnectionsMax))
      ->capture_default_str();

  CLI::App& storm = add_scenario(bench, "storm", "Devices with entries waiting for them return at once", run_storm,
                                 arguments, exit_code);
  add_payload_option(storm, options);
  storm.add_option("--devices", options.devices, "Devices, each of its own user")
      ->check(CLI::Range(size_t{1}, kConnectionsMax))
      ->capture_default_str();
  storm.add_option("--entries", options.entries, "Messages that wait for each device")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  storm.add_option("--at-once", options.at_once, "Handshakes in flight; more than the listener's backlog only wait")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();

  CLI::App& history = add_scenario(bench, "history", "Reading what is stored, one request after another", run_history,
                                   arguments, exit_code);
  add_payload_option(history, options);
  history
      .add_option("--read", options.read,
                  "messages: the newest ones of a conversation, over WebSocket; conversations: the list with unread "
                  "counts, over REST; session: one session, over REST")
      ->check(CLI::IsMember({"messages", "conversations", "session"}))
      ->capture_default_str();
  history.add_option("--seconds", options.seconds, "How long to ask")
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  history.add_option("--stored", options.stored, "Messages in the conversation")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  history.add_option("--limit", options.limit, "Messages of one request")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  history.add_option("--readers", options.readers, "Connections that ask, one request of each at a time")
      ->check(CLI::Range(size_t{1}, kConnectionsMax))
      ->capture_default_str();
  history.add_option("--conversations", options.conversations, "Conversations in the list")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();

  add_document(bench, arguments, exit_code);

  CLI::App& idle = add_scenario(bench, "idle", "Connections that do nothing: connects a second, memory of each",
                                run_idle, arguments, exit_code);
  idle.add_option("--connections", options.connections, "Connections, each of its own user and device")
      ->check(CLI::Range(size_t{1}, kConnectionsMax))
      ->capture_default_str();
  idle.add_option("--group-size", options.group_size, "Users in one conversation; 0: nobody is in any")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  idle.add_option("--conversations", options.groups, "Conversations of each user")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  idle.add_option("--hold", options.hold, "Seconds to stay before memory is measured")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  idle.add_option("--burst", options.burst,
                  "Messages into each conversation at once after that; memory is measured again when everybody has "
                  "them and --hold is over")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  add_dialect_option(idle, options);

  add_text_bench(bench, exit_code);
}

}  // namespace tidemark::app
