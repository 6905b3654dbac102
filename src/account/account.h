// The account room's door: who somebody is, from the token they show, and whose tokens count no more.
//
// Any thread may authenticate. Keys and revocations are immutable and replaced whole: keys at a reload (SIGHUP), the
// set of revocations by the first worker, which owns every change of it. The database has the truth of both.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "account/audit.h"
#include "account/revocation.h"
#include "account/token.h"
#include "command/table.h"
#include "core/metrics.h"
#include "core/shared_value.h"
#include "storage/migrations.h"

namespace tidemark::account {

extern const std::span<const storage::Migration> kMigrations;

struct AccountOptions {
  Expectations expectations;
  std::chrono::milliseconds session_ttl_max{};  // no session token lives longer
  size_t revocations_max = 100'000;             // that are in force at one time
  std::chrono::milliseconds audit_keep{};
};

// Who asks, with these claims, at this door. The door adds what only it knows: device, connection, address.
command::Caller caller_of(const Claims& claims, command::Door door);

class Account {
 public:
  Account(WorkerPool& workers, storage::Database& database, std::shared_ptr<const KeySet> keys, AccountOptions options,
          const Clock& clock, MetricRegistry& metrics);

  // Reads the revocations. Waits; before the workers start and before anybody authenticates.
  Status load();
  void add_commands(command::Table& table);
  // Called on the first worker when a revocation is in force, for those who hold what was opened with a token. At wiring.
  void set_revocation_listener(std::function<void(const Revocation&)> listener) { listener_ = std::move(listener); }
  void start();  // begins to forget what has expired; after the workers have started

  // The claims of a token that is good now, else `unauthorized`.
  Result<Claims> authenticate(std::string_view token) const;
  // Whether a token that was good when it was shown has been revoked since. Ask again after each co_await that stands
  // between authenticate() and the place where the listener would find what was opened.
  bool revoked(const UserKey& user, const TokenMark& mark) const { return revocations_.load()->revoked(user, mark); }

  // A token that opens connections with this session, signed with the store's own key.
  std::string mint_session_token(const UserKey& user, const SessionId& session, const DeviceId& device,
                                 int64_t issued_at, int64_t expires_at) const;

  void replace_keys(std::shared_ptr<const KeySet> keys) { keys_.store(std::move(keys)); }

  // Stores it together with its audit record. `until` is what the caller knows of the tokens' end. When this answers,
  // no such token is taken any more; what is open goes within a second. Continues on the calling worker.
  Task<Result<Revocation>> revoke(Revocation revocation, AuditRecord record);

  struct AuditPage {
    std::vector<AuditRecord> records;
    bool has_more = false;
  };
  // The newest records of the tenant below the id `before`.
  Task<Result<AuditPage>> audit(TenantId tenant, int64_t before, int limit);

 private:
  std::shared_ptr<const KeySet> keys() const { return keys_.load(); }
  int64_t until(const Revocation& revocation) const;
  void replace_revocations(RevocationSet::Pointer set);
  void sweep_at(int64_t unix_ms);
  Task<> sweep();

  WorkerPool& workers_;
  storage::Database& database_;
  const AccountOptions options_;
  const Clock& clock_;
  SharedValue<KeySet> keys_;
  SharedValue<RevocationSet> revocations_;
  std::function<void(const Revocation&)> listener_;
  Timer sweep_timer_;                 // of the first worker, like the next
  int64_t next_sweep_ = INT64_MAX;    // Unix milliseconds
  Gauge& in_force_;
};

}  // namespace tidemark::account
