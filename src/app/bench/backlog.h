// What a scenario finds in the store: messages that were written before it begins.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/bench/load_client.h"
#include "app/bench/message_source.h"

namespace tidemark::app {

// Writes `each` messages to each of many receivers, as fast as the server takes them.
//
// Owner: one thread. The messages of one receiver are written one after another by one writer.
class Backlog final : public LoadHandler {
 public:
  struct Plan {
    std::string address;       // "to" or "conversation_id"
    size_t receivers = 0;
    size_t each = 0;
    size_t writers = 1;
    size_t payload = 128;
    size_t first_address = 0;  // of the connections among those of all threads
    std::function<std::string(size_t receiver)> receiver_of;
    std::function<std::string(size_t writer)> user_of;
  };
  Backlog(const Target& target, const Accounts& accounts, Plan plan);

  // Returns when everything is answered. unavailable with the first refusal.
  Status write();

  void on_text(size_t connection, std::string_view payload, Instant received) override;
  void on_turn() override;

 private:
  static constexpr size_t kWindow = 32;  // receivers of one writer that are served at once

  void send(size_t receiver);
  void begin_next(size_t writer);

  const Accounts& accounts_;
  const Plan plan_;
  LoadClient client_;
  IncomingReader reader_;
  SystemClock clock_;
  std::vector<uint64_t> written_;      // by receiver: answered
  std::vector<size_t> next_receiver_;  // by writer: they serve every writers-th one
  std::string ids_;                    // what the ids of this backlog begin with
  std::string text_;
  uint64_t answered_ = 0;
  uint64_t answered_before_ = 0;
  Instant last_progress_{};
};

}  // namespace tidemark::app
