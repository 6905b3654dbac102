// History: what clients did and saw, in the order of the simulated time. The checks read it after the run.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tidemark::simulation {

// A durable command of a device, from its first sending to its answer.
struct Command {
  std::string id;
  std::string type;    // message, edit, delete, react, sync
  std::string json;    // as it is sent, every time
  std::string stream;  // the conversation it names; empty for a first direct message, known from its answer
  std::string content;
  int64_t target = 0;  // edit, delete, react: the message
  int first_connection = 0;
  int64_t order = 0;  // grows with every command of the device
  int tries = 0;
  int last_connection = 0;
  int64_t sent_ms = 0;  // the last try
  enum class State { waiting, acknowledged, refused } state = State::waiting;
  bool refused_at_first = false;
  int64_t seq = 0;
};

// An entry, a gap or the opening of a connection, as a device saw it.
struct Sight {
  enum class Kind { opened, synced, entry, gap, own } kind;
  int64_t at_ms = 0;
  int connection = 0;
  std::string stream;
  int64_t seq = 0;    // gap: the first one that comes again, minus 1
  int64_t after = 0;  // gap: the last one before it. opened: none
  std::string type;
  std::string from;
  std::string content;
  std::string client_id;  // own: of the command that was answered
  bool deleted = false;
  bool duplicate = false;  // own: the answer said so
  int64_t confirmed = 0;   // entry: what the server is known to have had as this device's cursor
};

struct DeviceHistory {
  std::string user;
  std::string device;
  bool fresh = false;  // joined at the end, to compare
  std::vector<Command> commands;
  std::vector<Sight> sights;
};

// Membership that was changed over REST and answered.
struct MemberChange {
  std::string stream;
  std::string user;
  bool removed = false;
  int64_t asked_ms = 0;
  int64_t answered_ms = 0;  // 0: never answered
  bool ok = false;
};

struct History {
  std::vector<const DeviceHistory*> devices;
  std::vector<MemberChange> changes;
  std::vector<std::string> notes;  // violations that were seen on the way
};

// The store after the end.
struct LogEntry {
  int64_t seq = 0;
  int kind = 0;
  std::string author;
  std::string client_id;
  std::string content;
  std::string body;
};
struct LogStream {
  std::string name;   // the conversation; of a user's own stream "@self/USER"
  std::string owner;  // own stream: the user
  bool group = false;
  bool deleted = false;
  std::string created_by;
  std::set<std::string> members;
  int64_t head = 0;
  std::vector<LogEntry> entries;
};
using Log = std::map<std::string, LogStream>;

Log read_log(const std::string& database);

// Every broken promise, in words; empty: none.
std::vector<std::string> violations(const History& history, const Log& log);

}  // namespace tidemark::simulation
