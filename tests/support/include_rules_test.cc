// Enforces the floors and arrows of the house (ARCHITECTURE.md) over the real #include lines of src/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark {
namespace {

namespace fs = std::filesystem;

enum class Floor { ground, engine, rooms, doors, roof };

// Every module of src/; a directory that is not here is a violation.
const std::map<std::string, Floor, std::less<>> kFloors = {
    {"core", Floor::ground},
    {"storage", Floor::engine},  {"bus", Floor::engine},     {"stream", Floor::engine}, {"command", Floor::engine},
    {"account", Floor::rooms},   {"session", Floor::rooms},  {"presence", Floor::rooms}, {"device", Floor::rooms},
    {"document", Floor::rooms},  {"conversation", Floor::rooms},
    {"gateway", Floor::doors},   {"http", Floor::doors},     {"rpc", Floor::doors},
    {"app", Floor::roof},
};

// What may be included sideways. Doors do not include one another.
const std::map<std::string, std::set<std::string, std::less<>>, std::less<>> kArrows = {
    {"stream", {"storage", "bus"}},
    {"command", {"stream", "storage"}},
    {"session", {"account"}},
    {"presence", {"account", "session"}},
    {"device", {"account", "session"}},
    {"document", {"account", "session"}},
    // The arrow is conversation -> device; whoever uses device gets session with it, because device.h is made of it.
    {"conversation", {"account", "device", "session"}},
};

// A room's door is `<room>/<room>.h`. account.h is made of more files, which belong to the door. The engine of documents
// is a value with a door of its own.
bool is_door(std::string_view module, std::string_view file) {
  static const std::set<std::string_view> kAccount = {"audit.h", "keys.h", "revocation.h", "token.h"};
  return file == std::string(module) + ".h" || (module == "account" && kAccount.contains(file)) ||
         (module == "document" && file == "engine/document.h");
}

// Tests may look into everything.
bool is_exempt(const std::string& name) {
  return name.ends_with("_test.cc") || name.ends_with("_fixture.h") || name.starts_with("test_");
}

// What is wrong with `from` including `module/file`, if anything is.
std::optional<std::string> complaint(std::string_view from, std::string_view module, std::string_view file) {
  const auto floor = kFloors.find(module);
  if (floor == kFloors.end()) {
    return "is of no known module";
  }
  if (from == module) {
    return std::nullopt;
  }
  const Floor own = kFloors.find(from)->second;
  if (floor->second > own) {
    return "points up";
  }
  if (floor->second == own) {
    const auto arrows = kArrows.find(from);
    if (arrows == kArrows.end() || !arrows->second.contains(module)) {
      return "goes sideways where there is no arrow";
    }
  }
  if (floor->second == Floor::rooms && !is_door(module, file)) {
    return "is private to its room";
  }
  const bool names_backend = (module == "storage" && file.starts_with("sqlite_")) ||
                             (module == "bus" && (file == "redis_bus.h" || file == "local_bus.h"));
  if (names_backend && from != "app") {
    return "names a backend, which only app may do";
  }
  return std::nullopt;
}

// The x of every line `#include "x"`.
std::vector<std::string> includes_of(const fs::path& path) {
  std::vector<std::string> found;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    line.erase(0, line.find_first_not_of(" \t"));
    if (!line.starts_with('#') || line.find("include") == std::string::npos) {
      continue;
    }
    const size_t start = line.find('"');
    const size_t end = start == std::string::npos ? start : line.find('"', start + 1);
    if (end != std::string::npos) {
      found.push_back(line.substr(start + 1, end - start - 1));
    }
  }
  return found;
}

// "conversation/service.cc: gateway/gateway.h points up", one for each violation under `source`, sorted.
std::vector<std::string> violations_in(const fs::path& source, size_t* includes_seen = nullptr) {
  std::vector<std::string> violations;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source)) {
    const std::string extension = entry.path().extension().string();
    const bool is_source = entry.is_regular_file() && (extension == ".h" || extension == ".cc");
    if (!is_source || is_exempt(entry.path().filename().string())) {
      continue;
    }
    const fs::path relative = fs::relative(entry.path(), source);
    const std::string from = relative.begin()->string();
    if (!kFloors.contains(from)) {
      violations.push_back(relative.string() + ": is of no known module");
      continue;
    }
    for (const std::string& included : includes_of(entry.path())) {
      const size_t slash = included.find('/');
      if (slash == std::string::npos) {
        continue;  // generated beside the build
      }
      if (includes_seen != nullptr) {
        ++*includes_seen;
      }
      const std::string_view view = included;
      if (const auto wrong = complaint(from, view.substr(0, slash), view.substr(slash + 1))) {
        violations.push_back(relative.string() + ": " + included + " " + *wrong);
      }
    }
  }
  std::sort(violations.begin(), violations.end());
  return violations;
}

TEST(IncludeRules, HoldInTheSources) {
  size_t includes = 0;
  EXPECT_THAT(violations_in(fs::path(TIDEMARK_SOURCE_DIR) / "src", &includes), ::testing::IsEmpty());
  EXPECT_GT(includes, 300u) << "the sources were not found";
}

