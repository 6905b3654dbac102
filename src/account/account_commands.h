// The rows of the account room. Private to it.
#pragma once

#include "account/account.h"

namespace tidemark::account {

class AccountCommands {
 public:
  explicit AccountCommands(Account& account) : account_(account) {}
  void add_to(command::Table& table);

 private:
  using Answer = Task<Result<command::Reply>>;
  Answer revoke(command::Caller caller, command::Request request);
  Answer audit(command::Caller caller, command::Request request);

  Account& account_;
};

}  // namespace tidemark::account
