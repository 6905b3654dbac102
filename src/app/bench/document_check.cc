#include "app/bench/document_check.h"

#include <algorithm>
#include <utility>

#include "core/json.h"
#include "core/uuid.h"

namespace tidemark::app {
namespace {

using simdjson::SUCCESS;
using simdjson::dom::element;

std::string_view text_in(element json, std::string_view name) {
  std::string_view text;
  return json[name].get(text) == SUCCESS ? text : std::string_view();
}
int64_t number_in(element json, std::string_view name) {
  int64_t number = 0;
  return json[name].get(number) == SUCCESS ? number : 0;
}

Error wrong(std::string_view what, element frame) {
  return fail(Code::unavailable, std::string(what) + ": " + to_json(frame).substr(0, 1000));
}

Error refused(element frame) {
  const std::string_view code = text_in(frame, "code");
  std::string text = "the server refused an operation: " + std::string(code) + ": ";
  text += text_in(frame, "error");
  if (code == "rate_limited") {
    text +=
        " (start it with --set limits.operations_per_second=1000000 --set limits.operations_burst=1000000 to "
        "measure more)";
  }
  return fail(Code::unavailable, std::move(text));
}

}  // namespace

DocumentCheck::DocumentCheck(Options options, Random& random)
    : options_(std::move(options)), random_(random), replica_(options_.kind), checks_(options_.members) {
  for (size_t i = 0; i < options_.writers; ++i) {
    writers_.emplace_back(
        DocumentAuthor::Options{.kind = options_.kind, .number = i, .text_length = options_.text_length});
  }
}

std::string DocumentCheck::subscribe() const {
  std::string json;
  JsonWriter(json).begin().field("type", "subscribe").field("id", "s").field("document_id", options_.id).end();
  return json;
}

const DocumentCheck::Next& DocumentCheck::make(size_t writer, Instant due) {
  Writer& by = writers_[writer];
  // What others have removed meanwhile is gone once; what is its own on the way is perhaps still there.
  DocumentAuthor::Made made = by.author.make(replica_.length() - std::min(replica_.length(), by.removed), random_);
  next_ = {make_uuid7(clock_, random_).str(), made.type, std::move(made.data), version_};
  out_.emplace(next_.id, Operation{.writer = writer, .number = by.sent++, .due = due, .removed = made.removed});
  by.removed += made.removed;
  ++by.in_flight;
  ++sent_;
  ++unanswered_;
  return next_;
}

std::string_view DocumentCheck::next(size_t writer, Instant due) {
  const Next& made = make(writer, due);
  text_.clear();
  std::string operation;
  JsonWriter(operation)
      .begin()
      .field("type", made.type)
      .field("prev_version", made.prev_version)
      .raw("data", made.data)
      .end();
  JsonWriter(text_)
      .begin()
      .field("type", "operation")
      .field("id", made.id)
      .field("document_id", options_.id)
      .raw("operation", operation)
      .end();
  return text_;
}

Status DocumentCheck::arrived(size_t member, std::string_view frame, Instant received) {
  const uint64_t place = checks_[member].next() - completed_;
  if (place < events_.size() && events_[place].frame == frame) [[likely]] {
    note(member, place, received);
    return {};
  }
  return read(member, frame, received);
}

Status DocumentCheck::read(size_t member, std::string_view frame, Instant received) {
  element json;
  if (parser_.parse(frame.data(), frame.size()).get(json) != SUCCESS || !json.is_object()) {
    return fail(Code::unavailable, "the server sent a frame that is not a JSON object: " + std::string(frame));
  }
  const std::string_view type = text_in(json, "type");
  if (type == "error") {
    return refused(json);
  }
  if (type == "subscribed") {
    return on_subscribed(member, json);
  }
  if (type == "operation_ack") {
    return answered(std::string(text_in(json, "id")), number_in(json, "version"), text_in(json, "status"), received);
  }
  return type == "document_event" ? on_event(member, json, frame, received) : Status();
}

// All of them before the first operation is sent, so at one place.
Status DocumentCheck::on_subscribed(size_t member, element frame) {
  element content;
  const int64_t next_seq = number_in(frame, "seq") + 1;
  if (frame["document"]["content"].get(content) != SUCCESS) {
    return wrong("a subscription was answered without the document", frame);
  }
  if (subscribed_++ > 0) {
    return next_seq == first_seq_ && number_in(frame, "version") == version_
               ? Status()
               : wrong("a subscription of member " + std::to_string(member) + " begins at another place", frame);
  }
  first_seq_ = next_seq;
  version_ = number_in(frame, "version");
  auto replica = DocumentReplica::from_content(options_.kind, content);
  if (!replica) {
    return replica.error();
  }
  replica_ = std::move(*replica);
  return {};
}

Status DocumentCheck::has_version(Operation& operation, int64_t version) const {
  if (version <= 0 || (operation.version != 0 && operation.version != version)) {
    return fail(Code::unavailable, "an operation was answered with another version than it was told with");
  }
  operation.version = version;
  return {};
}

Status DocumentCheck::answered(const std::string& id, int64_t version, std::string_view status, Instant received) {
  const auto found = out_.find(id);
  if (found == out_.end() || found->second.answered) {
    return fail(Code::unavailable, "an operation was answered that waits for no answer: " + id);
  }
  Operation& operation = found->second;
  if (status != "applied" && status != "resolved") {
    return fail(Code::unavailable, "an operation was not applied: " + std::string(status));
  }
  if (auto has = has_version(operation, version); !has) {
    return has;
  }
  operation.answered = true;
  --unanswered_;
  ++arrivals_;
  ack_latency_.record(received - operation.due);
  last_arrival_ = received;
  finish_if_done(found);
  return {};
}

Status DocumentCheck::on_event(size_t member, element frame, std::string_view text, Instant received) {
  const std::string_view event = text_in(frame, "event");
  if (event == "user_joined" || event == "user_left" || event == "bookmark") {
    return {};
  }
  const int64_t seq = number_in(frame, "seq");
  if (seq < first_seq_) {
    return wrong("an event from before the subscription", frame);
  }
  const auto number = static_cast<uint64_t>(seq - first_seq_);
  if (number < completed_) {
    checks_[member].arrived(number);  // for the second time
    return {};
  }
  const uint64_t place = number - completed_;
  if (place > events_.size()) {
    return wrong("events before this one are missing", frame);
  }
  if (place == events_.size()) {
    if (auto added = add_event(frame, text); !added) {
      return added;
    }
  } else if (events_[place].frame != text) {
    return wrong("two subscribers were told of one event in different ways", frame);
  }
  note(member, place, received);
  return {};
}

// An event that nobody was told before.
Status DocumentCheck::add_event(element frame, std::string_view text) {
  Event event{.frame = std::string(text)};
  const std::string_view kind = text_in(frame, "event");
  const int64_t version = number_in(frame, "version");
  if (version != version_ + (kind == "operation_applied" ? 1 : 0)) {
    return wrong("the versions of the document have a gap after " + std::to_string(version_), frame);
  }
  if (kind == "operation_applied") {
    element operation;
    if (frame["operation"].get(operation) != SUCCESS) {
      return wrong("an event without its operation", frame);
    }
    version_ = version;
    if (auto added = add_operation(operation, event); !added) {
      return added;
    }
  }
  conflicts_ += kind == "conflict_detected" ? 1 : 0;
  events_.push_back(std::move(event));
  return {};
}

Status DocumentCheck::add_operation(element operation, Event& event) {
  event.operation = text_in(operation, "id");
  const auto found = out_.find(event.operation);
  element data;
  if (found == out_.end() || operation["data"].get(data) != SUCCESS) {
    return wrong("an operation was told that nobody has sent", operation);
  }
  Operation& sent = found->second;
  Writer& by = writers_[sent.writer];
  if (!by.order.arrived(sent.number)) {
    return wrong("an operation was applied twice", operation);
  }
  by.removed -= sent.removed;
  event.writer = sent.writer;
  event.due = sent.due;
  if (number_in(operation, "version") != version_) {
    return wrong("an operation was told with another version than its event", operation);
  }
  if (auto has = has_version(sent, version_); !has) {
    return has;
  }
  return replica_.apply(text_in(operation, "type"), data);
}

// The member has got the event that stands there in events_.
void DocumentCheck::note(size_t member, uint64_t place, Instant received) {
  if (!checks_[member].arrived(completed_ + place)) {
    return;
  }
  Event& event = events_[place];
  ++arrivals_;
  last_arrival_ = received;
  if (!event.operation.empty()) {
    ++deliveries_;
    if (!options_.writers_follow || member != event.writer) {
      delivery_latency_.record(received - event.due);
    }
  }
  ++event.arrivals;
  for (; !events_.empty() && events_.front().arrivals == options_.members; ++completed_) {
    if (const auto found = out_.find(events_.front().operation); found != out_.end()) {
      found->second.told = true;
      finish_if_done(found);
    }
    events_.pop_front();
  }
}

void DocumentCheck::finish_if_done(Out::iterator operation) {
  if (operation->second.answered && operation->second.told) {
    --writers_[operation->second.writer].in_flight;
    out_.erase(operation);
  }
}

Violations DocumentCheck::violations() const {
  Violations all;
  for (const SequenceCheck& check : checks_) {
    all += check.violations(completed_ + events_.size());
  }
  for (const Writer& writer : writers_) {
    all += writer.order.violations(writer.sent);
  }
  return all;
}

bool DocumentCheck::is_document(std::string_view body) const {
  simdjson::dom::parser parser;
  element answer;
  element document;
  if (parser.parse(body.data(), body.size()).get(answer) != SUCCESS ||
      answer["data"]["document"].get(document) != SUCCESS) {
    return false;
  }
  const int64_t seq = first_seq_ + static_cast<int64_t>(completed_ + events_.size()) - 1;
  return number_in(document, "version") == version_ && number_in(document, "seq") == seq &&
         body.find("\"content\":" + replica_.content_json() + ",") != std::string_view::npos;
}

}  // namespace tidemark::app
