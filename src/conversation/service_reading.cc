// Reading: history, single messages, conversations and the list of them. Nothing here changes anything.
#include <algorithm>
#include <charconv>

#include "conversation/service.h"
#include "core/json.h"

namespace tidemark::conversation {

using command::Reply;
using storage::Transaction;

namespace {

struct Page {
  std::vector<store::Row> rows;  // ascending
  bool has_more = false;
};

constexpr size_t kPageBytes = 1024 * 1024;  // a page ends with the entry that reaches this

// The page after `after`, or else the one before `before` (0: the newest).
Page read_history(Transaction& tx, const Details& details, int64_t after, bool forward, int64_t before, int64_t limit,
                  std::string_view viewer, bool messages_only) {
  size_t bytes = kPageBytes;
  Page page;
  const auto row = stream::stream_by_id(tx, details.stream);
  const int64_t floor = row ? row->floor : 0;
  if (forward) {
    page.rows = store::entries_after(tx, details.stream, std::max(after, floor), INT64_MAX, limit + 1, viewer,
                                     messages_only, &bytes);
  } else {
    page.rows = store::entries_before(tx, details.stream, before, limit + 1, viewer, messages_only, &bytes);
    std::erase_if(page.rows, [floor](const store::Row& one) { return one.entry.seq <= floor; });
  }
  const bool one_too_many = page.rows.size() > static_cast<size_t>(limit);
  page.has_more = one_too_many || bytes == 0;
  if (one_too_many) {
    page.rows.pop_back();
  }
  if (!forward) {
    std::reverse(page.rows.begin(), page.rows.end());
  }
  return page;
}

std::string rows_json(const ConversationId& id, const std::vector<store::Row>& rows) {
  std::string json = "[";
  for (const store::Row& row : rows) {
    json += json.size() > 1 ? "," : "";
    json += entry_json(id, row.entry, row.state);
  }
  return json + "]";
}

std::string_view name_of(Kind kind) { return kind == Kind::direct ? "direct" : "group"; }

void write_details(JsonWriter& writer, const Details& details) {
  writer.field("conversation_id", details.id.str())
      .field("kind", name_of(details.kind))
      .field("title", details.title)
      .raw("metadata", details.metadata)
      .field("created_by", details.created_by)
      .field("created_at", details.created_at)
      .field("updated_at", std::max(details.updated_at, details.created_at))
      .field("last_seq", details.head);
}

}  // namespace

std::string position_text(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (const int64_t number : numbers) {
    text += (text.empty() ? "" : ".") + std::to_string(number);
  }
  return text;
}

bool parse_position(std::string_view text, std::span<int64_t> numbers) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto [behind, failed] = std::from_chars(at, end, numbers[i]);
    const bool last = i + 1 == numbers.size();
    if (failed != std::errc() || (last ? behind != end : behind == end || *behind != '.')) {
      return false;
    }
    at = behind + 1;
  }
  return true;
}