// A small tree of files, each with its includes.
class FakeTree : public ::testing::Test {
 protected:
  FakeTree() {
    std::string name = (fs::temp_directory_path() / "tidemark-includes-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~FakeTree() override { fs::remove_all(root_); }

  std::vector<std::string> violations(const std::string& file, const std::string& included) {
    fs::remove_all(root_);
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << "#pragma once\n#include <vector>\n\n#include \"" << included << "\"\n";
    return violations_in(root_);
  }
  bool allowed(const std::string& file, const std::string& included) { return violations(file, included).empty(); }

  fs::path root_;
};

TEST_F(FakeTree, AnIncludeThatPointsUpIsFound) {
  EXPECT_THAT(violations("core/worker.h", "stream/frame.h"),
              ::testing::ElementsAre("core/worker.h: stream/frame.h points up"));
  EXPECT_FALSE(allowed("stream/fanout.cc", "conversation/conversation.h"));
  EXPECT_FALSE(allowed("conversation/service.cc", "gateway/gateway.h"));
  EXPECT_FALSE(allowed("gateway/gateway.cc", "app/config.h"));
  EXPECT_TRUE(allowed("app/node.cc", "gateway/gateway.h"));
  EXPECT_TRUE(allowed("gateway/gateway.h", "core/clock.h"));
}

TEST_F(FakeTree, TheEngineHasAnOrder) {
  EXPECT_TRUE(allowed("command/table.h", "stream/fanout.h"));
  EXPECT_TRUE(allowed("stream/store.h", "storage/database.h"));
  EXPECT_FALSE(allowed("storage/database.h", "stream/entry.h"));
  EXPECT_TRUE(allowed("stream/fanout.h", "bus/bus.h"));
  EXPECT_TRUE(allowed("presence/presence_service.cc", "bus/bus.h"));
  EXPECT_FALSE(allowed("bus/redis_bus.cc", "storage/database.h"));
  EXPECT_FALSE(allowed("bus/bus.h", "stream/entry.h"));
  EXPECT_FALSE(allowed("stream/fanout.h", "command/caller.h"));
}

TEST_F(FakeTree, RoomsUseOneAnotherAlongArrowsOnly) {
  EXPECT_TRUE(allowed("session/session.h", "account/account.h"));
  EXPECT_TRUE(allowed("device/device.h", "session/session.h"));
  EXPECT_TRUE(allowed("presence/presence.h", "session/session.h"));
  EXPECT_TRUE(allowed("conversation/service.h", "device/device.h"));
  EXPECT_FALSE(allowed("session/session.h", "device/device.h"));
  EXPECT_FALSE(allowed("device/device.h", "conversation/conversation.h"));
  EXPECT_FALSE(allowed("presence/presence.h", "conversation/conversation.h"));
  EXPECT_FALSE(allowed("conversation/service.h", "presence/presence.h"));
  EXPECT_FALSE(allowed("account/account.h", "session/session.h"));
}

TEST_F(FakeTree, ARoomIsEnteredByItsDoor) {
  EXPECT_THAT(violations("gateway/gateway.cc", "conversation/service.h"),
              ::testing::ElementsAre("gateway/gateway.cc: conversation/service.h is private to its room"));
  EXPECT_FALSE(allowed("app/node.cc", "conversation/model.h"));
  EXPECT_FALSE(allowed("conversation/service.cc", "device/device_store.h"));
  EXPECT_TRUE(allowed("conversation/service.cc", "conversation/model.h"));
  EXPECT_TRUE(allowed("app/config.h", "account/keys.h"));
  EXPECT_FALSE(allowed("app/config.h", "account/jwks.h"));
  EXPECT_TRUE(allowed("app/bench/text_bench.cc", "document/engine/document.h"));
  EXPECT_FALSE(allowed("app/bench/text_bench.cc", "document/engine/state.h"));
}

TEST_F(FakeTree, DoorsDoNotKnowOneAnother) {
  EXPECT_FALSE(allowed("gateway/gateway.cc", "http/server.h"));
  EXPECT_FALSE(allowed("http/server.cc", "gateway/gateway.h"));
}

TEST_F(FakeTree, OnlyTheWiringNamesABackend) {
  EXPECT_TRUE(allowed("app/store.cc", "storage/sqlite_database.h"));
  EXPECT_TRUE(allowed("storage/sqlite_database.cc", "storage/sqlite_connection.h"));
  EXPECT_FALSE(allowed("stream/store.cc", "storage/sqlite_database.h"));
  EXPECT_TRUE(allowed("app/node.cc", "bus/redis_bus.h"));
  EXPECT_TRUE(allowed("bus/redis_bus.cc", "bus/redis_pipe.h"));
  EXPECT_FALSE(allowed("stream/fanout.cc", "bus/redis_bus.h"));
  EXPECT_FALSE(allowed("presence/presence.cc", "bus/local_bus.h"));
}

TEST_F(FakeTree, NoModuleComesInUnseen) {
  EXPECT_FALSE(allowed("util/strings.h", "core/result.h"));
  EXPECT_FALSE(allowed("core/result.h", "util/strings.h"));
  EXPECT_TRUE(allowed("app/version.cc", "build_version.h"));
}

TEST_F(FakeTree, TestsAreExempt) {
  EXPECT_TRUE(allowed("core/worker_test.cc", "stream/frame.h"));
  EXPECT_TRUE(allowed("http/server_fixture.h", "storage/sqlite_database.h"));
  EXPECT_FALSE(allowed("http/server.h", "storage/sqlite_database.h"));
}

}  // namespace
}  // namespace tidemark
