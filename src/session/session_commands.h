// The rows of the session room. Private to it.
#pragma once

#include "session/session.h"

namespace tidemark::session {

class SessionCommands {
 public:
  explicit SessionCommands(Sessions& sessions) : sessions_(sessions) {}
  void add_to(command::Table& table);

 private:
  using Answer = Task<Result<command::Reply>>;
  Answer create(command::Caller caller, command::Request request);
  Answer list(command::Caller caller, command::Request request);
  Answer get(command::Caller caller, command::Request request);
  Answer update(command::Caller caller, command::Request request);
  Answer close(command::Caller caller, command::Request request);
  Answer heartbeat(command::Caller caller, command::Request request);
  Answer online(command::Caller caller, command::Request request);

  Sessions& sessions_;
};

}  // namespace tidemark::session
