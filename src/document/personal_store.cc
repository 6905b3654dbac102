#include <algorithm>
#include <charconv>

#include "core/json.h"
#include "document/engine/document.h"
#include "document/live.h"
#include "document/personal.h"

namespace tidemark::document::store {
namespace {

using storage::PersonalPage;
using storage::Sql;
using storage::Statement;
using storage::Transaction;
using stream::StreamId;

constexpr int kDocumentsPerRead = 16;  // looked at, with all their entries
constexpr int kOwnPerPage = 20;
constexpr int64_t kEntriesPerPage = 200;
constexpr int64_t kEntriesPerStep = 64;  // changed in one transaction
constexpr size_t kBytesPerPage = 1024 * 1024;

// A user is named in JSON of our own spelling: as a whole string.
#define NAMES(column) "instr(" column ", ?) > 0"
#define NAMES_PG(column) "strpos(" column ", ?) > 0"

constexpr Sql kDocumentsAfter{
    "SELECT stream, document_id, state, created_by, updated_by, lock_user, metadata FROM documents"
    " WHERE stream > ? AND tenant = ? ORDER BY stream LIMIT ?"};
constexpr Sql kNamedInEntry{
    "SELECT 1 FROM entries WHERE stream = ? AND (author = ? OR " NAMES("body") ") LIMIT 1",
    "SELECT 1 FROM entries WHERE stream = ? AND (author = ? OR " NAMES_PG("body") ") LIMIT 1"};
constexpr Sql kNamedInConflict{
    "SELECT 1 FROM document_conflicts WHERE stream = ? AND (operation_author = ? OR " NAMES("body") ") LIMIT 1",
    "SELECT 1 FROM document_conflicts WHERE stream = ? AND (operation_author = ? OR " NAMES_PG("body") ") LIMIT 1"};
constexpr Sql kNamedInPending{
    "SELECT 1 FROM document_pending WHERE stream = ? AND " NAMES("body") " LIMIT 1",
    "SELECT 1 FROM document_pending WHERE stream = ? AND " NAMES_PG("body") " LIMIT 1"};

constexpr Sql kEntriesNaming{
    "SELECT seq, author, body FROM entries WHERE stream = ? AND seq > ? AND (author = ? OR " NAMES("body")
    ") ORDER BY seq LIMIT ?",
    "SELECT seq, author, body FROM entries WHERE stream = ? AND seq > ? AND (author = ? OR " NAMES_PG("body")
    ") ORDER BY seq LIMIT ?"};
constexpr Sql kConflictsNaming{
    "SELECT number, operation_author, body FROM document_conflicts WHERE stream = ? AND number > ?"
    " AND (operation_author = ? OR " NAMES("body") ") ORDER BY number LIMIT ?",
    "SELECT number, operation_author, body FROM document_conflicts WHERE stream = ? AND number > ?"
    " AND (operation_author = ? OR " NAMES_PG("body") ") ORDER BY number LIMIT ?"};
// A client id or a hash of a short text would lead to its author.
constexpr Sql kSetAuthor{
    "UPDATE entries SET author = ?, device = '', client_id = NULL, hash = 0 WHERE stream = ? AND seq = ?"};
constexpr Sql kSetBody{"UPDATE entries SET body = ? WHERE stream = ? AND seq = ?"};
constexpr Sql kSetConflict{"UPDATE document_conflicts SET operation_author = ?, body = ? WHERE stream = ? AND number = ?"};
constexpr Sql kForgetCreator{
    "UPDATE documents SET created_by = ?, client_id = NULL, hash = 0 WHERE stream = ? AND created_by = ?"};
constexpr Sql kForgetUpdater{"UPDATE documents SET updated_by = ? WHERE stream = ? AND updated_by = ?"};

constexpr Sql kDocumentOf{
    "SELECT d.document_id FROM document_readers r JOIN documents d ON d.stream = r.stream"
    " WHERE r.tenant = ? AND r.user_id = ? AND d.state <> 3 LIMIT 1"};
constexpr Sql kLockedBy{
    "SELECT document_id FROM documents WHERE lock_id IS NOT NULL AND tenant = ? AND lock_user = ? LIMIT 1"};
constexpr Sql kDocumentsOf{
    "SELECT d.stream, d.document_id FROM document_readers r JOIN documents d ON d.stream = r.stream"
    " WHERE r.tenant = ? AND r.user_id = ? AND r.stream > ? AND d.state <> 3 ORDER BY r.stream LIMIT ?"};
constexpr Sql kAuthored{
    "SELECT seq, kind, ordinal, author, time, body FROM entries WHERE stream = ? AND seq > ? AND author = ?"
    " ORDER BY seq LIMIT ?"};

constexpr Sql kPendingAfter{
    "SELECT p.stream, p.number, p.body FROM document_pending p JOIN documents d ON d.stream = p.stream"
    " WHERE d.tenant = ? AND (p.stream, p.number) > (?, ?) ORDER BY p.stream, p.number LIMIT ?"};

std::string json_name(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string_view role_of(const Permissions& permissions, const std::string& user) {
  if (permissions.owner == user) {
    return "owner";
  }
  const auto& editors = permissions.editors;
  return std::find(editors.begin(), editors.end(), user) != editors.end() ? "editor" : "viewer";
}

std::string content_now(Transaction& tx, StreamId stream) {
  const auto snapshot = snapshot_at(tx, stream, INT64_MAX);
  auto content = snapshot ? engine::Document::from_snapshot(snapshot->state) : Result<engine::Document>(fail(Code::internal));
  if (!content.ok()) {
    return {};
  }
  for (const Stored& stored : operations_after(tx, stream, snapshot->seq, INT64_MAX)) {
    if (!content->apply(applied_of(stored)).ok()) {
      break;
    }
  }
  return content->content();
}

std::string document_row(Transaction& tx, const Details& details, const std::string& user) {
  const Permissions& permissions = *details.metadata.permissions;
  const bool owned = permissions.owner == user;
  std::string json;
  JsonWriter writer(json);
  writer.begin()
      .field("document_id", details.id)
      .field("name", details.name)
      .field("type", name_of(details.type))
      .field("state", name_of(details.state))
      .field("role", role_of(permissions, user))
      .field("version", details.version)
      .field("oldest_version", details.floor_version)
      .field("created_at", details.created_at)
      .field("updated_at", details.updated_at);
  if (details.lock && details.lock->user_id == user) {
    writer.raw("lock", lock_json(*details.lock));
  }
  if (owned) {
    writer.raw("metadata", metadata_json(details.metadata));
    const std::string content = content_now(tx, details.stream);
    details.type == Type::text ? writer.field("content", content) : writer.raw("content", content.empty() ? "{}" : content);
  }
  writer.end();
  return json;
}

// What the user owns, with its content, and what others share with the user by name.
PersonalPage read_documents(Transaction& tx, const UserKey& user, const std::string& position) {
  std::vector<std::pair<int64_t, std::string>> found;
  for (Statement& row = tx.query(kDocumentsOf, user.tenant.str(), user.user.str(), number(position), kOwnPerPage);
       row.next();) {
    found.emplace_back(row.integer(0), row.string(1));
  }
  PersonalPage page;
  size_t bytes = 0;
  for (const auto& [stream, id] : found) {
    if (const auto details = find(tx, user.tenant, id)) {
      page.rows.push_back(document_row(tx, *details, user.user.str()));
      bytes += page.rows.back().size();
    }
    page.next = std::to_string(stream);
    if (bytes > kBytesPerPage) {
      return page;
    }
  }
  if (found.size() < kOwnPerPage) {
    page.next.clear();
  }
  return page;
}

struct Place {
  int64_t stream = 0;
  int64_t number = INT64_MAX;  // done up to here
};

// "<stream> <number>"
Place place_of(std::string_view position) {
  const size_t space = position.find(' ');
  return {number(position), space == std::string::npos ? INT64_MAX : number(position.substr(space + 1))};
}
std::string position_of(int64_t stream, int64_t number) { return std::to_string(stream) + " " + std::to_string(number); }

// Operations that wait for somebody's lock: they are no entries yet.
PersonalPage read_pending(Transaction& tx, const UserKey& user, const std::string& position) {
  const Place place = place_of(position);
  PersonalPage page;
  int64_t rows = 0;
  for (Statement& row =
           tx.query(kPendingAfter, user.tenant.str(), place.stream, place.number, kEntriesPerPage);
       row.next(); ++rows) {
    const auto operation = operation_in(row.text(2));
    if (operation && operation->user_id == user.user.str()) {
      page.rows.push_back(operation_json(*operation));
    }
    page.next = position_of(row.integer(0), row.integer(1));
  }
  if (rows < kEntriesPerPage) {
    page.next.clear();
  }
  return page;
}

// Everything the user did in documents of anybody, as its followers were told.
PersonalPage read_document_entries(Transaction& tx, const UserKey& user, const std::string& position) {
  const Place place = place_of(position);
  // First the rest of the document at the position, then some behind it.
  std::vector<std::pair<int64_t, std::string>> documents;
  for (Statement& row = tx.query(kDocumentsAfter, place.stream - 1, user.tenant.str(), kDocumentsPerRead); row.next();) {
    documents.emplace_back(row.integer(0), row.string(1));
  }
  PersonalPage page;
  size_t bytes = 0;
  for (const auto& [stream, id] : documents) {
    const int64_t after = stream == place.stream ? place.number : 0;
    for (Statement& row = tx.query(kAuthored, stream, after, user.user.str(), kEntriesPerPage); row.next();) {
      stream::Entry entry;
      entry.seq = row.integer(0);
      entry.kind = static_cast<int>(row.integer(1));
      entry.ordinal = row.integer(2);
      entry.author = row.string(3);
      entry.time_ms = row.integer(4);
      entry.body = row.string(5);
      page.rows.push_back(event_json(id, entry));
      bytes += page.rows.back().size();
      if (page.rows.size() >= kEntriesPerPage || bytes > kBytesPerPage) {
        page.next = position_of(stream, entry.seq);
        return page;
      }
    }
  }
  if (documents.size() == kDocumentsPerRead) {
    page.next = position_of(documents.back().first, INT64_MAX);
  }
  return page;
}

bool is_named(Transaction& tx, StreamId stream, const std::string& user) {
  const std::string name = json_name(user);
  return tx.query(kNamedInPending, stream, name).next() || tx.query(kNamedInConflict, stream, user, name).next() ||
         tx.query(kNamedInEntry, stream, user, name).next();
}

struct Naming {
  int64_t number = 0;
  std::string author;
  std::string body;
};

std::vector<Naming> naming(Transaction& tx, const Sql& sql, StreamId stream, int64_t after, const std::string& user) {
  std::vector<Naming> found;
  for (Statement& row = tx.query(sql, stream, after, user, json_name(user), kEntriesPerStep); row.next();) {
    found.push_back({row.integer(0), row.string(1), row.string(2)});
  }
  return found;
}

void erase_from_row(Transaction& tx, const Mention& document, const UserKey& user, const std::string& pseudonym) {
  const std::string& id = user.user.str();
  tx.execute(kForgetCreator, pseudonym, document.stream, id);
  tx.execute(kForgetUpdater, pseudonym, document.stream, id);
  auto details = find(tx, user.tenant, document.id);
  if (!details || !details->metadata.permissions) {
    return;
  }
  const bool owned = details->metadata.permissions->owner == id;
  rename_user(*details->metadata.permissions, id, pseudonym);
  if (document.deleted && owned) {
    details->name.clear();
    details->metadata.tags.clear();
    details->metadata.description.clear();
    details->metadata.properties.clear();
  }
  set_details(tx, user.tenant, *details);
}

}  // namespace

Mentions find_mention(Transaction& tx, const UserKey& user, int64_t after) {
  struct Candidate {
    Mention mention;
    bool named = false;
  };
  std::vector<Candidate> candidates;
  const std::string name = json_name(user.user.str());
  for (Statement& row = tx.query(kDocumentsAfter, after, user.tenant.str(), kDocumentsPerRead); row.next();) {
    Candidate candidate;
    candidate.mention = {static_cast<StreamId>(row.integer(0)), row.string(1),
                         static_cast<State>(row.integer(2)) == State::deleted};
    candidate.named = row.text(3) == user.user.str() || row.text(4) == user.user.str() ||
                      row.text(5) == user.user.str() || row.text(6).find(name) != std::string_view::npos;
    candidates.push_back(std::move(candidate));
  }
  Mentions mentions;
  mentions.next = after;
  for (Candidate& candidate : candidates) {
    mentions.next = static_cast<int64_t>(candidate.mention.stream);
    if (candidate.named || is_named(tx, candidate.mention.stream, user.user.str())) {
      mentions.found = std::move(candidate.mention);
      return mentions;
    }
  }
  mentions.end = candidates.size() < kDocumentsPerRead;
  return mentions;
}

Erased erase_from(Transaction& tx, const Mention& document, const UserKey& user, const std::string& pseudonym,
                  Erased so_far) {
  const std::string& id = user.user.str();
  so_far.changed = 0;
  so_far.done = false;
  const auto details = find(tx, user.tenant, document.id);
  const bool gone = document.deleted && details && details->metadata.permissions->owner == id;
  const auto entries = naming(tx, kEntriesNaming, document.stream, so_far.seq, id);
  for (const Naming& entry : entries) {
    so_far.seq = entry.number;
    const auto body = renamed_body(entry.body, id, pseudonym, gone);
    if (body) {
      tx.execute(kSetBody, *body, document.stream, entry.number);
    }
    if (entry.author == id) {
      tx.execute(kSetAuthor, pseudonym, document.stream, entry.number);
    }
    so_far.changed += body || entry.author == id ? 1 : 0;
  }
  if (entries.size() == kEntriesPerStep) {
    return so_far;
  }
  const auto conflicts = naming(tx, kConflictsNaming, document.stream, so_far.conflict, id);
  for (const Naming& one : conflicts) {
    so_far.conflict = one.number;
    auto conflict = conflict_in("\"conflict\":" + one.body);
    if (conflict) {
      rename_user(*conflict, id, pseudonym);
      tx.execute(kSetConflict, one.author == id ? pseudonym : one.author, conflict_json(*conflict), document.stream,
                 one.number);
    }
  }
  if (conflicts.size() == kEntriesPerStep) {
    return so_far;
  }
  for (const Pending& waiting : pending(tx, document.stream)) {
    if (waiting.operation.user_id == id) {
      drop_pending(tx, document.stream, waiting.number);
    }
  }
  erase_from_row(tx, document, user, pseudonym);
  so_far.done = true;
  return so_far;
}

std::optional<std::string> some_document_of(Transaction& tx, const UserKey& user) {
  Statement& row = tx.query(kDocumentOf, user.tenant.str(), user.user.str());
  return row.next() ? std::optional(row.string(0)) : std::nullopt;
}

std::optional<std::string> some_locked_by(Transaction& tx, const UserKey& user) {
  Statement& row = tx.query(kLockedBy, user.tenant.str(), user.user.str());
  return row.next() ? std::optional(row.string(0)) : std::nullopt;
}

std::vector<storage::PersonalPart> personal_parts() {
  return {{"documents", read_documents}, {"document_entries", read_document_entries},
          {"document_pending", read_pending}};
}

}  // namespace tidemark::document::store
