#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "app/config_fixture.h"
#include "app/config_table.h"
#include "app/config_value.h"

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

TEST_F(ConfigLoading, DefaultsAreThoseOfTheContract) {
  const Config config = load();
  EXPECT_EQ(config.http.listen, (Endpoint{"0.0.0.0", 8080}));
  EXPECT_THAT(config.http.allowed_origins, IsEmpty());
  EXPECT_EQ(config.gateway.metrics_listen, (Endpoint{"127.0.0.1", 9100}));
  EXPECT_EQ(config.session.metrics_listen, (Endpoint{"127.0.0.1", 9101}));
  EXPECT_EQ(config.session.ttl, 24h);
  EXPECT_EQ(config.session.ttl_max, 720h);
  EXPECT_EQ(config.session.idle_after, 5min);
  EXPECT_EQ(config.storage.url, "sqlite:./data/tidemark.db");
  EXPECT_EQ(config.storage.readers, 2u);
  EXPECT_EQ(config.storage.synchronous, Synchronous::full);
  EXPECT_TRUE(config.auth.hs256_secret.empty());
  EXPECT_FALSE(config.node.id.empty());
  EXPECT_EQ(config.node.workers, std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
  EXPECT_EQ(config.limits.frame, 512u * 1024);
  EXPECT_EQ(config.limits.fragments, 64u);
  EXPECT_EQ(config.limits.depth, 32u);
  EXPECT_EQ(config.limits.content, 256u * 1024);
  EXPECT_EQ(config.limits.data, 64u * 1024);
  EXPECT_EQ(config.limits.queue, 1024u * 1024);
  EXPECT_EQ(config.limits.inflight, 256u);
  EXPECT_EQ(config.limits.write_stall, 10s);
  EXPECT_EQ(config.limits.messages_per_second, 20u);
  EXPECT_EQ(config.limits.messages_burst, 40u);
  EXPECT_EQ(config.limits.members, 10'000u);
  EXPECT_EQ(config.limits.receipt_members, 100u);
  EXPECT_EQ(config.limits.watches, 1'000u);
  EXPECT_EQ(config.limits.connections, 1'000'000u);
  EXPECT_EQ(config.limits.connections_per_user, 20u);
  EXPECT_EQ(config.limits.replay_entries, 1'000u);
  EXPECT_EQ(config.limits.register_timeout, 10s);
  EXPECT_EQ(config.limits.handshake_timeout, 5s);
  EXPECT_EQ(config.limits.http_body, 1024u * 1024);
  EXPECT_EQ(config.heartbeat.interval, 30s);
  EXPECT_EQ(config.heartbeat.timeout, 90s);
  EXPECT_EQ(config.presence.grace, 5s);
  EXPECT_EQ(config.presence.visibility, PresenceVisibility::tenant);
  EXPECT_EQ(config.cursors.store_every, 5s);
  EXPECT_EQ(config.retention.messages, std::nullopt);
  EXPECT_EQ(config.retention.sync, 168h);
  EXPECT_EQ(config.retention.devices, 720h);
  EXPECT_EQ(config.drain.grace, 30s);
  EXPECT_EQ(config.drain.connections_per_second, 500u);
  EXPECT_EQ(config.log.level, LogLevel::info);
  EXPECT_EQ(config.log.format, LogFormat::text);
}

TEST_F(ConfigLoading, LaterSourcesWinAndSayWhereTheyAre) {
  const std::string path = *yaml("limits:\n  frame: 2KiB\n  depth: 5\n  inflight: 6\nlog.level: debug\n").file;
  sources_.environment = {{"TIDEMARK_LIMITS_DEPTH", "7"}, {"TIDEMARK_LIMITS_INFLIGHT", "8"}, {"HOME", "/"}};
  sources_.set = {"limits.inflight=9", "limits.inflight=10"};
  const Config config = load();
  EXPECT_EQ(config.limits.frame, 2048u);
  EXPECT_EQ(config.limits.depth, 7u);
  EXPECT_EQ(config.limits.inflight, 10u);
  EXPECT_EQ(config.log.level, LogLevel::debug);
  EXPECT_EQ(entry("limits.frame").origin, "file " + path + ":2");
  EXPECT_EQ(entry("limits.frame").value, "2KiB");
  EXPECT_EQ(entry("limits.depth").origin, "environment TIDEMARK_LIMITS_DEPTH");
  EXPECT_EQ(entry("limits.inflight").origin, "--set");
  EXPECT_EQ(entry("log.level").origin, "file " + path + ":5");
  EXPECT_EQ(entry("log.format").origin, "default");
}

TEST_F(ConfigLoading, DevListensOnLoopbackUnlessToldOtherwise) {
  sources_.dev = true;
  EXPECT_EQ(load().http.listen, (Endpoint{"127.0.0.1", 8080}));
  EXPECT_EQ(entry("http.listen").origin, "dev");
  sources_.set = {"http.listen=0.0.0.0:80"};
  EXPECT_EQ(load().http.listen, (Endpoint{"0.0.0.0", 80}));
}

TEST_F(ConfigLoading, ReadsEveryKindOfValue) {
  sources_.set = {"http.listen=[::1]:0",         "session.metrics_listen=off",   "storage.url=memory:",
                  "storage.synchronous=normal",  "presence.visibility=contacts", "retention.messages=400d",
                  "presence.grace=0s",           "limits.queue=5000",            "log.format=json",
                  "auth.issuer=https://id.test", "node.id=eins",                 "limits.write_stall=250ms"};
  sources_.environment = {{"TIDEMARK_HTTP_ALLOWED_ORIGINS", "https://a.test, http://b.test:81"}};
  const Config config = load();
  EXPECT_EQ(config.http.listen, (Endpoint{"::1", 0}));
  EXPECT_EQ(config.session.metrics_listen, std::nullopt);
  EXPECT_EQ(config.storage.url, "memory:");
  EXPECT_EQ(config.storage.synchronous, Synchronous::normal);
  EXPECT_EQ(config.presence.visibility, PresenceVisibility::contacts);
  EXPECT_EQ(config.retention.messages, Milliseconds(24h * 400));
  EXPECT_EQ(config.presence.grace, 0s);
  EXPECT_EQ(config.limits.queue, 5000u);
  EXPECT_EQ(config.limits.write_stall, 250ms);
  EXPECT_EQ(config.log.format, LogFormat::json);
  EXPECT_EQ(config.auth.issuer, "https://id.test");
  EXPECT_EQ(config.node.id, "eins");
  EXPECT_THAT(config.http.allowed_origins, ElementsAre("https://a.test", "http://b.test:81"));
  EXPECT_EQ(entry("http.listen").value, "[::1]:0");
  EXPECT_EQ(entry("session.metrics_listen").value, "off");
  EXPECT_EQ(entry("auth.audience").value, "none");
  EXPECT_EQ(entry("http.allowed_origins").value, "https://a.test, http://b.test:81");
}

TEST_F(ConfigLoading, AListInTheFileIsAList) {
  EXPECT_THAT(load_yaml("http:\n  allowed_origins:\n    - https://a.test\n    - https://b.test\n").http.allowed_origins,
              ElementsAre("https://a.test", "https://b.test"));
  EXPECT_THAT(load_yaml("http: {allowed_origins: []}").http.allowed_origins, IsEmpty());
}

// Every key that has a smallest and a largest value takes both and refuses what lies one beyond.
TEST_F(ConfigLoading, EveryRangeEndsWhereItSays) {
  const auto accepts = [&](std::string_view name, const std::string& value) {
    for (const ConfigKey& key : config_table()) {
      if (key.name == name) {
        Config config;
        return apply(key, {{value}, false}, config).ok();
      }
    }
    return false;
  };
  const auto check = [&](std::string_view name, uint64_t min, uint64_t max, const std::string& unit) {
    EXPECT_TRUE(accepts(name, std::to_string(min) + unit)) << name;
    EXPECT_TRUE(accepts(name, std::to_string(max) + unit)) << name;
    EXPECT_FALSE(accepts(name, std::to_string(max + 1) + unit)) << name;
    EXPECT_FALSE(min > 0 && accepts(name, std::to_string(min - 1) + unit)) << name;
    EXPECT_FALSE(accepts(name, "-1" + unit)) << name;
    EXPECT_FALSE(accepts(name, "")) << name;
  };
  int checked = 0;
  for (const ConfigKey& key : config_table()) {
    std::visit(
        [&](const auto& kind) {
          using Kind = std::decay_t<decltype(kind)>;
          if constexpr (std::is_same_v<Kind, BytesKey> || std::is_same_v<Kind, CountKey>) {
            check(key.name, kind.min, kind.max, "");
            ++checked;
          } else if constexpr (std::is_same_v<Kind, DurationKey> || std::is_same_v<Kind, DurationOrForeverKey>) {
            check(key.name, kind.min.count(), kind.max.count(), "ms");
            EXPECT_EQ(accepts(key.name, "forever"), (std::is_same_v<Kind, DurationOrForeverKey>)) << key.name;
            ++checked;
          }
        },
        key.kind);
  }
  EXPECT_GE(checked, 30);
}

TEST_F(ConfigLoading, AnErrorNamesKeyValueRangeAndOrigin) {
  EXPECT_EQ(set_refused("limits.frame=1023"),
            "limits.frame: \"1023\" is not allowed; allowed: 1KiB to 16MiB (--set)");
  EXPECT_EQ(field_, "limits.frame");
  EXPECT_EQ(set_refused("node.workers=65"), "node.workers: \"65\" is not allowed; allowed: 1 to 64 (--set)");
  EXPECT_EQ(set_refused("session.ttl=1y"), "session.ttl: \"1y\" is not allowed; allowed: 1m to 365d (--set)");
  EXPECT_THAT(set_refused("log.level=loud"), HasSubstr("\"loud\" is not allowed; allowed: debug, info, warn, error"));
  EXPECT_THAT(set_refused("http.listen=8080"), HasSubstr("allowed: HOST:PORT, [IPV6]:PORT or off"));
  EXPECT_THAT(set_refused("node.id="), StartsWith("node.id: \"\" is not allowed"));
  EXPECT_THAT(set_refused("http.allowed_origins=https://a.test,*"), StartsWith("http.allowed_origins: \"*\" is not"));
  EXPECT_THAT(set_refused("auth.issuer=a\nb"), StartsWith("auth.issuer: \"a?b\" is not"));
  EXPECT_THAT(set_refused("auth.issuer=\xff"), StartsWith("auth.issuer: \"?\" is not"));
  EXPECT_THAT(set_refused("auth.issuer=" + std::string(4097, 'x')), HasSubstr("xxx...\" is not"));
}

TEST_F(ConfigLoading, GrpcBeyondThisMachineNeedsTlsOrAWord) {
  for (const char* listen : {"0.0.0.0:9001", "[::]:9001", "192.0.2.1:9001"}) {
    EXPECT_THAT(set_refused(std::string("session.grpc_listen=") + listen),
                StartsWith("session.grpc_listen: beyond this machine it needs TLS"));
    sources_.set.emplace_back("grpc.insecure=true");
    EXPECT_TRUE(load().grpc.insecure);
  }
  for (const char* listen : {"127.0.0.1:9001", "127.8.8.8:0", "[::1]:9001", "localhost:9001", "off"}) {
    sources_.set = {std::string("session.grpc_listen=") + listen};
    EXPECT_FALSE(load().grpc.insecure);
  }
  sources_.set = {"session.grpc_listen=0.0.0.0:9001", "grpc.tls.cert=a.pem", "grpc.tls.key=b.pem"};
  EXPECT_EQ(load().grpc.tls_key, "b.pem");
  EXPECT_THAT(set_refused("grpc.tls.cert=a.pem"), StartsWith("grpc.tls.key: TLS needs"));
  EXPECT_THAT(set_refused("grpc.tls.key=a.pem"), StartsWith("grpc.tls.cert: TLS needs"));
  EXPECT_THAT(set_refused("grpc.tls.client_ca=a.pem"), StartsWith("grpc.tls.client_ca: clients show certificates"));
  EXPECT_THAT(set_refused("grpc.insecure=yes"), HasSubstr("allowed: false, true"));
}

TEST_F(ConfigLoading, ValuesThatContradictEachOtherAreRefused) {
  sources_.set = {"heartbeat.interval=30s", "heartbeat.timeout=30s"};
  EXPECT_THAT(refused(), HasSubstr("heartbeat.timeout: 30s must be longer than heartbeat.interval, 30s"));
  sources_.set = {"heartbeat.interval=30s", "heartbeat.timeout=30001ms"};
  load();
  sources_.set = {"session.ttl=2h", "session.ttl_max=1h"};
  EXPECT_THAT(refused(), HasSubstr("session.ttl: 2h must not be longer than session.ttl_max, 1h"));
  sources_.set = {"session.ttl=1h", "session.ttl_max=1h"};
  load();
}

TEST_F(ConfigLoading, AnUnknownKeyIsAnErrorThatNamesTheNearest) {
  EXPECT_EQ(set_refused("http.listn=off"), "http.listn: unknown key; the nearest known one is http.listen (--set)");
  EXPECT_THAT(set_refused("=off"), HasSubstr("unknown key"));
  EXPECT_THAT(set_refused("limits.frame_file=x"), HasSubstr("nearest known one is limits.frame"));
  EXPECT_THAT(set_refused("auth.hs256_secret_fil=x"), HasSubstr("nearest known one is auth.hs256_secret_file"));
  sources_ = {};
  sources_.environment = {{"TIDEMARK_LIMIT_FRAME", "1"}};
  EXPECT_EQ(refused(),
            "TIDEMARK_LIMIT_FRAME: unknown key; the nearest known one is TIDEMARK_LIMITS_FRAME (environment)");
  sources_ = {};
  EXPECT_EQ(yaml_refused("log:\n  level: info\n  formt: json\n"),
            "log.formt: unknown key; the nearest known one is log.format (file " + folder_ + "/conf.yaml:3)");
}

TEST_F(ConfigLoading, OnlyVariablesOfAKnownSectionAreConfiguration) {
  sources_.environment = {{"TIDEMARK_TRACES", "1"}, {"TIDEMARK_PORT", "tcp://10.0.0.1:80"},
                          {"TIDEMARK_SERVICE_HOST", "10.0.0.1"}, {"TIDEMARKED", "1"}};
  load();
  sources_.environment = {{"TIDEMARK_LIMITS_FRAMES", "1"}};
  EXPECT_THAT(refused(), HasSubstr("TIDEMARK_LIMITS_FRAMES: unknown key"));
}

TEST_F(ConfigLoading, SetWantsKeyAndValue) {
  EXPECT_THAT(set_refused("limits.frame"), HasSubstr("limits.frame: --set wants key=value"));
  sources_.set = {"auth.audience=a=b"};
  EXPECT_EQ(load().auth.audience, "a=b");
}

TEST_F(ConfigLoading, AKeyOfAnotherVersionIsNotAcceptedSilently) {
  for (const ConfigKey& key : config_table()) {
    if (!available(key)) {
      EXPECT_THAT(set_refused(std::string(key.name) + "=1"),
                  StartsWith(std::string(key.name) + ": not available in this version"));
    }
  }
  EXPECT_THAT(yaml_refused("tracing: {service_name: a}"),
              StartsWith("tracing.service_name: not available in this version"));
  EXPECT_THAT(set_refused("redis.url_file=x"), StartsWith("redis.url_file: not available in this version"));
  sources_ = {};
  sources_.environment = {{"TIDEMARK_REDIS_URL", "redis://user:password@host"}};
  EXPECT_THAT(refused(), AllOf(StartsWith("redis.url: not available"), Not(HasSubstr("password"))));
}

TEST_F(ConfigLoading, OtherStoresAreRefusedWithoutShowingTheirPassword) {
  EXPECT_THAT(set_refused("storage.url=mysql://u:pass@db/x"),
              AllOf(StartsWith("storage.url: "), HasSubstr("allowed: sqlite:PATH, postgresql://"), Not(HasSubstr("pass"))));
  EXPECT_THAT(set_refused("storage.url=postgresql://"), HasSubstr("storage.url"));
  EXPECT_THAT(set_refused("storage.url=sqlite:"), HasSubstr("storage.url"));
  EXPECT_THAT(set_refused("storage.url=memory:x"), HasSubstr("storage.url"));
  EXPECT_THAT(set_refused("storage.url="), HasSubstr("storage.url"));
}

TEST_F(ConfigLoading, AUrlIsShownWithoutItsPassword) {
  sources_.set = {"storage.url=postgresql://tide:geheim@db:5432/chat?sslmode=require&sslpassword=auch", "log.level=warn"};
  const auto loaded = load_config(sources_);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->config.storage.url, "postgresql://tide:geheim@db:5432/chat?sslmode=require&sslpassword=auch");
  const std::string text = check_config_text(*loaded);
  EXPECT_THAT(text, HasSubstr("postgresql://tide:[hidden]@db:5432/chat?sslmode=require&sslpassword=[hidden]"));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("geheim")), Not(HasSubstr("auch"))));
}

