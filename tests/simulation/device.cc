#include "device.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>

namespace tidemark::simulation {
namespace {

using gateway::Decoded;
using gateway::Opcode;

constexpr std::string_view kEntryTypes[] = {"message",        "message_edited", "message_deleted",
                                            "reaction",       "member_added",   "member_removed",
                                            "member_role",    "conversation_updated",
                                            "conversation_deleted", "sync"};
constexpr gateway::FrameLimits kLimits{.message_bytes = 16 * 1024 * 1024, .fragments = 64, .allow_binary = false};

std::string text_of(simdjson::dom::object frame, const char* name) {
  std::string_view text;
  return frame[name].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

int64_t number_of(simdjson::dom::object frame, const char* name) {
  int64_t number = 0;
  return frame[name].get(number) == simdjson::SUCCESS ? number : 0;
}

bool truth_of(simdjson::dom::object frame, const char* name) {
  bool truth = false;
  return frame[name].get(truth) == simdjson::SUCCESS && truth;
}

}  // namespace

void View::know(int64_t seq) {
  if (!floor) {
    floor = std::min(seq, beyond.empty() ? seq : *beyond.begin()) - 1;
  }
  if (seq > *floor) {
    beyond.insert(seq);
    move_on();
  }
}

void View::add_gap(int64_t after, int64_t upto) {
  gaps.emplace_back(after, upto);
  if (!floor) {
    floor = after;
  }
  move_on();
}

void View::move_on() {
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& [after, upto] : gaps) {
      if (after <= *floor && *floor < upto) {
        floor = upto;
        moved = true;
      }
    }
    while (!beyond.empty() && *beyond.begin() <= *floor + 1) {
      floor = std::max(*floor, *beyond.begin());
      beyond.erase(beyond.begin());
      moved = true;
    }
  }
}

void View::show(int64_t seq, Shown message) {
  messages[seq] = std::move(message);
  if (const auto known = changes.find(seq); known != changes.end()) {
    change(seq, known->second);
  }
}

void View::change(int64_t target, Change one) {
  Change& latest = changes[target];
  if (one.seq >= latest.seq) {
    one.deleted = one.deleted || latest.deleted;
    latest = one;
  }
  const auto message = messages.find(target);
  if (message == messages.end()) {
    return;
  }
  if (latest.deleted || message->second.deleted) {
    message->second.deleted = true;
    message->second.content.clear();
  } else if (!latest.content.empty()) {
    message->second.content = latest.content;
  }
}

void Trace::line(const World& world, std::string_view text) {
  add(text);
  if (print) {
    std::cerr << world.now_ms() % 1'000'000'000 << ' ' << text << '\n';
  }
}

Device::Device(World& world, Chance& chance, Trace& trace, std::string user, std::string name, bool auto_ack)
    : world_(world), chance_(chance), trace_(trace), auto_ack_(auto_ack) {
  history_.user = std::move(user);
  history_.device = std::move(name);
}

Device::~Device() {
  if (socket_ >= 0) {
    ::close(socket_);
  }
}

void Device::connect() {
  if (socket_ >= 0 || !world_.running()) {
    return;
  }
  socket_ = world_.connect();
  connected_ms_ = world_.now_ms();
  ++connection_;
  upgraded_ = welcomed_ = synced_ = false;
  typings = 0;
  head_.clear();
  out_.clear();
  asked_.clear();
  online.clear();
  decoder_ = std::make_unique<gateway::FrameDecoder>(kLimits, gateway::Side::client);
  for (auto& [name, one] : views_) {
    one.confirmed = one.unrefused = 0;
    one.sure_before = one.sure;
    one.newest = 0;
  }
  out_ = "GET /api/v1/ws/connect?device_id=" + name() + (auto_ack_ ? "&ack=auto" : "") +
         " HTTP/1.1\r\nHost: simulated\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " +
         world_.token(user()) + "\r\n\r\n";
  trace_.line(world_, user() + "." + name() + " connects #" + std::to_string(connection_));
  write_some();
}

void Device::lost() {
  if (socket_ >= 0) {
    ::close(socket_);
    socket_ = -1;
    welcomed_ = synced_ = false;
  }
}

void Device::cut() {
  trace_.line(world_, user() + "." + name() + " is cut");
  lost();
}

void Device::say_goodbye() {
  if (live()) {
    gateway::append_masked_frame(out_, Opcode::close, std::string_view("\x03\xe8", 2), 7);
    write_some();
    trace_.line(world_, user() + "." + name() + " says goodbye");
  }
}

