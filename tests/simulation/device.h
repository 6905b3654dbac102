// Device: a simulated client: it keeps what it applied, confirms it, repeats what was not answered, and is cut off.
//
// A real client on a real (local) socket: HTTP upgrade, masked frames, partial reads and writes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/json.h"
#include "gateway/frame_codec.h"
#include "history.h"
#include "world.h"

namespace tidemark::simulation {

// A message as a device shows it.
struct Shown {
  std::string from;
  std::string content;
  bool deleted = false;
  friend bool operator==(const Shown&, const Shown&) = default;
};

// What a device has of one stream.
struct View {
  std::optional<int64_t> floor;  // everything up to it is known or announced as a gap
  std::set<int64_t> beyond;      // known above the floor
  std::vector<std::pair<int64_t, int64_t>> gaps;
  std::map<int64_t, Shown> messages;
  struct Change {
    int64_t seq = 0;
    bool deleted = false;
    std::string content;
  };
  std::map<int64_t, Change> changes;  // the newest of each message; an own message may be answered after its edit came
  int64_t confirmed = 0;  // the last `ack` of this connection
  int64_t unrefused = 0;  // the same, as long as no ack was refused since
  int64_t newest = 0;     // the highest number pushed on this connection
  int64_t sure = 0;       // a cursor that the server is known to have taken, until it crashes
  int64_t sure_before = 0;  // the same when this connection began

  void know(int64_t seq);
  void show(int64_t seq, Shown message);
  void change(int64_t target, Change change);
  void add_gap(int64_t after, int64_t upto);
  bool knows(int64_t seq) const { return (floor && seq <= *floor) || beyond.contains(seq); }

 private:
  void move_on();
};

struct Trace;

class Device {
 public:
  Device(World& world, Chance& chance, Trace& trace, std::string user, std::string name, bool auto_ack);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void connect();
  void cut();          // without a word
  void say_goodbye();  // close 1000
  bool read(size_t bytes_max);  // false: nothing had come
  void write_some();

  // Durable commands; each waits for its answer, over connections and crashes.
  void message_to(const std::string& user);
  void message_in(const std::string& conversation);
  void change(const std::string& conversation);  // edits, deletes or reacts to something that it shows
  void sync();
  void repeat_unanswered(int64_t older_than_ms);
  // Not durable.
  void confirm(bool and_ask);  // acks what is known; and_ask: with a ping, whose pong makes it sure
  void mark_read(const std::string& conversation);
  void type_in(const std::string& conversation);
  void watch(const std::vector<std::string>& users);

  bool connected() const { return socket_ >= 0; }
  bool live() const { return socket_ >= 0 && welcomed_; }
  bool synced() const { return live() && synced_; }
  bool answered() const;
  size_t waiting() const;
  const std::string& user() const { return history_.user; }
  const std::string& name() const { return history_.device; }
  const std::map<std::string, View>& views() const { return views_; }
  std::vector<std::string> conversations() const;
  DeviceHistory& history() { return history_; }

  bool slow = false;           // reads little
  int64_t arrived_bytes = 0;
  int typings = 0;             // seen on this connection
  std::map<std::string, bool> online;  // by `presence` frames

 private:
  void send(const std::string& json);
  void send_command(Command command);
  void take(std::span<char> bytes);
  void handle(std::string_view payload);
  void entry(std::string_view type, simdjson::dom::object frame);
  void own(simdjson::dom::object frame);
  void error(simdjson::dom::object frame);
  void show(std::string_view type, const Sight& sight, int64_t target);
  void lost();
  View& view(const std::string& stream) { return views_[stream]; }
  std::string body_text();

  World& world_;
  Chance& chance_;
  Trace& trace_;
  DeviceHistory history_;
  const bool auto_ack_;
  std::map<std::string, View> views_;
  std::map<std::string, size_t> sent_;     // by id, the index in history_.commands
  std::set<std::string> waiting_;          // those without an answer

  int socket_ = -1;
  int connection_ = 0;
  int64_t connected_ms_ = 0;
  bool upgraded_ = false;
  bool welcomed_ = false;
  bool synced_ = false;
  std::string head_;
  std::string out_;
  std::unique_ptr<gateway::FrameDecoder> decoder_;
  simdjson::dom::parser parser_;
  struct Asked {
    std::map<std::string, int64_t> cursors;
    int incarnation;
  };
  std::vector<Asked> asked_;  // pings that wait for their pong
  int sure_incarnation_ = 0;
  int64_t next_ = 0;
};

// What goes into the fingerprint of a run, and, if wanted, to stderr.
struct Trace {
  bool print = false;
  uint64_t hash = 1469598103934665603ULL;  // FNV-1a
  std::vector<std::string> notes;

  void add(std::string_view text) {
    for (const char c : text) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
  }
  void line(const World& world, std::string_view text);
};

}  // namespace tidemark::simulation
