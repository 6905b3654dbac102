// The promises of docs/protocol.md over a history, numbered as in docs/reliability.md.
#include <sqlite3.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "core/json.h"
#include "core/result.h"
#include "history.h"

namespace tidemark::simulation {
namespace {

// src/conversation/model.h, EntryKind; stored for ever.
constexpr const char* kKinds[] = {"message",        "message_edited",       "message_deleted",
                                  "reaction",       "member_added",         "member_removed",
                                  "member_role",    "conversation_updated", "conversation_deleted"};
constexpr int kMemberAdded = 4;
constexpr int kMemberRemoved = 5;

using Query = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

std::string text_at(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return text == nullptr ? std::string() : std::string(text, static_cast<size_t>(sqlite3_column_bytes(row, column)));
}

template <class F>
void each_row(sqlite3* database, const char* sql, F row_of) {
  sqlite3_stmt* statement = nullptr;
  TIDEMARK_CHECK(sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) == SQLITE_OK);
  const Query owned(statement, &sqlite3_finalize);
  while (sqlite3_step(statement) == SQLITE_ROW) {
    row_of(statement);
  }
}

std::string member_of(const LogEntry& entry) {
  simdjson::dom::parser parser;
  std::string_view user;
  const std::string json = "{" + entry.body + "}";
  return parser.parse(json)["user_id"].get(user) == simdjson::SUCCESS ? std::string(user) : std::string();
}

// From the entry that let the user in (0: from the beginning) up to, not including, the one that put it out.
struct Stay {
  int64_t from = 0;
  int64_t until = INT64_MAX;
};
using Stays = std::map<std::string, std::vector<Stay>>;  // by user

Stays stays_in(const LogStream& stream) {
  Stays stays;
  if (!stream.owner.empty()) {
    stays[stream.owner].push_back({});
    return stays;
  }
  if (!stream.group) {
    for (const std::string& user : stream.members) {
      stays[user].push_back({});
    }
    return stays;
  }
  stays[stream.created_by].push_back({});
  for (const LogEntry& entry : stream.entries) {
    if (entry.kind == kMemberAdded) {
      stays[member_of(entry)].push_back({entry.seq, INT64_MAX});
    } else if (entry.kind == kMemberRemoved) {
      auto& all = stays[member_of(entry)];
      if (!all.empty()) {
        all.back().until = entry.seq;
      }
    }
  }
  return stays;
}

class Checker {
 public:
  Checker(const History& history, const Log& log) : history_(history), log_(log) {}

  std::vector<std::string> run() {
    found_ = history_.notes;
    for (const auto& [name, stream] : log_) {
      stays_[name] = stays_in(stream);
      check_numbers(stream);
    }
    for (const DeviceHistory* const device : history_.devices) {
      note_versions(*device);
    }
    for (const DeviceHistory* const device : history_.devices) {
      check_commands(*device);
      check_order_of_sends(*device);
      check_sights(*device);
      check_complete(*device);
    }
    return std::move(found_);
  }

 private:
  void complain(std::string text) {
    if (found_.size() < 20) {
      found_.push_back(std::move(text));
    }
  }
  static std::string who(const DeviceHistory& device) { return device.user + "." + device.device; }
  static std::string where(const std::string& stream, int64_t seq) { return stream + " " + std::to_string(seq); }

  static std::string full_name(const DeviceHistory& device, const std::string& stream) {
    return stream == "@self" ? "@self/" + device.user : stream;
  }
  const LogStream* stream_of(const DeviceHistory& device, const std::string& stream) const {
    const auto found = log_.find(full_name(device, stream));
    return found == log_.end() ? nullptr : &found->second;
  }
  static const LogEntry* entry_of(const LogStream& stream, int64_t seq) {
    return seq >= 1 && seq <= static_cast<int64_t>(stream.entries.size()) ? &stream.entries[static_cast<size_t>(seq - 1)]
                                                                           : nullptr;
  }

  void check_numbers(const LogStream& stream) {
    std::set<std::pair<std::string, std::string>> ids;
    for (size_t i = 0; i < stream.entries.size(); ++i) {
      const LogEntry& entry = stream.entries[i];
      if (entry.seq != static_cast<int64_t>(i) + 1) {
        return complain("I3 the log has a hole before " + where(stream.name, entry.seq));
      }
      if (!entry.client_id.empty() && !ids.emplace(entry.author, entry.client_id).second) {
        complain("I2 one id, two entries: " + where(stream.name, entry.seq) + " " + entry.client_id);
      }
    }
    if (stream.head != static_cast<int64_t>(stream.entries.size())) {
      complain("I3 the head of " + stream.name + " is " + std::to_string(stream.head));
    }
  }

  // What a message may be shown as: what was sent, and every edit of it.
  void note_versions(const DeviceHistory& device) {
    for (const Command& command : device.commands) {
      sent_[{device.user, command.id}] = &command;
      if (command.type == "edit") {
        versions_[{command.stream, command.target}].insert(command.content);
      }
    }
  }

