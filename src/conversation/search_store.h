// The full-text index in the database. Private to the conversation room.
//
// One FTS5 table with a document per message. A document's number is its place, (stream, seq), so that a search within
// one conversation is a range of numbers and never looks at anybody else's messages.
// Invariants:
//  1. A document holds the newest text of a message that is neither deleted nor below its stream's floor: edits and
//     deletions change the index in their own transaction.
//  2. Messages up to `search_positions.seq` of their stream are in the index, later ones are not.
#pragma once

#include <span>

#include "conversation/model.h"

namespace tidemark::conversation::store {

extern const std::span<const storage::Sql> kSearchTables;

// What is left of the work of one step.
struct IndexBudget {
  int64_t messages = 0;
  int64_t bytes = 0;
};
// Brings the index of one stream nearer to its head and removes what is below its floor, within the budget, which it
// lowers. True: the stream is done.
bool index_stream(storage::Transaction& tx, stream::StreamId stream, IndexBudget& budget);
// Streams after `after`, up to `until`, whose index is behind: what a stopped node left to do.
std::vector<stream::StreamId> streams_to_index(storage::Transaction& tx, stream::StreamId after, stream::StreamId until);

// In the transaction that changes the message.
void reindex(storage::Transaction& tx, stream::StreamId stream, int64_t seq, std::string_view content);
void remove_from_index(storage::Transaction& tx, stream::StreamId stream, int64_t seq);
// All documents up to `floor`: as many as the retention step has removed entries.
void remove_from_index_up_to(storage::Transaction& tx, stream::StreamId stream, int64_t floor);

// A bounded part of merging the pieces of the index, of which each step of the job makes one. `whole` begins to merge all
// of them into one, which leaves behind what was removed. False: there is nothing more to do.
bool merge_index(storage::Transaction& tx, bool whole = false);

// Where the query matches, newest first.
std::vector<int64_t> find_text(storage::Transaction& tx, stream::StreamId stream, std::string_view query, int64_t before,
                               int64_t limit);

// The first entry behind `floor` that is later than `time_ms`; INT64_MAX: none is. As if time never went back.
int64_t first_later(storage::Transaction& tx, stream::StreamId stream, int64_t floor, int64_t time_ms);

// The user's conversations that can be searched, most recently active first.
struct Searchable {
  stream::StreamId stream{};
  ConversationId id;
  int64_t floor = 0;
  int64_t updated_at = 0;
};
std::vector<Searchable> searchable(storage::Transaction& tx, const UserKey& user, int64_t limit);

}  // namespace tidemark::conversation::store
