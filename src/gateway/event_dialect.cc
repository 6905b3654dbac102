#include "gateway/event_dialect.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "core/json.h"

namespace tidemark::gateway::events {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;
using std::string_view;

constexpr size_t kFileIdBytesMax = 1024;

// Members that hold an id, in either direction: a number of a client is read as text, and text that is a number goes
// back as one.
constexpr string_view kIds[] = {"id",        "user_id",         "to",        "from",     "receiver_id", "sender_id",
                                "group_id",  "conversation_id", "device_id", "file_id",  "session_id"};
bool is_id(string_view name) { return std::find(std::begin(kIds), std::end(kIds), name) != std::end(kIds); }

// As a number only what a number can say exactly: "007" is another id than "7", and past 64 bits there is no number.
bool is_number(string_view text) {
  if (text.empty() || text.size() > 20 || (text.size() > 1 && text.front() == '0')) {
    return false;
  }
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size();
}

std::optional<std::string> number_as_text(element value) {
  if (value.type() == element_type::INT64) {
    const int64_t number = value.get_int64().value_unsafe();
    return number >= 0 ? std::optional(std::to_string(number)) : std::nullopt;
  }
  return value.type() == element_type::UINT64 ? std::optional(std::to_string(value.get_uint64().value_unsafe()))
                                              : std::nullopt;
}

void write_id(JsonWriter& writer, string_view name, string_view id) {
  if (is_number(id)) {
    writer.raw(name, id);
  } else {
    writer.field(name, id);
  }
}

string_view text_of(object of, string_view name) {
  string_view text;
  return of[name].get(text) == simdjson::SUCCESS ? text : string_view();
}

// A member of a native frame under another name or the same.
void copy_member(JsonWriter& writer, object from, string_view name, string_view as) {
  element value;
  if (from[name].get(value) == simdjson::SUCCESS) {
    writer.raw(as, to_json(value));
  }
}

void write_message(JsonWriter& data, object message, string_view receiver) {
  write_id(data, "id", text_of(message, "message_id"));
  write_id(data, "sender_id", text_of(message, "from"));
  if (receiver.empty()) {
    write_id(data, "group_id", text_of(message, "conversation_id"));
  } else {
    write_id(data, "receiver_id", receiver);
  }
  copy_member(data, message, "content", "content");
  copy_member(data, message, "content_type", "type");
  object more;
  if (message["data"].get(more) == simdjson::SUCCESS) {
    const string_view file = text_of(more, "file_id");
    if (!file.empty()) {
      write_id(data, "file_id", file);
    }
    if (file.empty() || more.size() > 1) {
      copy_member(data, message, "data", "data");
    }
  }
  for (const string_view name : {"reply_to", "edited_at", "deleted", "reactions"}) {
    copy_member(data, message, name, name);
  }
  write_id(data, "conversation_id", text_of(message, "conversation_id"));
  copy_member(data, message, "seq", "seq");
  copy_member(data, message, "timestamp", "timestamp");
}

void write_rest(JsonWriter& data, object frame) {
  for (const auto& [name, value] : frame) {
    if (name == "type") {
      continue;
    }
    std::string key;  // a name of our own, or of a client's: `sync` has those in its data only
    append_json_string(key, name);
    string_view text;
    const bool number = is_id(name) && value.get(text) == simdjson::SUCCESS && is_number(text);
    data.members(key + ":" + (number ? std::string(text) : to_json(value)));
  }
}

std::string wrapped(string_view event, string_view data) {
  std::string json;
  json.reserve(data.size() + event.size() + 24);
  JsonWriter(json).begin().field("event", event).raw("data", data).end();
  return json;
}

// A field of an event and the native field that it becomes.
struct Renamed {
  string_view field;
  string_view native;
};
struct Event {
  string_view name;
  string_view type;
  std::span<const Renamed> fields;
  string_view target;  // the field that says to whom
  bool sends;
};
constexpr Renamed kPrivate[] = {
    {"id", "id"}, {"receiver_id", "to"}, {"content", "content"}, {"type", "content_type"}, {"reply_to", "reply_to"}};
constexpr Renamed kGroup[] = {{"id", "id"},
                              {"group_id", "conversation_id"},
                              {"content", "content"},
                              {"type", "content_type"},
                              {"reply_to", "reply_to"}};
constexpr Renamed kTyping[] = {{"receiver_id", "to"},
                               {"conversation_id", "conversation_id"},
                               {"group_id", "conversation_id"},
                               {"is_typing", "is_typing"}};
constexpr Event kEvents[] = {{"send_private_message", "message", kPrivate, "receiver_id", true},
                             {"send_group_message", "message", kGroup, "group_id", true},
                             {"user_typing", "typing", kTyping, {}, false}};

const Event* event_named(string_view name) {
  const auto* const found =
      std::find_if(std::begin(kEvents), std::end(kEvents), [name](const Event& event) { return event.name == name; });
  return found == std::end(kEvents) ? nullptr : found;
}

// Null for a field that the event does not have.
const Renamed* renamed_field(const Event& event, string_view field) {
  const auto found = std::find_if(event.fields.begin(), event.fields.end(),
                                  [field](const Renamed& one) { return one.field == field; });
  return found == event.fields.end() ? nullptr : &*found;
}

std::string as_native_value(string_view name, element value) {
  if (is_id(name)) {
    if (const auto number = number_as_text(value)) {
      return '"' + *number + '"';
    }
  }
  simdjson::dom::array list;
  if (name != "users" || value.get(list) != simdjson::SUCCESS) {
    return to_json(value);
  }
  std::string ids = "[";
  for (const element one : list) {
    ids += ids.size() > 1 ? "," : "";
    const auto number = number_as_text(one);
    ids += number ? '"' + *number + '"' : to_json(one);
  }
  return ids + "]";
}

// The id of a file as `data` of the native message has it.
Result<std::string> file_data(element value) {
  std::string id;
  string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    id = text;
  } else if (const auto number = number_as_text(value)) {
    id = *number;
  } else {
    return invalid_field("file_id", "a string or a whole number is expected");
  }
  if (id.empty() || id.size() > kFileIdBytesMax) {
    return invalid_field("file_id", "must have 1 to " + std::to_string(kFileIdBytesMax) + " bytes");
  }
  std::string json;
  JsonWriter(json).begin().field("file_id", id).end();
  return json;
}

