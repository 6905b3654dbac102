// `tidemark erase-user`: removes what one user has here, in small steps with pauses between them.
//
// Everything may be done again: an erasure that was interrupted is finished by the next one.
#include <thread>

#include "app/operation.h"
#include "app/store.h"
#include "core/json.h"
#include "core/log.h"
#include "core/uuid.h"

namespace tidemark::app {
namespace {

constexpr auto kPauseMin = std::chrono::milliseconds(2);
constexpr int kPauseFactor = 2;  // at most a third of the time is the erasure's
constexpr const char* kActor = "tidemark.sock";  // who asks is known to the system, not here
constexpr auto kGoneWithin = std::chrono::seconds(10);

// One erasure. Owner: the thread of the operation.
class Erasure {
 public:
  Erasure(const Operated& node, const OperationRequest& request, const OperationAnswer& answer)
      : node_(node),
        user_(request.user),
        revoke_(request.revoke),
        answer_(answer),
        pseudonym_("erased-" + make_uuid7(node.clock, node.random).str()) {}

  Status run() {
    for (const auto part : {&Erasure::note, &Erasure::revoke, &Erasure::close_sessions, &Erasure::leave_conversations,
                            &Erasure::erase_entries, &Erasure::erase_documents, &Erasure::forget_devices,
                            &Erasure::forget_sessions, &Erasure::wipe}) {
      if (const Status done = (this->*part)(); !done.ok()) {
        return done;
      }
    }
    return {};
  }

  std::string report() const {
    std::string json;
    JsonWriter(json)
        .begin()
        .field("user_id", user_.user.str())
        .field("tenant_id", user_.tenant.str())
        .field("erased_as", pseudonym_)
        .field("conversations_left", left_)
        .field("messages_removed", progress_.messages)
        .field("documents_deleted", documents_.deleted)
        .field("documents_left", documents_.left)
        .field("entries_changed", progress_.entries + documents_.entries)
        .field("rows_removed", rows_)
        .end();
    return json;
  }

 private:
  Worker& worker() { return node_.workers.at(0); }

  // Calls `step`, which says whether there is more, until there is not.
  template <class F>
  Status repeat(F step) {
    for (;;) {
      if (answer_.cancelled()) {
        return fail(Code::unavailable, "the erasure was interrupted: run the same command again to finish it");
      }
      const auto begin = std::chrono::steady_clock::now();
      const Result<bool> more = step();
      if (!more.ok()) {
        return fail(Code::unavailable, "the store did not answer (" + more.error().text +
                                           "): run the same command again to finish the erasure");
      }
      if (!*more) {
        return {};
      }
      const auto took = std::chrono::steady_clock::now() - begin;
      std::this_thread::sleep_for(std::max<std::chrono::nanoseconds>(kPauseFactor * took, kPauseMin));
    }
  }

  account::AuditRecord record(const char* action, std::string target) const {
    account::AuditRecord record;
    record.at = node_.clock.unix_ms();
    record.tenant = user_.tenant;
    record.actor = kActor;
    record.action = action;
    record.target = std::move(target);
    return record;
  }

  // The audit log says that somebody was erased, and not who.
  Status note() {
    const account::AuditRecord erased = record("user.erase", "user " + pseudonym_);
    const Status stored = node_.store.database->write_now([&](storage::Transaction& tx) -> Status {
      account::store_audit(tx, erased);
      return {};
    });
    if (stored.ok()) {
      account::log_audit(erased);
    }
    return stored;
  }

  // First, so that nobody comes back with an old token while the rest goes on.
  Status revoke() {
    if (!revoke_) {
      return {};
    }
    account::Revocation revocation;
    revocation.kind = account::RevocationKind::user;
    revocation.tenant = user_.tenant;
    revocation.subject = user_.user.str();
    const auto revoked = wait_on<Result<account::Revocation>>(worker(), [&] {
      return node_.account.revoke(revocation, record("revocation.create", "user " + user_.user.str()));
    });
    return revoked.ok() ? Status() : Status(revoked.error());
  }

