// For tests: sources of a configuration, and what becomes of them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "app/config.h"

namespace tidemark::app {

inline const std::string kLongSecret(32, 's');

class ConfigLoading : public testing::Test {
 protected:
  ConfigLoading() : folder_(testing::TempDir() + "tidemark_config_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~ConfigLoading() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  ConfigSources& yaml(const std::string& content) {
    sources_.file = file("conf.yaml", content);
    return sources_;
  }

  Config load() {
    auto loaded = load_config(sources_);
    EXPECT_TRUE(loaded.ok()) << loaded.error().text;
    entries_ = loaded->entries;
    return loaded->config;
  }
  Config load_yaml(const std::string& content) {
    yaml(content);
    return load();
  }
  // The text of the error, which must be there.
  std::string refused() {
    const auto loaded = load_config(sources_);
    EXPECT_FALSE(loaded.ok());
    field_ = loaded.ok() ? "" : loaded.error().field;
    return loaded.ok() ? "" : loaded.error().text;
  }
  std::string yaml_refused(const std::string& content) {
    yaml(content);
    return refused();
  }
  std::string set_refused(const std::string& argument) {
    sources_ = {};
    sources_.set = {argument};
    return refused();
  }
  ConfigEntry entry(const std::string& key) const {
    for (const ConfigEntry& entry : entries_) {
      if (entry.key == key) {
        return entry;
      }
    }
    ADD_FAILURE() << key;
    return {};
  }

  std::string folder_;
  ConfigSources sources_;
  std::vector<ConfigEntry> entries_;
  std::string field_;
};

}  // namespace tidemark::app
