#include "command_table.h"

#include "app/config.h"
#include "app/node.h"

namespace tidemark::fuzz {

const command::Table& command_table() {
  static const app::Node* const kNode = [] {
    app::ConfigSources sources;
    sources.set = {"storage.url=memory:", "auth.hs256_secret=a secret of at least thirty-two bytes", "node.workers=1"};
    const auto loaded = app::load_config(sources);
    TIDEMARK_CHECK(loaded.ok());
    auto made = app::Node::make(loaded->config, {});
    TIDEMARK_CHECK(made.ok());
    return std::move(*made).release();  // lives as long as the process
  }();
  return kNode->table();
}

}  // namespace tidemark::fuzz
