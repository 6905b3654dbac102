#include "gateway/extension.h"

#include <gtest/gtest.h>

namespace tidemark::gateway {
namespace {

constexpr char kAccepted[] =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12";

// What is answered to these Sec-WebSocket-Extensions lines.
std::string answer(const std::vector<std::string>& lines) {
  RequestHead head;
  for (const std::string& line : lines) {
    head.insert(boost::beast::http::field::sec_websocket_extensions, line);
  }
  return accept_deflate(head);
}

TEST(DeflateOffer, IsAcceptedWithoutContext) {
  EXPECT_EQ(answer({"permessage-deflate"}), kAccepted);
  EXPECT_EQ(answer({"Permessage-Deflate"}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits=8"}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=\"15\""}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate;server_no_context_takeover ; client_no_context_takeover"}), kAccepted);
}

TEST(DeflateOffer, IsDeclined) {
  EXPECT_EQ(answer({}), "");
  EXPECT_EQ(answer({"x-webkit-deflate-frame"}), "");
  EXPECT_EQ(answer({"permessage-bzip2; permessage-deflate"}), "");
  for (const char* const parameter :
       {"server_max_window_bits=11", "server_max_window_bits=8", "server_max_window_bits=7", "server_max_window_bits=16",
        "server_max_window_bits=012", "server_max_window_bits=4294967308", "server_max_window_bits=1x",
        "server_max_window_bits", "client_max_window_bits=16", "client_max_window_bits=7", "client_max_window_bits=08",
        "server_no_context_takeover=1", "client_no_context_takeover=true", "level=9",
        "client_max_window_bits; client_max_window_bits=15", "server_no_context_takeover; server_no_context_takeover"}) {
    EXPECT_EQ(answer({std::string("permessage-deflate; ") + parameter}), "") << parameter;
  }
}

TEST(DeflateOffer, TheFirstAcceptableOneCounts) {
  EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=9, permessage-deflate"}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate; unknown, permessage-deflate"}), kAccepted);
  EXPECT_EQ(answer({"permessage-deflate; unknown, foo"}), "");
  EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits, permessage-deflate; unknown"}), kAccepted);
  EXPECT_EQ(answer({"foo; bar=1, permessage-deflate; unknown", "permessage-deflate; client_max_window_bits"}), kAccepted);
}

TEST(DeflateOffer, AMalformedHeaderIsNoOffer) {
  EXPECT_EQ(answer({""}), "");
  EXPECT_EQ(answer({";;;"}), "");
  EXPECT_EQ(answer({"=permessage-deflate"}), "");
  EXPECT_EQ(answer({"permessage-deflate; =15"}), "");
  EXPECT_EQ(answer({std::string(5000, ',')}), "");
}

}  // namespace
}  // namespace tidemark::gateway
