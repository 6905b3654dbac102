// The audit log: who changed what by an operator's right. A row of the database, written with the change it is about,
// and one log line after it.
#pragma once

#include <string>
#include <vector>

#include "core/ids.h"
#include "storage/database.h"

namespace tidemark::account {

struct AuditRecord {
  int64_t id = 0;
  int64_t at = 0;  // Unix milliseconds
  TenantId tenant;
  std::string actor;    // user id of the admin, or what else acts: "tidemark.sock"
  std::string address;  // where the call came from, may be empty
  std::string action;   // "revocation.create"
  std::string target;   // what it was done to: "user alice"
  std::string details = "{}";  // JSON object
};

// Inside the transaction of the change; `id` is not looked at.
void store_audit(storage::Transaction& tx, const AuditRecord& record);
// After its commit.
void log_audit(const AuditRecord& record);

// The newest records of the tenant below `before` (an id), newest first.
std::vector<AuditRecord> audit_before(storage::Transaction& tx, const TenantId& tenant, int64_t before, int limit);
// Deletes at most `limit` records older than `time_ms`; how many there were.
int64_t forget_audit(storage::Transaction& tx, int64_t time_ms, int limit);

std::string to_json(const AuditRecord& record);

}  // namespace tidemark::account
