// The account room's door: who somebody is, from the token they show.
//
// Any thread may authenticate; keys are replaced whole (SIGHUP) without stopping anybody.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "account/token.h"

namespace tidemark::account {

class Account {
 public:
  Account(std::shared_ptr<const KeySet> keys, Expectations expectations, const Clock& clock)
      : keys_(std::move(keys)), expectations_(std::move(expectations)), clock_(clock) {}

  // The claims of a token that is good now, else `unauthorized`.
  Result<Claims> authenticate(std::string_view token) const {
    return verify_token(token, *keys(), expectations_, clock_);
  }

  // A token that opens connections with this session, signed with the store's own key.
  std::string mint_session_token(const UserKey& user, const SessionId& session, const DeviceId& device,
                                 int64_t expires_at) const;

  void replace_keys(std::shared_ptr<const KeySet> keys) { keys_.store(std::move(keys)); }

 private:
  std::shared_ptr<const KeySet> keys() const { return keys_.load(); }

  std::atomic<std::shared_ptr<const KeySet>> keys_;
  const Expectations expectations_;
  const Clock& clock_;
};

}  // namespace tidemark::account
