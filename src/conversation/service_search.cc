// Full-text search, and when the index hears of messages.
#include <algorithm>

#include "conversation/search_query.h"
#include "conversation/search_store.h"
#include "conversation/service.h"
#include "core/json.h"

namespace tidemark::conversation {

using command::Reply;
using storage::Transaction;

namespace {

constexpr auto kHandToIndexEvery = std::chrono::milliseconds(200);
constexpr int64_t kSearchedConversations = 1000;  // the user's most recently active ones
constexpr int64_t kSearchLimit = 20;

struct Found {
  ConversationId conversation;
  store::Row row;
};

bool newer(const Found& a, const Found& b) {
  return std::pair(a.row.entry.time_ms, a.row.entry.seq) > std::pair(b.row.entry.time_ms, b.row.entry.seq);
}

// The newest messages of one conversation that match. The index may know a message that is gone since.
void search_one(Transaction& tx, const store::Searchable& where, std::string_view query, int64_t limit,
                std::string_view viewer, std::vector<Found>& found) {
  for (const int64_t seq : store::find_text(tx, where.stream, query, INT64_MAX, limit)) {
    auto row = store::entry(tx, where.stream, seq, viewer);
    if (row && seq > where.floor && static_cast<EntryKind>(row->entry.kind) == EntryKind::message &&
        !row->state.deleted) {
      found.push_back({where.id, std::move(*row)});
    }
  }
}

// `places` in the order of their newest entries: one that is older than the oldest result ends the search.
std::vector<Found> search_all(Transaction& tx, const std::vector<store::Searchable>& places, std::string_view query,
                              int64_t limit, std::string_view viewer) {
  std::vector<Found> found;
  for (const store::Searchable& where : places) {
    const bool full = found.size() >= static_cast<size_t>(limit);
    if (full && where.updated_at < found.back().row.entry.time_ms) {
      break;
    }
    search_one(tx, where, query, limit, viewer, found);
    std::stable_sort(found.begin(), found.end(), newer);
    found.resize(std::min(found.size(), static_cast<size_t>(limit)));
  }
  return found;
}

}  // namespace

void Service::start_index() {
  workers_.at(0).post([this] { spawn(index_.start()); });
}

void Service::note_to_index(Conversation& conversation) {
  Shard& here = *shards_[static_cast<size_t>(Worker::current()->index())];
  if (std::exchange(conversation.index_round, here.index_round) == here.index_round) {
    return;
  }
  here.to_index.push_back(conversation.details.stream);
  if (!here.index_timer.armed()) {
    here.worker.arm(here.index_timer, kHandToIndexEvery);
  }
}

std::vector<stream::StreamId> Service::take_to_index(Shard& shard) {
  ++shard.index_round;
  return std::exchange(shard.to_index, {});
}

void Service::hand_to_index(Shard& shard) {
  workers_.at(0).post([this, streams = take_to_index(shard)] { index_.add(streams); });
}

Task<> Service::catch_up_index() {
  Worker& from = *Worker::current();
  std::vector<stream::StreamId> streams;
  for (const auto& shard : shards_) {
    co_await shard->worker.enter();
    for (const stream::StreamId stream : take_to_index(*shard)) {
      streams.push_back(stream);
    }
  }
  co_await workers_.at(0).enter();
  index_.add(streams);
  co_await index_.catch_up();
  co_await from.enter();
}

Service::Answer Service::search(Caller caller, Request request) {
  const auto query = search_query(request.text("q"));
  if (!query.ok()) {
    co_return query.error();
  }
  const bool in_one = request.has("conversation_id");
  if (!in_one && caller.user.empty()) {
    co_return Error{Code::missing_field, "a service without a user searches in one conversation", "conversation_id", 0};
  }
  const int64_t limit = request.integer("limit", kSearchLimit);
  std::vector<store::Searchable> places;
  if (in_one) {
    auto opened = co_await open_as_member(caller, {caller.tenant, ConversationId(request.text("conversation_id"))});
    if (!opened.ok()) {
      co_return opened.error();
    }
    const Details& details = (*opened)->details;
    places.push_back({details.stream, details.id, details.floor, details.updated_at});
  }
  co_await catch_up_index();
  const auto found = co_await database_.read([&](Transaction& tx) -> Result<std::vector<Found>> {
    const auto all = in_one ? places : store::searchable(tx, caller.key(), kSearchedConversations);
    return search_all(tx, all, *query, limit + 1, caller.user.str());
  });
  if (!found.ok()) {
    co_return found.error();
  }
  const bool has_more = found->size() > static_cast<size_t>(limit);
  std::string list = "[";
  for (size_t i = 0; i < found->size() && i < static_cast<size_t>(limit); ++i) {
    list += i > 0 ? "," : "";
    list += entry_json((*found)[i].conversation, (*found)[i].row.entry, (*found)[i].row.state);
  }
  Reply reply;
  JsonWriter(reply.data).begin().raw("messages", list + "]").field("has_more", has_more).end();
  co_return reply;
}

}  // namespace tidemark::conversation