void Device::write_some() {
  while (socket_ >= 0 && !out_.empty()) {
    const ssize_t written = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written > 0) {
      out_.erase(0, static_cast<size_t>(written));
    } else if (errno != EINTR) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        out_.clear();  // what the server has said is still to be read
      }
      return;
    }
  }
}

bool Device::read(size_t bytes_max) {
  if (socket_ < 0) {
    return false;
  }
  write_some();
  std::string buffer(bytes_max, '\0');
  const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got > 0) {
    arrived_bytes += got;
    take({buffer.data(), static_cast<size_t>(got)});
    return true;
  }
  if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
    trace_.line(world_, user() + "." + name() + " was closed");
    lost();
  }
  return false;
}

void Device::take(std::span<char> bytes) {
  std::string rest;
  if (!upgraded_) {
    head_.append(bytes.data(), bytes.size());
    const size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) {
      return;
    }
    if (!head_.starts_with("HTTP/1.1 101")) {
      trace_.line(world_, user() + "." + name() + " is refused: " + head_.substr(0, head_.find('\r')));
      lost();
      return;
    }
    upgraded_ = true;
    rest = head_.substr(end + 4);
    bytes = {rest.data(), rest.size()};
  }
  while (socket_ >= 0) {
    const Decoded decoded = decoder_->next(bytes);
    switch (decoded.kind) {
      case Decoded::Kind::need_more: return;
      case Decoded::Kind::text: handle(decoded.payload); break;
      case Decoded::Kind::ping:
        gateway::append_masked_frame(out_, Opcode::pong, decoded.payload, 99);
        write_some();
        break;
      case Decoded::Kind::close:
        trace_.line(world_, user() + "." + name() + " gets close " + std::to_string(static_cast<int>(decoded.code)));
        lost();
        break;
      case Decoded::Kind::violation:
        trace_.notes.push_back("frame: " + std::string(decoded.why));
        lost();
        break;
      default: break;
    }
  }
}

void Device::handle(std::string_view payload) {
  trace_.line(world_, user() + "." + name() + " < " + std::string(payload.substr(0, 240)));
  simdjson::dom::object frame;
  if (parser_.parse(payload.data(), payload.size()).get(frame) != simdjson::SUCCESS) {
    trace_.notes.push_back("no JSON object: " + std::string(payload));
    return;
  }
  const std::string type = text_of(frame, "type");
  if (type == "welcome") {
    welcomed_ = true;
    history_.sights.push_back({.kind = Sight::Kind::opened, .at_ms = connected_ms_, .connection = connection_});
    repeat_unanswered(0);
  } else if (type == "synced") {
    synced_ = true;
    history_.sights.push_back({.kind = Sight::Kind::synced, .at_ms = world_.now_ms(), .connection = connection_});
  } else if (type == "sent") {
    own(frame);
  } else if (type == "error") {
    error(frame);
  } else if (type == "gap") {
    Sight gap{.kind = Sight::Kind::gap, .at_ms = world_.now_ms(), .connection = connection_};
    gap.stream = text_of(frame, "conversation_id");
    gap.after = number_of(frame, "after_seq");
    gap.seq = number_of(frame, "next_seq") - 1;
    view(gap.stream).add_gap(gap.after, gap.seq);
    view(gap.stream).newest = std::max(view(gap.stream).newest, gap.seq);
    history_.sights.push_back(std::move(gap));
  } else if (type == "typing") {
    ++typings;
  } else if (type == "presence") {
    online[text_of(frame, "user_id")] = truth_of(frame, "online");
  } else if (type == "pong" && !asked_.empty()) {
    const Asked asked = std::move(asked_.front());
    asked_.erase(asked_.begin());
    if (asked.incarnation == world_.incarnation()) {
      if (sure_incarnation_ != asked.incarnation) {
        for (auto& [name, one] : views_) {
          one.sure = one.sure_before = 0;
        }
        sure_incarnation_ = asked.incarnation;
      }
      for (const auto& [stream, seq] : asked.cursors) {
        view(stream).sure = std::max(view(stream).sure, seq);
      }
    }
  } else if (std::find(std::begin(kEntryTypes), std::end(kEntryTypes), type) != std::end(kEntryTypes)) {
    entry(type, frame);
  }
}