  Status close_sessions() {
    const Status closed = wait_on<Status>(worker(), [this] { return node_.sessions.close_all(user_); });
    if (!closed.ok()) {
      return closed;
    }
    // What a connection still has to say of its cursors it says when it closes.
    Worker& home = node_.sessions.home_of(user_);
    const auto deadline = std::chrono::steady_clock::now() + kGoneWithin;
    return repeat([&]() -> Result<bool> {
      const bool connected = wait_on<bool>(
          home, [this]() -> Task<bool> { co_return !node_.sessions.connections_of(user_).empty(); });
      return connected && std::chrono::steady_clock::now() < deadline;
    });
  }

  Status leave_conversations() {
    return repeat([this]() -> Result<bool> {
      auto left = wait_on<Result<bool>>(worker(), [this] { return node_.conversations.leave_one(user_); });
      left_ += left.ok() && *left;
      return left;
    });
  }

  Status erase_entries() {
    return repeat([this]() -> Result<bool> {
      const auto progress = wait_on<Result<conversation::EraseProgress>>(
          worker(), [this] { return node_.conversations.erase_some(user_, pseudonym_, progress_); });
      if (!progress.ok()) {
        return progress.error();
      }
      progress_ = *progress;
      return !progress_.done;
    });
  }

  Status erase_documents() {
    return repeat([this]() -> Result<bool> {
      const auto progress = wait_on<Result<document::EraseProgress>>(
          worker(), [this] { return node_.documents.erase_some(user_, pseudonym_, documents_); });
      if (!progress.ok()) {
        return progress.error();
      }
      documents_ = *progress;
      return !documents_.done;
    });
  }

  Status forget_devices() {
    const Status dropped = wait_on<Status>(worker(), [this]() -> Task<Status> {
      co_await node_.devices.drop_unstored(user_);
      co_return Status();
    });
    if (!dropped.ok()) {
      return dropped;
    }
    return repeat([this]() -> Result<bool> {
      return count(node_.store.database->write_now([this](storage::Transaction& tx) -> Result<int64_t> {
        return device::Devices::forget_some(tx, user_, pseudonym_);
      }));
    });
  }

  Status forget_sessions() {
    return repeat([this]() -> Result<bool> {
      return count(node_.store.database->write_now([this](storage::Transaction& tx) -> Result<int64_t> {
        return session::Sessions::forget_some(tx, user_);
      }));
    });
  }

  // What was removed is overwritten in the file; the full-text index and the log still have it.
  Status wipe() {
    bool first = true;
    const Status tidied = repeat([&]() -> Result<bool> {
      const bool begins = std::exchange(first, false);
      return node_.store.database->write_now([begins](storage::Transaction& tx) -> Result<bool> {
        return conversation::Conversations::tidy_index(tx, begins) || begins;
      });
    });
    return tidied.ok() ? node_.store.database->wipe_log() : tidied;
  }

  Result<bool> count(const Result<int64_t>& gone) {
    if (!gone.ok()) {
      return gone.error();
    }
    rows_ += *gone;
    return *gone > 0;
  }

  const Operated& node_;
  const UserKey user_;
  const bool revoke_;
  const OperationAnswer& answer_;
  const std::string pseudonym_;
  conversation::EraseProgress progress_;
  document::EraseProgress documents_;
  int64_t left_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

Status erase_user(const Operated& node, const OperationRequest& request, const OperationAnswer& answer) {
  const std::string& tenant = request.user.tenant.str();
  log_info("erasure.started", {{"tenant", tenant}});
  Erasure erasure(node, request, answer);
  const Status done = erasure.run();
  if (!done.ok()) {
    log_warn("erasure.failed", {{"tenant", tenant}, {"error", done.error().text}});
    return done;
  }
  log_info("erasure.done", {{"tenant", tenant}});
  answer.print(erasure.report());
  return {};
}

}  // namespace tidemark::app
