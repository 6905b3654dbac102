// The offer of extensions in a handshake: whatever it says, the answer is one good header value or none.
#include <string>

#include "fuzz.h"
#include "gateway/extension.h"

namespace tidemark::gateway {

FUZZ_TARGET(extension, bytes) {
  RequestHead head;
  // Several headers are one list.
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    if (end < 8192) {
      head.insert(boost::beast::http::field::sec_websocket_extensions, bytes.substr(0, end));
    }
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  const std::string answer = accept_deflate(head);
  TIDEMARK_CHECK(answer.empty() || answer.starts_with("permessage-deflate"));
  for (const char c : answer) {
    TIDEMARK_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != ',' && c != '"');
  }
}

}  // namespace tidemark::gateway