void Device::entry(std::string_view type, simdjson::dom::object frame) {
  Sight sight{.kind = Sight::Kind::entry, .at_ms = world_.now_ms(), .connection = connection_};
  sight.stream = type == "sync" ? "@self" : text_of(frame, "conversation_id");
  sight.seq = number_of(frame, "seq");
  sight.type = type;
  sight.from = text_of(frame, "from");
  sight.content = text_of(frame, "content");
  sight.deleted = truth_of(frame, "deleted");
  View& one = view(sight.stream);
  // What is confirmed on this connection, ahead of a replay that is under way, may still come.
  sight.confirmed = sure_incarnation_ == world_.incarnation() ? one.sure_before : 0;
  show(type, sight, number_of(frame, "target_seq"));
  one.newest = std::max(one.newest, sight.seq);
  one.know(sight.seq);
  history_.sights.push_back(std::move(sight));
}

void Device::show(std::string_view type, const Sight& sight, int64_t target) {
  View& one = view(sight.stream);
  if (one.knows(sight.seq)) {
    return;
  }
  if (type == "message") {
    one.show(sight.seq, {sight.from, sight.content, sight.deleted});
  } else if (type == "message_edited" || type == "message_deleted") {
    one.change(target, {sight.seq, type == "message_deleted", sight.content});
  }
}

void Device::own(simdjson::dom::object frame) {
  const std::string id = text_of(frame, "id");
  const auto found = sent_.find(id);
  if (found == sent_.end()) {
    trace_.notes.push_back(user() + "." + name() + ": an answer to nothing: " + id);
    return;
  }
  Command& command = history_.commands[found->second];
  waiting_.erase(id);
  if (command.state == Command::State::acknowledged) {  // it was repeated while its answer was on the way
    if (command.seq != number_of(frame, "seq")) {
      trace_.notes.push_back("I2 " + user() + "." + name() + ": " + id + " was answered as " +
                             std::to_string(command.seq) + " and as " + std::to_string(number_of(frame, "seq")));
    }
    return;
  }
  command.state = Command::State::acknowledged;  // also after a refusal, of the one that was sent before it could be done
  command.stream = text_of(frame, "conversation_id");
  command.seq = number_of(frame, "seq");
  Sight sight{.kind = Sight::Kind::own, .at_ms = world_.now_ms(), .connection = connection_};
  sight.stream = command.stream;
  sight.seq = command.seq;
  sight.client_id = id;
  sight.duplicate = truth_of(frame, "duplicate");
  View& one = view(command.stream);
  if (!one.knows(command.seq)) {
    if (command.type == "message") {
      one.show(command.seq, {user(), command.content, false});
    } else if (command.type == "edit" || command.type == "delete") {
      one.change(command.target, {command.seq, command.type == "delete", command.content});
    }
    one.beyond.insert(command.seq);
    if (one.floor) {
      one.know(command.seq);
    }
  }
  history_.sights.push_back(std::move(sight));
}

void Device::error(simdjson::dom::object frame) {
  const std::string code = text_of(frame, "code");
  const auto found = waiting_.find(text_of(frame, "id"));
  if (found == waiting_.end()) {
    if (!text_of(frame, "id").empty()) {
      return;  // it was repeated, and what it was about has changed since
    }
    if (code == "not_found") {
      for (Asked& one : asked_) {
        one.cursors.clear();  // an ack before them may be the one that was refused
      }
      for (auto& [stream, one] : views_) {
        one.unrefused = 0;
      }
    }
    if (code == "invalid_field" || code == "internal" || code == "invalid_frame" || code == "missing_field") {
      trace_.notes.push_back(user() + "." + name() + ": I4 an honest command was refused: " + code + " " +
                             text_of(frame, "error"));
    }
    return;
  }
  if (code == "unavailable" || code == "rate_limited") {
    return;  // it is repeated
  }
  Command& command = history_.commands[sent_[*found]];
  command.state = Command::State::refused;
  command.refused_at_first = command.tries == 1;
  waiting_.erase(found);
}

void Device::send(const std::string& json) {
  trace_.line(world_, user() + "." + name() + " > " + json.substr(0, 240));
  gateway::append_masked_frame(out_, Opcode::text, json, 0x01020304);
  write_some();
}

void Device::send_command(Command command) {
  if (!live()) {
    return;
  }
  command.order = ++next_;
  command.first_connection = command.last_connection = connection_;
  command.sent_ms = world_.now_ms();
  command.tries = 1;
  sent_[command.id] = history_.commands.size();
  waiting_.insert(command.id);
  send(command.json);
  history_.commands.push_back(std::move(command));
}

void Device::repeat_unanswered(int64_t older_than_ms) {
  if (!live()) {
    return;
  }
  for (Command& command : history_.commands) {
    if (command.state == Command::State::waiting &&
        (command.last_connection != connection_ || (older_than_ms > 0 && world_.now_ms() - command.sent_ms > older_than_ms))) {
      ++command.tries;
      command.last_connection = connection_;
      command.sent_ms = world_.now_ms();
      send(command.json);
    }
  }
}