Service::Answer Service::history(Caller caller, Request request) {
  if (request.has("before") && request.has("after")) {
    co_return invalid_field("before", "give either before or after");
  }
  auto opened = co_await open_as_member(caller, {caller.tenant, ConversationId(request.text("conversation_id"))});
  if (!opened.ok()) {
    co_return opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  const int64_t limit = request.integer("limit", 50);
  const bool rest = caller.door == command::Door::rest;
  const auto page = co_await database_.read([&](Transaction& tx) -> Result<Page> {
    return read_history(tx, conversation->details, request.integer("after"), request.has("after"),
                        request.integer("before", INT64_MAX), limit, caller.user.str(), rest);
  });
  if (!page.ok()) {
    co_return page.error();
  }
  const ConversationId& id = conversation->details.id;
  Reply reply;
  if (rest) {
    JsonWriter(reply.data)
        .begin()
        .field("conversation_id", id.str())
        .raw("messages", rows_json(id, page->rows))
        .field("has_more", page->has_more)
        .end();
  } else {
    reply.type = "history";
    JsonWriter(reply.fields)
        .field("conversation_id", id.str())
        .raw("entries", rows_json(id, page->rows))
        .field("has_more", page->has_more);
  }
  co_return reply;
}

Service::Answer Service::message(Caller caller, Request request) {
  const auto ref = parse_message_id(request.text("message_id"));
  if (!ref) {
    co_return fail(Code::not_found, "no such message");
  }
  const ConversationKey key{caller.tenant, ref->conversation};
  co_return co_await read_message(std::move(caller), key, ref->seq);
}

Service::Answer Service::read_message(Caller caller, ConversationKey key, int64_t seq) {
  auto opened = co_await open_as_member(caller, std::move(key));
  if (!opened.ok()) {
    // A message that one may not see does not exist.
    co_return opened.error().code == Code::not_found ? fail(Code::not_found, "no such message") : opened.error();
  }
  const ConversationPtr conversation = std::move(*opened);
  const auto row = co_await database_.read([&](Transaction& tx) -> Result<std::optional<store::Row>> {
    return store::entry(tx, conversation->details.stream, seq, caller.user.str());
  });
  if (!row.ok()) {
    co_return row.error();
  }
  if (!*row || static_cast<EntryKind>((*row)->entry.kind) != EntryKind::message) {
    co_return fail(Code::not_found, "no such message");
  }
  Reply reply;
  JsonWriter(reply.data)
      .begin()
      .raw("message", entry_json(conversation->details.id, (*row)->entry, (*row)->state))
      .end();
  co_return reply;
}

Task<Result<std::string>> Service::details_json(ConversationPtr conversation, Caller) {
  // Delivered markers may be newer here than in the store, so the members come from memory.
  std::string members = "[";
  for (const auto& [user, member] : conversation->members) {
    members += members.size() > 1 ? "," : "";
    JsonWriter(members)
        .begin()
        .field("user_id", user.str())
        .field("role", conversation::name_of(member.role))
        .field("read_seq", member.read_seq)
        .field("delivered_seq", member.delivered_seq)
        .field("joined_at", member.joined_at)
        .end();
  }
  std::string json;
  JsonWriter writer(json);
  writer.begin();
  write_details(writer, conversation->details);
  writer.raw("members", members + "]").end();
  co_return json;
}

Service::Answer Service::conversation(Caller caller, Request request) {
  auto opened = co_await open_as_member(caller, {caller.tenant, ConversationId(request.text("id"))});
  if (!opened.ok()) {
    co_return opened.error();
  }
  auto json = co_await details_json(*opened, caller);
  if (!json.ok()) {
    co_return json.error();
  }
  Reply reply;
  JsonWriter(reply.data).begin().raw("conversation", *json).end();
  co_return reply;
}

Service::Answer Service::list(Caller caller, Request request) {
  int64_t before[] = {INT64_MAX, INT64_MAX};  // when it was active last, and the stream
  if (request.has("cursor") && !parse_position(request.text("cursor"), before)) {
    co_return invalid_field("cursor", "not a cursor of this list");
  }
  const int64_t limit = request.integer("limit", 50);
  const auto found = co_await database_.read([&](Transaction& tx) -> Result<std::vector<store::Listed>> {
    return store::list(tx, caller.key(), before[0], before[1], limit + 1);
  });
  if (!found.ok()) {
    co_return found.error();
  }
  const bool has_more = found->size() > static_cast<size_t>(limit);
  std::string list = "[";
  std::string cursor;
  for (size_t i = 0; i < found->size() && i < static_cast<size_t>(limit); ++i) {
    const store::Listed& one = (*found)[i];
    list += i > 0 ? "," : "";
    JsonWriter writer(list);
    writer.begin();
    write_details(writer, one.details);
    writer.field("read_seq", one.read_seq).field("unread", std::max<int64_t>(one.unread, 0));
    writer.raw("last_message", one.last_message ? entry_json(one.details.id, one.last_message->entry,
                                                             one.last_message->state)
                                                : "null");
    writer.end();
    cursor = position_text({one.details.updated_at, static_cast<int64_t>(one.details.stream)});
  }
  Reply reply;
  JsonWriter writer(reply.data);
  writer.begin().raw("conversations", list + "]").field("has_more", has_more);
  if (has_more) {
    writer.field("cursor", cursor);
  }
  writer.end();
  co_return reply;
}

// What a lagging subscriber is sent.
Result<stream::Page> Service::read_page(Transaction& tx, const stream::PageRequest& request) {
  stream::Page page;
  // The log may hold a removal that its owner has not told anybody yet: who is removed gets nothing more, not even this.
  if (!store::member(tx, request.id, request.viewer.user)) {
    page.forbidden = true;
    return page;
  }
  const ConversationId id(request.key.name);
  const auto row = stream::stream_by_id(tx, request.id);
  const int64_t after = std::max(request.after, row ? row->floor : int64_t{0});
  size_t bytes = request.bytes;
  const auto rows =
      store::entries_after(tx, request.id, after, request.until, request.limit, request.viewer.user.str(), false, &bytes);
  // Who reads a direct conversation is one of the two.
  const std::string& viewer = request.viewer.user.str();
  const auto peer = rows.empty() ? std::nullopt : store::peer_of(tx, request.id, request.viewer.user);
  for (const store::Row& entry : rows) {
    const bool direct = peer && static_cast<EntryKind>(entry.entry.kind) == EntryKind::message;
    const std::string_view receiver = !direct ? std::string_view() : entry.entry.author == viewer ? *peer : viewer;
    page.entries.push_back({entry.entry.seq, stream::Frame::text(entry_json(id, entry.entry, entry.state), receiver)});
  }
  page.complete = bytes > 0 && rows.size() < static_cast<size_t>(request.limit);
  return page;
}

}  // namespace tidemark::conversation
