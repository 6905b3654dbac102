#include "command_table.h"

#include <memory>

#include "account/account.h"
#include "conversation/conversation.h"
#include "device/device.h"
#include "presence/presence.h"
#include "session/session.h"
#include "storage/sqlite_database.h"

namespace tidemark::fuzz {
namespace {

// As src/app/node.cc wires it, with the default limits that rows take from their room's options.
struct Rooms {
  Rooms() {
    sessions.add_commands(table);
    devices.add_commands(table);
    presence.add_commands(table);
    conversations.add_commands(table);
    table.freeze();
  }

  static std::unique_ptr<storage::Database> open(MetricRegistry& metrics) {
    storage::SqliteOptions options;
    options.path = ":memory:";
    auto opened = storage::open_sqlite(std::move(options), metrics);
    TIDEMARK_CHECK(opened.ok());
    return std::move(*opened);
  }
  static std::shared_ptr<const account::KeySet> keys() {
    account::KeySources sources;
    sources.hs256_secret = Secret("a secret of at least thirty-two bytes");
    auto made = account::KeySet::make(sources);
    TIDEMARK_CHECK(made.ok());
    return std::move(*made);
  }

  SystemClock clock;
  SystemRandom random;
  MetricRegistry metrics;
  std::unique_ptr<storage::Database> database = open(metrics);
  WorkerPool workers{1, clock};
  stream::Fanout fanout{workers, *database, {}, metrics};
  stream::Engine engine{fanout, *database, {}, metrics};
  account::Account account{keys(), {}, clock};
  command::RateLimiter limiter{workers, {}};
  command::Table table{limiter, clock};
  session::Sessions sessions{workers, *database, account, clock, random, {}, metrics};
  device::Devices devices{workers, *database, engine, sessions, clock, {}};
  conversation::Conversations conversations{workers, *database, engine, sessions, devices, clock, random, {}, metrics};
  presence::Presence presence{workers, sessions, clock, {}, nullptr, metrics};
};

}  // namespace

const command::Table& command_table() {
  static const Rooms* const kRooms = new Rooms();  // never destroyed: it lives as long as the process
  return kRooms->table;
}

}  // namespace tidemark::fuzz
