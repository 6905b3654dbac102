#include "app/data_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace tidemark::app {
namespace {

namespace fs = std::filesystem;

class DataDirectoryTest : public ::testing::Test {
 protected:
  DataDirectoryTest() {
    std::string name = (fs::temp_directory_path() / "tidemark-data-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  ~DataDirectoryTest() override { fs::remove_all(root_); }

  std::string database() const { return (root_ / "a" / "b" / "store.db").string(); }
  static int mode_of(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  }
  static std::string content_of(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path root_;
};

TEST_F(DataDirectoryTest, IsMadeForItsOwnerOnly) {
  ASSERT_TRUE(DataDirectory::open(database()).ok());
  EXPECT_EQ(mode_of(root_ / "a" / "b"), 0700);
}

TEST_F(DataDirectoryTest, LeavesTheModeOfADirectoryThatWasThere) {
  fs::create_directories(root_ / "a" / "b");
  fs::permissions(root_ / "a" / "b", fs::perms(0750));
  ASSERT_TRUE(DataDirectory::open(database()).ok());
  EXPECT_EQ(mode_of(root_ / "a" / "b"), 0750);
}

TEST_F(DataDirectoryTest, IsHeldByOneAtATime) {
  std::optional<Result<DataDirectory>> first = DataDirectory::open(database());
  ASSERT_TRUE(first->ok());
  const auto second = DataDirectory::open(database());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_NE(second.error().text.find("another tidemark"), std::string::npos);
  EXPECT_NE(second.error().text.find((root_ / "a" / "b").string()), std::string::npos);
  first.reset();
  EXPECT_TRUE(DataDirectory::open(database()).ok());
}

TEST_F(DataDirectoryTest, ARefusalDoesNotFreeTheLock) {
  const auto first = DataDirectory::open(database());
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(DataDirectory::open(database()).ok());
  EXPECT_FALSE(DataDirectory::open(database()).ok());
}

TEST_F(DataDirectoryTest, MovesWithItsLock) {
  auto first = DataDirectory::open(database());
  ASSERT_TRUE(first.ok());
  {
    const DataDirectory moved = std::move(*first);
    EXPECT_FALSE(DataDirectory::open(database()).ok());
  }
  EXPECT_TRUE(DataDirectory::open(database()).ok());
}

TEST_F(DataDirectoryTest, CannotBeAFile) {
  std::ofstream(root_ / "a") << "file";
  const auto below = DataDirectory::open(database());
  ASSERT_FALSE(below.ok());
  EXPECT_EQ(below.error().code, Code::unavailable);
  const auto itself = DataDirectory::open((root_ / "a" / "store.db").string());
  ASSERT_FALSE(itself.ok());
  EXPECT_NE(itself.error().text, "");
}

TEST_F(DataDirectoryTest, KeepsTheSecretOfADevelopmentRunForItsOwner) {
  const auto directory = DataDirectory::open(database());
  ASSERT_TRUE(directory.ok());
  ASSERT_TRUE(directory->write_dev_secret("a longer secret").ok());
  ASSERT_TRUE(directory->write_dev_secret("shorter").ok());
  const std::string path = DataDirectory::dev_secret_path(database());
  EXPECT_EQ(content_of(path), "shorter");
  EXPECT_EQ(mode_of(path), 0600);
  directory->remove_dev_secret();
  EXPECT_FALSE(fs::exists(path));
  directory->remove_dev_secret();
}

TEST_F(DataDirectoryTest, TakesTheSecretFromOthersWhoCouldReadTheFileBefore) {
  const auto directory = DataDirectory::open(database());
  ASSERT_TRUE(directory.ok());
  const std::string path = DataDirectory::dev_secret_path(database());
  std::ofstream(path) << "old";
  fs::permissions(path, fs::perms(0644));
  ASSERT_TRUE(directory->write_dev_secret("secret").ok());
  EXPECT_EQ(mode_of(path), 0600);
}

TEST_F(DataDirectoryTest, ADatabaseWithoutADirectoryIsHere) {
  EXPECT_EQ(DataDirectory::dev_secret_path("store.db"), "./dev.secret");
}

}  // namespace
}  // namespace tidemark::app
