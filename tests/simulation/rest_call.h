// RestCall: one HTTP request to the node and its answer, over a socket of its own.
#pragma once

#include <optional>
#include <string>

#include "world.h"

namespace tidemark::simulation {

class RestCall {
 public:
  // Sends at once; the node is running. The caller is a service that acts for `user`.
  RestCall(World& world, const std::string& user, std::string_view method, const std::string& path,
           const std::string& body);
  ~RestCall();
  RestCall(const RestCall&) = delete;
  RestCall& operator=(const RestCall&) = delete;

  void read();
  bool done() const { return socket_ < 0; }
  int status() const { return status_; }  // 0: cut before an answer came
  const std::string& answer() const { return in_; }
  void cut();

 private:
  int socket_;
  std::string out_;
  std::string in_;
  int status_ = 0;
};

}  // namespace tidemark::simulation