// Members that `message_sent` says itself.
bool is_told(string_view name) {
  return name == "conversation_id" || name == "message_id" || name == "seq" || name == "timestamp" ||
         name == "duplicate";
}

Result<Command> renamed(const Event& event, object data) {
  Command command;
  command.said.event = event.name;
  JsonWriter native(command.native);
  JsonWriter echo(command.said.echo);
  native.begin().field("type", event.type);
  bool has_target = event.target.empty();
  bool has_typing = false;
  bool has_file = false;
  for (const auto& [name, value] : data) {
    if (event.sends && !is_told(name)) {
      std::string key;
      append_json_string(key, name);
      echo.members(key + ":" + to_json(value));
      command.said.has_id = command.said.has_id || name == "id";
    }
    if (event.sends && name == "file_id") {
      const auto file = file_data(value);
      if (!file.ok()) {
        return file.error();
      }
      if (std::exchange(has_file, true)) {
        return invalid_field("file_id", "given twice");
      }
      native.raw("data", *file);
    } else if (const Renamed* const field = renamed_field(event, name)) {
      native.raw(field->native, as_native_value(name, value));
      command.said.fields.emplace_back(field->field, field->native);
      has_target = has_target || (name == event.target && !value.is_null());
      has_typing = has_typing || field->native == "is_typing";
    }
  }
  if (!has_target) {
    return Error{Code::missing_field, "required", std::string(event.target), 0};
  }
  if (event.type == "typing" && !has_typing) {
    native.field("is_typing", true);
  }
  native.end();
  return command;
}

// Every native command is an event too: its fields are the data.
Command as_it_is(string_view type, object data) {
  Command command;
  JsonWriter native(command.native);
  native.begin().field("type", type);
  for (const auto& [name, value] : data) {
    if (name != "type") {
      std::string key;
      append_json_string(key, name);
      native.members(key + ":" + as_native_value(name, value));
    }
  }
  native.end();
  return command;
}

}  // namespace

std::string from_native(string_view frame, string_view aside) {
  thread_local simdjson::dom::parser parser;
  object native;
  const bool parsed = parser.parse(frame.data(), frame.size()).get(native) == simdjson::SUCCESS;
  TIDEMARK_CHECK(parsed);
  const string_view type = text_of(native, "type");
  string_view event = type;
  std::string data;
  JsonWriter writer(data);
  writer.begin();
  if (type == "message") {
    event = aside.empty() ? "group_message" : "private_message";
    write_message(writer, native, aside);
  } else if (type == "presence") {
    event = "user_online_status";
    write_id(writer, "user_id", text_of(native, "user_id"));
    copy_member(writer, native, "online", "is_online");
  } else {
    event = type == "typing" ? string_view("user_typing") : type;
    write_rest(writer, native);
  }
  writer.end();
  return wrapped(event, data);
}

Result<Command> to_native(object frame) {
  element named;
  if (frame["event"].get(named) != simdjson::SUCCESS || named.is_null()) {
    return Error{Code::missing_field, "required", "event", 0};
  }
  string_view name;
  if (named.get(name) != simdjson::SUCCESS) {
    return invalid_field("event", "a string is expected");
  }
  element given;
  object data;
  if (frame["data"].get(given) == simdjson::SUCCESS && given.get(data) != simdjson::SUCCESS) {
    return invalid_field("data", "an object is expected");
  }
  thread_local simdjson::dom::parser nothing;
  if (frame["data"].error() != simdjson::SUCCESS) {
    constexpr string_view kEmpty = "{}";
    const bool parsed = nothing.parse(kEmpty.data(), kEmpty.size()).get(data) == simdjson::SUCCESS;
    TIDEMARK_CHECK(parsed);
  }
  const Event* const event = event_named(name);
  return event != nullptr ? renamed(*event, data) : Result<Command>(as_it_is(name, data));
}

string_view field_name(const Said& said, string_view native_field) {
  if (native_field == "type") {
    return "event";
  }
  const Event* const event = event_named(said.event);
  if (event == nullptr) {
    return native_field;
  }
  if (native_field == "data" && event->sends) {
    return "file_id";
  }
  const auto given = std::find_if(said.fields.begin(), said.fields.end(),
                                  [native_field](const auto& one) { return one.second == native_field; });
  if (given != said.fields.end()) {
    return given->first;
  }
  const auto found = std::find_if(event->fields.begin(), event->fields.end(),
                                  [native_field](const Renamed& one) { return one.native == native_field; });
  return found == event->fields.end() ? native_field : found->field;
}

std::string message_sent(const Said& said, string_view sent_members) {
  thread_local simdjson::dom::parser parser;
  const std::string text = "{" + std::string(sent_members) + "}";
  object sent;
  const bool parsed = parser.parse(text).get(sent) == simdjson::SUCCESS;
  TIDEMARK_CHECK(parsed);
  std::string data;
  JsonWriter writer(data);
  writer.begin().members(said.echo);
  if (!said.has_id) {
    write_id(writer, "id", text_of(sent, "message_id"));
  }
  write_rest(writer, sent);
  writer.end();
  return wrapped("message_sent", data);
}

}  // namespace tidemark::gateway::events
