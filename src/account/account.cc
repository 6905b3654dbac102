#include "account/account.h"

#include <algorithm>

#include "account/account_commands.h"
#include "account/account_store.h"
#include "core/log.h"

namespace tidemark::account {
namespace {

using storage::Transaction;

constexpr auto kSweepAtLeastEvery = std::chrono::hours(1);
constexpr auto kSweepAtMostEvery = std::chrono::seconds(1);
constexpr int kAuditPerSweep = 1000;

int64_t milliseconds(std::chrono::milliseconds duration) { return duration.count(); }

}  // namespace

command::Caller caller_of(const Claims& claims, command::Door door) {
  command::Caller caller;
  caller.door = door;
  caller.tenant = claims.tenant;
  caller.user = claims.user;
  caller.session = claims.session;
  caller.admin = claims.admin;
  caller.service = claims.service;
  caller.token_issued_at = claims.issued_at;
  caller.token_expires_at = claims.expires_at;
  caller.session_token = claims.session_token;
  return caller;
}

Account::Account(WorkerPool& workers, storage::Database& database, std::shared_ptr<const KeySet> keys,
                 AccountOptions options, const Clock& clock, MetricRegistry& metrics)
    : workers_(workers),
      database_(database),
      options_(std::move(options)),
      clock_(clock),
      keys_(std::move(keys)),
      revocations_(std::make_shared<const RevocationSet>()),
      sweep_timer_([](void* context) { spawn(static_cast<Account*>(context)->sweep()); }, this),
      in_force_(metrics.gauge("tidemark_revocations", "Revocations in force.")) {}

Status Account::load() {
  const auto stored = database_.read_now([&](Transaction& tx) -> Result<std::vector<Revocation>> {
    return store::all(tx, clock_.unix_ms());
  });
  if (!stored.ok()) {
    return stored.error();
  }
  RevocationSet::Pointer set = std::make_shared<const RevocationSet>();
  for (const Revocation& revocation : *stored) {
    set = set->with(revocation);
  }
  replace_revocations(std::move(set));
  return {};
}

void Account::start() {
  workers_.at(0).post([this] { spawn(sweep()); });
}

void Account::add_commands(command::Table& table) { AccountCommands(*this).add_to(table); }

Result<Claims> Account::authenticate(std::string_view token) const {
  auto claims = verify_token(token, *keys(), options_.expectations, clock_);
  if (claims.ok() && revoked({claims->tenant, claims->user}, TokenMark(*claims))) {
    return fail(Code::unauthorized, "the token was revoked");
  }
  return claims;
}

std::string Account::mint_session_token(const UserKey& user, const SessionId& session, const DeviceId& device,
                                        int64_t issued_at, int64_t expires_at) const {
  MintRequest request;
  request.user = user.user;
  request.tenant = user.tenant;
  request.session = session;
  request.device = device;
  request.issuer = options_.expectations.issuer;
  request.audience = options_.expectations.audience;
  request.issued_at = issued_at;
  request.expires_at = expires_at;
  return mint_token(request, keys()->session_key(), kSessionKid);
}

// When no token that it concerns is good any more, by what the caller says and by what no token may exceed.
int64_t Account::until(const Revocation& revocation) const {
  const int64_t leeway = milliseconds(options_.expectations.leeway);
  // Whoever made the token may have had a clock that is ahead by as much as is allowed.
  const int64_t from = revocation.at + 2 * leeway;
  int64_t end = revocation.until == Revocation::kForever ? Revocation::kForever : revocation.until + leeway;
  if (revocation.kind == RevocationKind::session) {
    // The store remembers for ever that the session is closed, and refuses its tokens by that.
    return std::min(end, from + milliseconds(options_.session_ttl_max));
  }
  if (const auto& longest = options_.expectations.lifetime_max) {
    end = std::min(end, from + std::max(milliseconds(*longest), milliseconds(options_.session_ttl_max)));
  }
  return end;
}

Task<Result<Revocation>> Account::revoke(Revocation revocation, AuditRecord record) {
  Worker& from = *Worker::current();
  Worker& owner = workers_.at(0);
  co_await owner.enter();
  const RevocationSet::Pointer before = revocations_.load();
  if (before->size() >= options_.revocations_max &&
      !before->contains(revocation.kind, revocation.tenant, revocation.subject)) {
    co_await from.enter();
    co_return fail(Code::too_large, "as many revocations are in force as limits.revocations allows");
  }
  revocation.at = clock_.unix_ms();
  revocation.until = until(revocation);
  if (revocation.until <= revocation.at) {
    co_await from.enter();
    co_return invalid_field("expires_at", "every such token has expired already");
  }
  record.at = revocation.at;
  auto stored = co_await database_.write([&](Transaction& tx) -> Result<Revocation> {
    store_audit(tx, record);
    return store::insert(tx, revocation);
  });
  if (!stored.ok()) {
    co_await from.enter();
    co_return stored.error();
  }
  revocation = std::move(*stored);
  replace_revocations(revocations_.load()->with(revocation));
  sweep_at(revocation.until);
  log_audit(record);
  if (listener_) {
    listener_(revocation);
  }
  co_await from.enter();
  co_return revocation;
}

void Account::replace_revocations(RevocationSet::Pointer set) {
  in_force_.set(static_cast<int64_t>(set->size()));
  revocations_.store(std::move(set));
}

Task<Result<Account::AuditPage>> Account::audit(TenantId tenant, int64_t before, int limit) {
  co_return co_await database_.read([&](Transaction& tx) -> Result<AuditPage> {
    AuditPage page;
    page.records = audit_before(tx, tenant, before, limit + 1);
    page.has_more = page.records.size() > static_cast<size_t>(limit);
    if (page.has_more) {
      page.records.pop_back();
    }
    return page;
  });
}

void Account::sweep_at(int64_t unix_ms) {
  if (unix_ms >= next_sweep_) {
    return;
  }
  next_sweep_ = unix_ms;
  const auto wait = std::chrono::milliseconds(unix_ms - clock_.unix_ms());
  workers_.at(0).arm(sweep_timer_, std::max<std::chrono::nanoseconds>(wait, kSweepAtMostEvery));
}

Task<> Account::sweep() {
  next_sweep_ = INT64_MAX;
  const int64_t now = clock_.unix_ms();
  struct Swept {
    int64_t expired = 0;
    std::optional<int64_t> next;
    bool more_audit = false;
  };
  const auto swept = co_await database_.write([&](Transaction& tx) -> Result<Swept> {
    Swept done;
    done.expired = store::forget_expired(tx, now);
    done.next = store::next_until(tx);
    done.more_audit = forget_audit(tx, now - milliseconds(options_.audit_keep), kAuditPerSweep) == kAuditPerSweep;
    return done;
  });
  sweep_at(now + milliseconds(kSweepAtLeastEvery));
  if (!swept.ok()) {
    log_warn("account.sweep_failed");
    co_return;
  }
  if (swept->expired > 0) {
    replace_revocations(revocations_.load()->without_expired(now));
  }
  if (swept->next) {
    sweep_at(*swept->next);
  }
  if (swept->more_audit) {
    sweep_at(now);
  }
}

}  // namespace tidemark::account
