#include "app/node.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account/token.h"

namespace tidemark::app {
namespace {

using ::testing::StartsWith;

constexpr char kSecret[] = "the secret of a node in steps, of 32 bytes or more";

// A whole node on this thread: nothing happens between two steps.
class NodeInSteps : public ::testing::Test {
 protected:
  NodeInSteps() {
    ConfigSources sources;
    sources.set = {"storage.url=memory:", "node.id=stepped", "node.workers=2", "limits.memory=1024GiB",
                   std::string("auth.hs256_secret=") + kSecret};
    auto loaded = load_config(sources);
    EXPECT_TRUE(loaded.ok());
    for (Listener* const listener : {&loaded->config.http.listen, &loaded->config.session.metrics_listen,
                                     &loaded->config.gateway.metrics_listen}) {
      listener->reset();
    }
    NodeOptions options;
    options.stepped = &world_;
    auto node = Node::make(loaded->config, std::move(options));
    EXPECT_TRUE(node.ok());
    node_ = std::move(*node);
    EXPECT_TRUE(node_->start().ok());
    settle();
  }
  ~NodeInSteps() override {
    node_.reset();
    ::close(client_);
  }

  void step_workers() {
    constexpr int kQuietRounds = 3;  // sockets do not say whether they have something
    for (int quiet = 0; quiet < kQuietRounds; ++quiet) {
      for (int i = 0; i < node_->workers().size(); ++i) {
        node_->workers().at(i).step();
      }
      for (int i = 0; i < node_->workers().size(); ++i) {
        quiet = node_->workers().at(i).has_posts() ? 0 : quiet;
      }
    }
  }
  void settle() {
    for (bool worked = true; worked;) {
      step_workers();
      worked = false;
      for (size_t lane = 0; lane < storage_.lanes(); ++lane) {
        worked = storage_.step(lane) || worked;
      }
    }
  }

  // Asks for a WebSocket on a new connection; what was sent there is not read any more.
  void ask(const std::string& query = {}) {
    ::close(client_);
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client_ = ends[0];
    node_->adopt(0, ends[1]);
    account::MintRequest alice;
    alice.user = UserId("alice");
    alice.tenant = TenantId("default");
    alice.issued_at = clock_.unix_ms() / 1000;
    alice.expires_at = alice.issued_at + 3600;
    const std::string request =
        "GET /api/v1/ws/connect" + query + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" +
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
        "Authorization: Bearer " + account::mint_token(alice, Secret(kSecret)) + "\r\n\r\n";
    ASSERT_EQ(::write(client_, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  }
  std::string answer() const {
    char bytes[16384];
    const ssize_t got = ::read(client_, bytes, sizeof bytes);
    return {bytes, static_cast<size_t>(std::max<ssize_t>(got, 0))};
  }

  ManualClock clock_;
  SeededRandom random_{1};
  storage::Stepper storage_;
  SteppedWorld world_{clock_, random_, storage_, [this] { settle(); }};
  std::unique_ptr<Node> node_;
  int client_ = -1;
};

TEST_F(NodeInSteps, AConnectionThatIsBeingLookedUpWhenTheNodeEndsIsRefused) {
  ask();
  settle();
  const std::string first = answer();
  ASSERT_THAT(first, StartsWith("HTTP/1.1 101"));
  constexpr std::string_view kName = "\"session_id\":\"";
  const size_t at = first.find(kName);
  ASSERT_NE(at, std::string::npos);
  const std::string session = first.substr(at + kName.size(), 36);

  ask("?device_id=default&session_id=" + session);
  step_workers();
  EXPECT_EQ(answer(), "") << "the store has not said yet whether there is such a session";
  node_->stop();
  EXPECT_THAT(answer(), StartsWith("HTTP/1.1 503"));
}

}  // namespace
}  // namespace tidemark::app
