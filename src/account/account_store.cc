#include "account/account_store.h"

#include "account/account.h"

namespace tidemark::account {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr Sql kTables[] = {
    {"CREATE TABLE revocations (id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, tenant TEXT NOT NULL,"
     " subject TEXT NOT NULL, at BIGINT NOT NULL, until BIGINT NOT NULL)",
     "CREATE TABLE revocations (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind INTEGER NOT NULL,"
     " tenant TEXT NOT NULL, subject TEXT NOT NULL, at BIGINT NOT NULL, until BIGINT NOT NULL)"},
    {"CREATE UNIQUE INDEX revocations_subject ON revocations (tenant, kind, subject)"},
    {"CREATE INDEX revocations_until ON revocations (until)"},
    {"CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, at BIGINT NOT NULL, tenant TEXT NOT NULL,"
     " actor TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, details TEXT NOT NULL)",
     "CREATE TABLE audit (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at BIGINT NOT NULL, tenant TEXT NOT NULL,"
     " actor TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, details TEXT NOT NULL)"},
    {"CREATE INDEX audit_tenant ON audit (tenant, id)"},
    {"CREATE INDEX audit_at ON audit (at)"},
};
constexpr storage::Migration kList[] = {{10, "revocations", kTables}};

// An earlier one goes first, so that the id of the newest word about a subject is always the greatest.
constexpr Sql kSubject{"SELECT at, until FROM revocations WHERE tenant = ? AND kind = ? AND subject = ?"};
constexpr Sql kForgetSubject{"DELETE FROM revocations WHERE tenant = ? AND kind = ? AND subject = ?"};
constexpr Sql kInsert{
    "INSERT INTO revocations (kind, tenant, subject, at, until) VALUES (?, ?, ?, ?, ?) RETURNING id"};
constexpr Sql kAll{"SELECT id, kind, tenant, subject, at, until FROM revocations WHERE until > ? ORDER BY id"};
constexpr Sql kForgetExpired{"DELETE FROM revocations WHERE until <= ?"};
constexpr Sql kNextUntil{"SELECT min(until) FROM revocations WHERE until < ?"};

}  // namespace

const std::span<const storage::Migration> kMigrations = kList;

namespace store {

Revocation insert(Transaction& tx, Revocation revocation) {
  for (Statement& row = tx.query(kSubject, revocation.tenant.str(), revocation.kind, revocation.subject); row.next();) {
    revocation.at = std::max(revocation.at, row.integer(0));
    revocation.until = std::max(revocation.until, row.integer(1));
  }
  tx.execute(kForgetSubject, revocation.tenant.str(), revocation.kind, revocation.subject);
  Statement& row = tx.query(kInsert, revocation.kind, revocation.tenant.str(), revocation.subject, revocation.at,
                            revocation.until);
  while (row.next()) {
    revocation.id = row.integer(0);
  }
  return revocation;
}

std::vector<Revocation> all(Transaction& tx, int64_t now_ms) {
  std::vector<Revocation> revocations;
  for (Statement& row = tx.query(kAll, now_ms); row.next();) {
    Revocation one;
    one.id = row.integer(0);
    one.kind = static_cast<RevocationKind>(row.integer(1));
    one.tenant = TenantId(row.string(2));
    one.subject = row.string(3);
    one.at = row.integer(4);
    one.until = row.integer(5);
    revocations.push_back(std::move(one));
  }
  return revocations;
}

int64_t forget_expired(Transaction& tx, int64_t now_ms) { return tx.execute(kForgetExpired, now_ms); }

std::optional<int64_t> next_until(Transaction& tx) {
  Statement& row = tx.query(kNextUntil, Revocation::kForever);
  return row.next() && !row.is_null(0) ? std::optional(row.integer(0)) : std::nullopt;
}

}  // namespace store
}  // namespace tidemark::account