TEST_F(ConfigLoading, CheckConfigPrintsEveryKeyOnOneLine) {
  sources_.set = {"log.level=warn"};
  const auto loaded = load_config(sources_);
  const std::string text = check_config_text(*loaded);
  EXPECT_EQ(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')), loaded->entries.size());
  EXPECT_THAT(text, testing::ContainsRegex("log\\.level +warn +--set\n"));
  EXPECT_THAT(text, testing::ContainsRegex("limits\\.frame +512KiB +default\n"));
}

TEST(ConfigReference, HasARowOfFiveColumnsPerAvailableKey) {
  const std::string table = config_reference_markdown();
  EXPECT_THAT(table, HasSubstr("| `http.listen` | `TIDEMARK_HTTP_LISTEN` | 0.0.0.0:8080 (`--dev`: 127.0.0.1:8080) | "));
  EXPECT_THAT(table, HasSubstr("also as `auth.hs256_secret_file`"));
  EXPECT_THAT(table, Not(HasSubstr("tracing.")));
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 6) << line;
  }
}

TEST(ConfigTable, NamesAreUniqueAlsoAsVariablesAndEveryKeyIsExplained) {
  std::set<std::string> variables;
  for (const ConfigKey& key : config_table()) {
    EXPECT_TRUE(variables.insert(environment_name(key.name)).second) << key.name;
    if (has_file_form(key)) {
      EXPECT_TRUE(variables.insert(environment_name(key.name) + "_FILE").second) << key.name;
    }
    EXPECT_EQ(available(key), !key.help.empty()) << key.name;
  }
}

}  // namespace
}  // namespace tidemark::app
