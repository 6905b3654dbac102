#include "account/audit.h"

#include "core/json.h"
#include "core/log.h"

namespace tidemark::account {
namespace {

using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr Sql kInsert{
    "INSERT INTO audit (at, tenant, actor, address, action, target, details) VALUES (?, ?, ?, ?, ?, ?, ?)"};
constexpr Sql kBefore{
    "SELECT id, at, tenant, actor, address, action, target, details FROM audit WHERE tenant = ? AND id < ?"
    " ORDER BY id DESC LIMIT ?"};
constexpr Sql kForget{"DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY at LIMIT ?)"};

}  // namespace

void store_audit(Transaction& tx, const AuditRecord& record) {
  tx.execute(kInsert, record.at, record.tenant.str(), record.actor, record.address, record.action, record.target,
             record.details);
}

void log_audit(const AuditRecord& record) {
  log_info("audit", {{"action", record.action},
                     {"target", record.target},
                     {"actor", record.actor},
                     {"tenant", record.tenant.str()},
                     {"address", record.address}});
}

std::vector<AuditRecord> audit_before(Transaction& tx, const TenantId& tenant, int64_t before, int limit) {
  std::vector<AuditRecord> records;
  for (Statement& row = tx.query(kBefore, tenant.str(), before, limit); row.next();) {
    AuditRecord record;
    record.id = row.integer(0);
    record.at = row.integer(1);
    record.tenant = TenantId(row.string(2));
    record.actor = row.string(3);
    record.address = row.string(4);
    record.action = row.string(5);
    record.target = row.string(6);
    record.details = row.string(7);
    records.push_back(std::move(record));
  }
  return records;
}

int64_t forget_audit(Transaction& tx, int64_t time_ms, int limit) { return tx.execute(kForget, time_ms, limit); }

std::string to_json(const AuditRecord& record) {
  std::string json;
  JsonWriter(json)
      .begin()
      .field("id", record.id)
      .field("timestamp", record.at)
      .field("actor", record.actor)
      .field("address", record.address)
      .field("action", record.action)
      .field("target", record.target)
      .raw("details", record.details)
      .end();
  return json;
}

}  // namespace tidemark::account