std::string Device::body_text() {
  std::string text = user() + "." + name() + " says " + std::to_string(next_ + 1);
  if (chance_.one_in(8)) {
    text.append(chance_.below(3000), 'x');
  }
  return text;
}

void Device::message_to(const std::string& to) {
  Command command;
  command.id = name() + "-" + std::to_string(next_ + 1);
  command.type = "message";
  command.content = body_text();
  JsonWriter(command.json)
      .begin()
      .field("type", "message")
      .field("id", command.id)
      .field("to", to)
      .field("content", command.content)
      .end();
  send_command(std::move(command));
}

void Device::message_in(const std::string& conversation) {
  Command command;
  command.id = name() + "-" + std::to_string(next_ + 1);
  command.type = "message";
  command.stream = conversation;
  command.content = body_text();
  JsonWriter(command.json)
      .begin()
      .field("type", "message")
      .field("id", command.id)
      .field("conversation_id", conversation)
      .field("content", command.content)
      .end();
  send_command(std::move(command));
}

void Device::change(const std::string& conversation) {
  const auto found = views_.find(conversation);
  if (found == views_.end() || found->second.messages.empty()) {
    return;
  }
  auto at = found->second.messages.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(chance_.below(found->second.messages.size())));
  Command command;
  command.id = name() + "-" + std::to_string(next_ + 1);
  command.stream = conversation;
  command.target = at->first;
  const bool mine = at->second.from == user();
  const uint64_t which = chance_.below(10);
  command.type = which < 6 && mine ? "edit" : which < 8 && mine ? "delete" : "react";
  JsonWriter json(command.json);
  json.begin()
      .field("type", command.type)
      .field("id", command.id)
      .field("conversation_id", conversation)
      .field("seq", command.target);
  if (command.type == "edit") {
    command.content = body_text() + " (edited)";
    json.field("content", command.content);
  } else if (command.type == "react") {
    json.field("reaction", chance_.one_in(2) ? "+1" : "tide");
  }
  json.end();
  send_command(std::move(command));
}

void Device::sync() {
  Command command;
  command.id = name() + "-" + std::to_string(next_ + 1);
  command.type = "sync";
  command.stream = "@self";
  command.content = "e" + std::to_string(next_ + 1);
  JsonWriter(command.json)
      .begin()
      .field("type", "sync")
      .field("id", command.id)
      .field("event", command.content)
      .raw("data", "{\"by\":\"" + name() + "\"}")
      .end();
  send_command(std::move(command));
}

void Device::confirm(bool and_ask) {
  if (!live()) {
    return;
  }
  Asked asked{{}, world_.incarnation()};
  for (auto& [stream, one] : views_) {
    // One frame for each, so that a stream that is not followed any more harms no other. Only what came on this
    // connection as well: else it may not follow it yet.
    if (!auto_ack_ && one.floor && one.newest > 0 && *one.floor > one.confirmed) {
      one.confirmed = one.unrefused = *one.floor;
      std::string json;
      JsonWriter(json)
          .begin()
          .field("type", "ack")
          .raw("cursors", "{\"" + stream + "\":" + std::to_string(*one.floor) + "}")
          .end();
      send(json);
    }
    if (one.unrefused > 0) {
      asked.cursors[stream] = one.unrefused;
    }
  }
  if (and_ask) {
    asked_.push_back(std::move(asked));
    send("{\"type\":\"ping\"}");
  }
}

void Device::mark_read(const std::string& conversation) {
  const auto found = views_.find(conversation);
  if (found != views_.end() && found->second.floor && *found->second.floor > 0) {
    std::string json;
    JsonWriter(json)
        .begin()
        .field("type", "read")
        .field("conversation_id", conversation)
        .field("seq", *found->second.floor)
        .end();
    send(json);
  }
}

void Device::type_in(const std::string& conversation) {
  std::string json;
  JsonWriter(json).begin().field("type", "typing").field("conversation_id", conversation).field("is_typing", true).end();
  send(json);
}

void Device::watch(const std::vector<std::string>& users) {
  std::string json = "{\"type\":\"watch\",\"users\":[";
  for (size_t i = 0; i < users.size(); ++i) {
    json += (i > 0 ? ",\"" : "\"") + users[i] + "\"";
  }
  send(json + "]}");
}

bool Device::answered() const { return waiting_.empty(); }

size_t Device::waiting() const { return waiting_.size(); }

std::vector<std::string> Device::conversations() const {
  std::vector<std::string> names;
  for (const auto& [name, one] : views_) {
    if (name != "@self") {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace tidemark::simulation