  void check_commands(const DeviceHistory& device) {
    for (const Command& command : device.commands) {
      if (command.state == Command::State::acknowledged) {
        const LogStream* const stream = stream_of(device, command.stream);
        const LogEntry* const entry = stream == nullptr ? nullptr : entry_of(*stream, command.seq);
        if (entry == nullptr) {
          complain("I1 acknowledged and lost: " + who(device) + " " + command.id + " as " +
                   where(command.stream, command.seq));
        } else if (entry->author != device.user || entry->client_id != command.id) {
          complain("I1 acknowledged, but somebody else's: " + who(device) + " " + command.id + " as " +
                   where(command.stream, command.seq));
        }
      } else if (command.state == Command::State::refused && command.refused_at_first) {
        for (const auto& [name, stream] : log_) {
          for (const LogEntry& entry : stream.entries) {
            if (entry.author == device.user && entry.client_id == command.id) {
              complain("I1 refused and stored: " + who(device) + " " + command.id + " as " + where(name, entry.seq));
            }
          }
        }
      } else if (command.state == Command::State::waiting && !device.fresh) {
        complain("I7 never answered: " + who(device) + " " + command.id);
      }
    }
  }

  void check_order_of_sends(const DeviceHistory& device) {
    std::map<std::pair<int, std::string>, const Command*> last;
    for (const Command& command : device.commands) {
      if (command.state != Command::State::acknowledged || command.tries != 1) {
        continue;
      }
      const Command*& before = last[{command.first_connection, command.stream}];
      if (before != nullptr && before->seq >= command.seq) {
        complain("I3 sent later, numbered lower: " + who(device) + " " + command.id + " as " +
                 where(command.stream, command.seq) + " after " + before->id + " as " + std::to_string(before->seq));
      }
      before = &command;
    }
  }

  void check_sights(const DeviceHistory& device) {
    std::map<std::string, int64_t> newest;  // on this connection
    std::set<std::pair<std::string, int64_t>> own;
    int connection = 0;
    int64_t opened_ms = 0;
    bool synced = false;
    for (const Sight& sight : device.sights) {
      if (sight.connection != connection) {
        connection = sight.connection;
        opened_ms = sight.at_ms;
        newest.clear();
        own.clear();
        synced = false;
      }
      synced = synced || sight.kind == Sight::Kind::synced;
      if (sight.kind == Sight::Kind::own) {
        // A replay holds what this device sent as well, and so does what a connection gets that was answered before it
        // was told to follow the conversation. One that had everything before the entry gets it in no other way.
        const int64_t last = newest[sight.stream];
        if (synced && ((last > 0 && last == sight.seq - 1) || own.contains({sight.stream, sight.seq - 1}))) {
          own.emplace(sight.stream, sight.seq);
        }
      } else if (sight.kind == Sight::Kind::gap) {
        newest[sight.stream] = std::max(newest[sight.stream], sight.seq);
      } else if (sight.kind == Sight::Kind::entry) {
        const std::string at = who(device) + " #" + std::to_string(connection) + ": " + where(sight.stream, sight.seq);
        if (int64_t& last = newest[sight.stream]; sight.seq <= last) {
          complain((sight.seq == last ? "I2 twice on one connection: " : "I3 out of order: ") + at + " after " +
                   std::to_string(last));
        } else {
          last = sight.seq;
        }
        if (own.contains({sight.stream, sight.seq})) {
          complain("I2 answered and pushed as well: " + at);
        }
        if (sight.seq <= sight.confirmed) {
          complain("I4 comes again, although " + std::to_string(sight.confirmed) + " was confirmed: " + at);
        }
        check_entry(device, sight, at);
        check_not_removed(device, sight, opened_ms, at);
      }
    }
  }

  void check_entry(const DeviceHistory& device, const Sight& sight, const std::string& at) {
    const LogStream* const stream = stream_of(device, sight.stream);
    const LogEntry* const entry = stream == nullptr ? nullptr : entry_of(*stream, sight.seq);
    if (entry == nullptr) {
      return complain("I1 delivered, but not stored: " + at);
    }
    const auto& stays = stays_[full_name(device, sight.stream)];
    const auto mine = stays.find(device.user);
    const bool inside = mine != stays.end() && std::any_of(mine->second.begin(), mine->second.end(), [&](const Stay& stay) {
                          return stay.from <= sight.seq && sight.seq < stay.until;
                        });
    if (!inside) {
      complain("I10 not a member there: " + at);
    }
    if (!stream->owner.empty()) {
      if (sight.type != "sync") {
        complain("I3 not what is stored: " + at);
      }
      return;
    }
    if (entry->kind < 0 || entry->kind > 8 || sight.type != kKinds[entry->kind] || sight.from != entry->author) {
      return complain("I3 not what is stored: " + at + " " + sight.type + " from " + sight.from);
    }
    if (sight.type == "message" && !sight.deleted) {
      const auto sent = sent_.find({entry->author, entry->client_id});
      const auto versions = versions_.find({sight.stream, sight.seq});
      const bool first = sent != sent_.end() && sent->second->content == sight.content;
      const bool edited = versions != versions_.end() && versions->second.contains(sight.content);
      if (!first && !edited) {
        complain("I3 another text: " + at + " " + sight.content.substr(0, 60));
      }
    }
  }

