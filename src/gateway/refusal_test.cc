#include "gateway/refusal.h"

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>

namespace tidemark::gateway {
namespace {

using boost::asio::ip::tcp;

// A refusal on a stepped worker, and the client at the other end of its socket.
class RefusalTest : public testing::Test {
 protected:
  RefusalTest() {
    tcp::acceptor acceptor(client_io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    client_.connect(acceptor.local_endpoint());
    tcp::socket server = acceptor.accept(worker_.io());
    server.non_blocking(true);
    refusal_ = std::make_shared<Refusal>(worker_, StreamSocket(std::move(server)), "HTTP/1.1 401 Unauthorized\r\n\r\n");
  }

  bool answered() { return client_.available() > 0; }

  ManualClock clock_;
  WorkerPool workers_{1, clock_};
  Worker& worker_ = workers_.at(0);
  boost::asio::io_context client_io_;
  tcp::socket client_{client_io_};
  std::shared_ptr<Refusal> refusal_;
};

TEST_F(RefusalTest, AnswersWhenTheTurnHasGivenEverythingBack) {
  bool answered_within_the_turn = true;
  worker_.post([&] {
    refusal_->start();
    answered_within_the_turn = answered();
  });
  worker_.step();
  EXPECT_FALSE(answered_within_the_turn);
  std::string answer;
  boost::system::error_code end;
  boost::asio::read(client_, boost::asio::dynamic_buffer(answer), end);
  EXPECT_EQ(answer, "HTTP/1.1 401 Unauthorized\r\n\r\n");
  EXPECT_EQ(end, boost::asio::error::eof);
}

TEST_F(RefusalTest, GoesWhenTheClientHasGone) {
  const std::weak_ptr<Refusal> alive = refusal_;
  worker_.post([refusal = std::move(refusal_)] { refusal->start(); });
  worker_.step();
  EXPECT_FALSE(alive.expired()) << "it reads what the client has on its way";
  client_.close();
  worker_.step();
  EXPECT_TRUE(alive.expired());
}

TEST_F(RefusalTest, DoesNotWaitForeverForAClientThatStays) {
  const std::weak_ptr<Refusal> alive = refusal_;
  worker_.post([refusal = std::move(refusal_)] { refusal->start(); });
  worker_.step();
  clock_.advance(std::chrono::seconds(3));
  worker_.step();
  worker_.step();
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace tidemark::gateway
