#include "storage/postgres_marks.h"

#include <charconv>

namespace tidemark::storage {

// Pairs of numbers of our own; the first is "tidm" (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS).
#define NODE_LOCK "1953064045, 1"
#define OWNER_LOCK "1953064045, 2"

const char* const kShareOwnership = "SELECT pg_advisory_xact_lock_shared(" OWNER_LOCK ")";
const char* const kLeaveMark =
    "INSERT INTO commit_marks (writer, mark, at) SELECT $1::text, $2::bigint, now()"
    " WHERE $3::text = '' OR EXISTS (SELECT 1 FROM node_owner WHERE owner = $3::text)"
    " ON CONFLICT (writer) DO UPDATE SET mark = excluded.mark, at = excluded.at";

void make_marks(PostgresConnection& connection) {
  connection.run("CREATE TABLE IF NOT EXISTS commit_marks (writer TEXT PRIMARY KEY, mark BIGINT NOT NULL,"
                 " at TIMESTAMPTZ NOT NULL)");
  connection.run("DELETE FROM commit_marks WHERE at < now() - interval '1 day'");
  connection.run("CREATE TABLE IF NOT EXISTS node_owner (one INTEGER PRIMARY KEY CHECK (one = 1), owner TEXT NOT NULL)");
}

int64_t last_mark(PostgresConnection& connection, const std::string& writer) {
  const std::string digits = connection.run("SELECT mark FROM commit_marks WHERE writer = $1 FOR UPDATE", {writer});
  int64_t mark = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), mark);
  return mark;
}

bool take_lock(PostgresConnection& connection) {
  return connection.run("SELECT CASE WHEN pg_try_advisory_lock(" NODE_LOCK ") THEN 'mine' ELSE '' END") == "mine";
}

void end_lock_of(PostgresConnection& connection, int backend) {
  connection.run("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND pid = $1::integer"
                 " AND (classid, objid) = (" NODE_LOCK ") AND database = (SELECT oid FROM pg_database WHERE"
                 " datname = current_database())", {std::to_string(backend)});
}

void take_over(PostgresConnection& connection, const std::string& owner) {
  connection.run("INSERT INTO node_owner (one, owner) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET owner = excluded.owner",
                 {owner});
  connection.run("SELECT pg_advisory_xact_lock(" OWNER_LOCK ")");
}

std::string owner_of(PostgresConnection& connection) { return connection.run("SELECT owner FROM node_owner"); }

}  // namespace tidemark::storage