  // On a connection that was opened after the removal was answered nothing of the conversation comes, whatever its
  // number is, unless somebody let the user in again.
  void check_not_removed(const DeviceHistory& device, const Sight& sight, int64_t opened_ms, const std::string& at) {
    const auto about = [&](const MemberChange& change) {
      return change.stream == sight.stream && change.user == device.user && change.asked_ms <= sight.at_ms;
    };
    for (const MemberChange& removal : history_.changes) {
      if (!about(removal) || !removal.removed || !removal.ok || removal.answered_ms >= opened_ms) {
        continue;
      }
      // Calls that were under way together may have been done in either order.
      const bool perhaps_back = std::any_of(history_.changes.begin(), history_.changes.end(), [&](const auto& change) {
        return about(change) && !change.removed && (change.answered_ms == 0 || change.answered_ms >= removal.asked_ms);
      });
      if (!perhaps_back) {
        return complain("I10 removed before it connected: " + at);
      }
    }
  }

  // After the calm end a device knows everything of what it is still in, or was told of a gap.
  void check_complete(const DeviceHistory& device) {
    std::map<std::string, std::set<int64_t>> known;
    std::map<std::string, std::vector<std::pair<int64_t, int64_t>>> gaps;
    for (const Sight& sight : device.sights) {
      if (sight.kind == Sight::Kind::gap) {
        gaps[sight.stream].emplace_back(sight.after, sight.seq);
      } else if (sight.kind == Sight::Kind::entry || sight.kind == Sight::Kind::own) {
        known[sight.stream].insert(sight.seq);
      }
    }
    for (const auto& [name, stream] : log_) {
      const auto mine = stays_[name].find(device.user);
      if (mine == stays_[name].end() || mine->second.back().until != INT64_MAX || stream.deleted) {
        continue;
      }
      const std::string called = stream.owner.empty() ? name : "@self";
      for (int64_t seq = std::max<int64_t>(mine->second.back().from, 1); seq <= stream.head; ++seq) {
        const auto& left_out = gaps[called];
        const bool skipped = std::any_of(left_out.begin(), left_out.end(), [seq](const auto& gap) {
          return gap.first < seq && seq <= gap.second;
        });
        if (!skipped && !known[called].contains(seq)) {
          complain("I4 never came and no gap said so: " + who(device) + ": " + where(called, seq) + " of " +
                   std::to_string(stream.head));
          break;
        }
      }
    }
  }

  const History& history_;
  const Log& log_;
  std::map<std::string, Stays> stays_;
  std::map<std::pair<std::string, std::string>, const Command*> sent_;                // by user and id
  std::map<std::pair<std::string, int64_t>, std::set<std::string>> versions_;  // by stream and message
  std::vector<std::string> found_;
};

}  // namespace

Log read_log(const std::string& database) {
  sqlite3* opened = nullptr;
  TIDEMARK_CHECK(sqlite3_open_v2(database.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> owned(opened, &sqlite3_close);
  std::map<int64_t, LogStream> streams;
  each_row(opened, "SELECT id, kind, name, head FROM streams", [&](sqlite3_stmt* row) {
    LogStream& stream = streams[sqlite3_column_int64(row, 0)];
    stream.name = text_at(row, 2);
    stream.head = sqlite3_column_int64(row, 3);
    if (sqlite3_column_int(row, 1) == 2) {  // stream::StreamKind::self
      stream.owner = stream.name;
      stream.name = "@self/" + stream.name;
    }
  });
  each_row(opened, "SELECT stream, kind, created_by, deleted FROM conversations", [&](sqlite3_stmt* row) {
    LogStream& stream = streams[sqlite3_column_int64(row, 0)];
    stream.group = sqlite3_column_int(row, 1) == 1;
    stream.created_by = text_at(row, 2);
    stream.deleted = sqlite3_column_int(row, 3) != 0;
  });
  each_row(opened, "SELECT stream, user_id FROM members", [&](sqlite3_stmt* row) {
    streams[sqlite3_column_int64(row, 0)].members.insert(text_at(row, 1));
  });
  each_row(opened, "SELECT stream, seq, kind, author, client_id, content, body FROM entries ORDER BY stream, seq",
           [&](sqlite3_stmt* row) {
             LogEntry entry;
             entry.seq = sqlite3_column_int64(row, 1);
             entry.kind = sqlite3_column_int(row, 2);
             entry.author = text_at(row, 3);
             entry.client_id = text_at(row, 4);
             entry.content = text_at(row, 5);
             entry.body = text_at(row, 6);
             streams[sqlite3_column_int64(row, 0)].entries.push_back(std::move(entry));
           });
  Log log;
  for (auto& [id, stream] : streams) {
    log[stream.name] = std::move(stream);
  }
  return log;
}

std::vector<std::string> violations(const History& history, const Log& log) { return Checker(history, log).run(); }

}  // namespace tidemark::simulation
