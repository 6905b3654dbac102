// What stands in files: secrets, and the configuration's YAML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "app/config_fixture.h"

namespace tidemark::app {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

TEST_F(ConfigLoading, SecretsAreLongAndHidden) {
  sources_.set = {"auth.hs256_secret=" + kLongSecret};
  EXPECT_EQ(load().auth.hs256_secret.reveal(), kLongSecret);
  EXPECT_EQ(entry("auth.hs256_secret").value, "[hidden]");
  EXPECT_EQ(entry("auth.hs256_secret_previous").value, "none");
  EXPECT_THAT(check_config_text(*load_config(sources_)), Not(HasSubstr(kLongSecret)));

  EXPECT_EQ(set_refused("auth.hs256_secret=" + kLongSecret.substr(1)),
            "auth.hs256_secret: the secret has 31 bytes; allowed: at least 32 bytes (--set)");
  EXPECT_THAT(set_refused("auth.hs256_secret_previous=short"), Not(HasSubstr("short")));
  EXPECT_THAT(set_refused("auth.hs256_secret="), HasSubstr("the secret has 0 bytes"));
}

TEST_F(ConfigLoading, SecretsAndUrlsComeFromFilesToo) {
  const std::string secret = file("secret", kLongSecret + "\r\n");
  const std::string previous = file("previous", kLongSecret + "\n\n");
  const std::string url = file("url", "sqlite:/x.db\n");
  sources_.set = {"auth.hs256_secret_file=" + secret, "storage.url_file=" + url};
  sources_.environment = {{"TIDEMARK_AUTH_HS256_SECRET_PREVIOUS_FILE", previous}};
  const Config config = load();
  EXPECT_EQ(config.auth.hs256_secret.reveal(), kLongSecret);
  EXPECT_EQ(config.auth.hs256_secret_previous.reveal(), kLongSecret + "\n");
  EXPECT_EQ(config.storage.url, "sqlite:/x.db");
  EXPECT_EQ(entry("auth.hs256_secret").origin, "--set, read from " + secret);
  EXPECT_EQ(entry("auth.hs256_secret").value, "[hidden]");
}

TEST_F(ConfigLoading, ASecretTwiceAMissingOrAHugeFileIsRefused) {
  const std::string secret = file("secret", kLongSecret);
  yaml("auth: {hs256_secret: " + kLongSecret + "}");
  sources_.set = {"auth.hs256_secret_file=" + secret};
  EXPECT_THAT(refused(), AllOf(HasSubstr("auth.hs256_secret: auth.hs256_secret_file is given too"),
                               HasSubstr("conf.yaml:1; --set"), Not(HasSubstr(kLongSecret))));
  EXPECT_THAT(set_refused("auth.hs256_secret_file=" + folder_ + "/none"),
              AllOf(StartsWith("auth.hs256_secret: file "), HasSubstr("cannot be read: No such file")));
  EXPECT_THAT(set_refused("auth.hs256_secret_file=" + folder_), HasSubstr("cannot be read: Is a directory"));
  EXPECT_THAT(set_refused("auth.hs256_secret_file=" + file("short", "x\n")), HasSubstr("the secret has 1 bytes"));
  EXPECT_THAT(set_refused("auth.hs256_secret_file=" + file("huge", std::string(65'537, 'x'))),
              HasSubstr("is longer than 64KiB"));
  sources_.set = {"auth.hs256_secret_file=" + file("large", std::string(65'536, 'x'))};
  load();
}

TEST_F(ConfigLoading, TheFileMustBeAMapOfPlainValues) {
  EXPECT_THAT(yaml_refused("just text"), HasSubstr("a map of keys is expected"));
  EXPECT_THAT(yaml_refused("- log.level"), HasSubstr("a map of keys is expected"));
  EXPECT_THAT(yaml_refused("limits: 5"), StartsWith("limits: a group of keys, not a key"));
  EXPECT_THAT(yaml_refused("limits: [5]"), StartsWith("limits: a group of keys, not a key"));
  EXPECT_THAT(yaml_refused("limits: {frame: [1KiB]}"), StartsWith("limits.frame: a list is not allowed"));
  EXPECT_THAT(yaml_refused("limits: {frame: {bytes: 1KiB}}"), StartsWith("limits.frame.bytes: unknown key"));
  EXPECT_THAT(yaml_refused("limits:\n  frame:\n"), StartsWith("limits.frame: no value is given"));
  EXPECT_THAT(yaml_refused("limits: {frame: {}}"), StartsWith("limits.frame: unknown key"));
  EXPECT_THAT(yaml_refused("wrong: {}"), StartsWith("wrong: unknown key"));
  EXPECT_THAT(yaml_refused("wrong:\n  deep:\n    er: 1\n"), StartsWith("wrong.deep.er: unknown key"));
  EXPECT_THAT(yaml_refused("wrong:"), StartsWith("wrong: no value is given"));
  EXPECT_THAT(yaml_refused("http: {allowed_origins: [[a]]}"), HasSubstr("a list holds plain values only"));
  EXPECT_THAT(yaml_refused("http: {allowed_origins: [{a: b}]}"), HasSubstr("a list holds plain values only"));
  EXPECT_THAT(yaml_refused("http: {allowed_origins: [~]}"), HasSubstr("a list holds plain values only"));
  EXPECT_THAT(yaml_refused("{? [a] : b}"), HasSubstr("a key is a plain name"));
  EXPECT_THAT(yaml_refused("'': b"), HasSubstr("a key is empty"));
  EXPECT_THAT(yaml_refused("auth: {hs256_secret_file: [a]}"), HasSubstr("one path, not a list"));
  EXPECT_THAT(yaml_refused("\"a\\nb\": 1"), StartsWith("a?b: unknown key"));
}

TEST_F(ConfigLoading, AnEmptyFileAndEmptyGroupsAreFine) {
  for (const char* text : {"", "# nothing\n", "---\n", "limits:\n#  frame: 1KiB\nlog: {}\n", "\xEF\xBB\xBFlog: {}\n"}) {
    EXPECT_EQ(load_yaml(text).limits.frame, 512u * 1024) << text;
  }
}

TEST_F(ConfigLoading, AKeyTwiceIsRefused) {
  EXPECT_THAT(yaml_refused("log.level: info\nlog.level: warn\n"), StartsWith("log.level: given twice (file "));
  EXPECT_THAT(yaml_refused("log: {level: info}\nlog.level: warn\n"), HasSubstr("conf.yaml:2)"));
}

TEST_F(ConfigLoading, AliasesBombsAndSeveralDocumentsAreRefused) {
  EXPECT_THAT(yaml_refused("log: {level: &a info, format: *a}"), HasSubstr("anchors (&name) are not supported"));
  EXPECT_THAT(yaml_refused("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"), HasSubstr("anchors"));
  EXPECT_THAT(yaml_refused("log: {level: info}\n---\nlog: {level: warn}\n"), HasSubstr("here starts another"));
  for (const char* open : {"[", "{", "a: {", "- ", "? "}) {
    std::string deep;
    for (int i = 0; i < 20'000; ++i) {
      deep += open;
    }
    EXPECT_THAT(yaml_refused(deep), HasSubstr("conf.yaml")) << open;
  }
}

TEST_F(ConfigLoading, WhatIsNotYamlIsRefusedWithItsLine) {
  EXPECT_THAT(yaml_refused("log:\n  level: info: warn\n"), AllOf(HasSubstr("conf.yaml:2"), HasSubstr(": not YAML: ")));
  EXPECT_THAT(yaml_refused("log: *nobody"), HasSubstr("conf.yaml:1"));
  EXPECT_THAT(yaml_refused("log.level: \"\xff\""), HasSubstr("not UTF-8"));
  EXPECT_THAT(yaml_refused(std::string("log.level: info\0", 16)), HasSubstr("not UTF-8"));
  EXPECT_THAT(yaml_refused(std::string((1 << 20) + 1, '#')), HasSubstr("is longer than 1MiB"));
  sources_.file = folder_ + "/none.yaml";
  EXPECT_THAT(refused(), HasSubstr("none.yaml cannot be read: No such file"));
}

}  // namespace
}  // namespace tidemark::app
