// Full-text search, and when the index hears of messages.
#include <algorithm>
#include <compare>

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

// Where a message stands among the results: the later, the sooner.
struct Place {
  int64_t time_ms = INT64_MAX;  // 0 where all results are of one conversation, which has an order of its own
  int64_t seq = INT64_MAX;
  int64_t stream = INT64_MAX;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Found {
  ConversationId conversation;
  store::Row row;
  Place place;
};

struct Search {
  std::string query;
  std::string viewer;
  bool in_one = false;
  Place before;  // results behind this one
  size_t limit = 0;
};

// The newest messages of one conversation that match. The index may know a message that is gone since.
void search_one(Transaction& tx, const store::Searchable& where, const Search& search, std::vector<Found>& found) {
  int64_t before = search.before.seq;
  if (!search.in_one && before != INT64_MAX) {
    before = store::first_later(tx, where.stream, where.floor, search.before.time_ms);
  }
  for (size_t wanted = search.limit; wanted > 0;) {
    const auto seqs = store::find_text(tx, where.stream, search.query, before, static_cast<int64_t>(wanted));
    const bool last = seqs.size() < wanted;
    for (const int64_t seq : seqs) {
      before = seq;
      auto row = store::entry(tx, where.stream, seq, search.viewer);
      if (!row || seq <= where.floor || static_cast<EntryKind>(row->entry.kind) != EntryKind::message ||
          row->state.deleted) {
        continue;
      }
      const Place place{search.in_one ? 0 : row->entry.time_ms, seq, static_cast<int64_t>(where.stream)};
      if (place < search.before) {
        found.push_back({where.id, std::move(*row), place});
        --wanted;
      }
    }
    if (last) {
      return;
    }
  }
}

// `places` in the order of their newest entries: one that is older than the oldest result ends the search.
std::vector<Found> search_all(Transaction& tx, const std::vector<store::Searchable>& places, const Search& search) {
  std::vector<Found> found;
  for (const store::Searchable& where : places) {
    const bool full = found.size() >= search.limit;
    if (full && where.updated_at < found.back().row.entry.time_ms) {
      break;
    }
    search_one(tx, where, search, found);
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.place > b.place; });
    found.resize(std::min(found.size(), search.limit));
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
  const auto limit = static_cast<size_t>(request.integer("limit", kSearchLimit));
  Search search;
  search.query = *query;
  search.viewer = caller.user.str();
  search.in_one = in_one;
  search.limit = limit + 1;
  if (request.has("cursor")) {
    int64_t before[3];
    if (!parse_position(request.text("cursor"), before)) {
      co_return invalid_field("cursor", "not a cursor of this search");
    }
    search.before = {before[0], before[1], before[2]};
  }
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
    return search_all(tx, all, search);
  });
  if (!found.ok()) {
    co_return found.error();
  }
  const bool has_more = found->size() > limit;
  std::string list = "[";
  for (size_t i = 0; i < found->size() && i < limit; ++i) {
    list += i > 0 ? "," : "";
    list += entry_json((*found)[i].conversation, (*found)[i].row.entry, (*found)[i].row.state);
  }
  Reply reply;
  JsonWriter writer(reply.data);
  writer.begin().raw("messages", list + "]").field("has_more", has_more);
  if (has_more) {
    const Place& last = (*found)[limit - 1].place;
    writer.field("cursor", position_text({last.time_ms, last.seq, last.stream}));
  }
  writer.end();
  co_return reply;
}

}  // namespace tidemark::conversation
