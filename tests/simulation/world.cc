#include "world.h"

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "account/token.h"

namespace tidemark::simulation {
namespace {

namespace fs = std::filesystem;

constexpr char kSecret[] = "the secret of the simulation, longer than 32 bytes";

app::Config config_of(const Setup& setup, const std::string& database) {
  app::ConfigSources sources;
  const auto set = [&](std::string key, auto value) {
    if constexpr (std::is_arithmetic_v<decltype(value)>) {
      sources.set.push_back(std::move(key) + "=" + std::to_string(value));
    } else {
      sources.set.push_back(std::move(key) + "=" + std::string(value));
    }
  };
  set("storage.url", "sqlite:" + database);
  set("storage.readers", setup.readers);
  set("auth.hs256_secret", kSecret);
  set("node.id", "simulated");
  set("node.workers", setup.workers);
  set("limits.queue", setup.queue_bytes);
  set("limits.inflight", setup.inflight);
  set("limits.replay_entries", setup.replay_entries);
  set("limits.openings", setup.openings);
  set("limits.memory", "1024GiB");  // what this process uses is no choice of the seed
  for (const char* kind : {"messages_per_second", "messages_burst", "signals_per_second", "signals_burst",
                           "queries_per_second", "queries_burst", "creations_per_minute", "creations_burst"}) {
    set(std::string("limits.") + kind, 60'000);  // of another test
  }
  set("cursors.store_every", std::to_string(setup.store_cursors_ms) + "ms");
  set("presence.grace", std::to_string(setup.presence_grace_ms) + "ms");
  auto loaded = app::load_config(sources);
  TIDEMARK_CHECK(loaded.ok());
  loaded->config.http.listen.reset();
  loaded->config.session.metrics_listen.reset();
  loaded->config.gateway.metrics_listen.reset();
  loaded->config.statesync.metrics_listen.reset();
  return loaded->config;
}

}  // namespace

Setup Setup::from(Chance& chance, std::string directory) {
  Setup setup;
  setup.directory = std::move(directory);
  setup.workers = static_cast<int>(chance.between(1, 4));
  setup.readers = static_cast<int>(chance.between(1, 3));
  setup.queue_bytes = chance.of<size_t>({4096, 16384, 1024 * 1024});
  setup.inflight = chance.of<size_t>({2, 16, 256});
  setup.openings = chance.of<size_t>({1, 64});
  setup.replay_entries = chance.of<int64_t>({8, 1000, 1000});
  setup.store_cursors_ms = chance.of<int64_t>({10, 500, 5000});
  setup.presence_grace_ms = chance.of<int64_t>({0, 1000, 5000});
  setup.batch_jobs_max = chance.of<size_t>({1, 4, SIZE_MAX});
  setup.read_jobs_max = chance.of<size_t>({1, 4, SIZE_MAX});
  setup.fast_storage_percent = chance.of<uint64_t>({0, 20, 80});
  return setup;
}

World::World(Setup setup, uint64_t seed, Chance& chance)
    : setup_(std::move(setup)),
      chance_(chance),
      random_(seed),
      stepped_{clock_, random_, storage_, [this] { settle(); }} {
  fs::remove_all(setup_.directory);
  storage_.batch_jobs_max = setup_.batch_jobs_max;
  storage_.read_jobs_max = setup_.read_jobs_max;
  storage_.on_submit = [this] {
    while (chance_.percent(setup_.fast_storage_percent)) {
      step_storage();
    }
  };
}

World::~World() {
  node_.reset();
  fs::remove_all(setup_.directory);
}

std::string World::generation_directory() const { return setup_.directory + "/" + std::to_string(generation_); }

std::string World::database_path() const { return generation_directory() + "/tidemark.db"; }

void World::start() {
  fs::create_directories(generation_directory());
  app::NodeOptions options;
  options.stepped = &stepped_;
  auto node = app::Node::make(config_of(setup_, database_path()), std::move(options));
  TIDEMARK_CHECK(node.ok());
  node_ = std::move(*node);
  TIDEMARK_CHECK(node_->start().ok());
  ++incarnation_;
}

void World::crash() {
  const std::string dead = generation_directory();
  ++generation_;
  fs::create_directories(generation_directory());
  for (const char* name : {"tidemark.db", "tidemark.db-wal"}) {
    if (fs::exists(dead + "/" + name)) {
      fs::copy_file(dead + "/" + name, generation_directory() + "/" + name);
    }
  }
  stop();
  fs::remove_all(dead);
}

void World::stop() {
  node_->stop();
  node_.reset();
}

int World::connect() {
  int ends[2];
  TIDEMARK_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  // The kernel's least, so that slow readers are met.
  const int bytes = 1;
  ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  node_->adopt(static_cast<int>(chance_.below(static_cast<uint64_t>(setup_.workers))), ends[1]);
  return ends[0];
}

void World::step_worker(int sockets) {
  node_->workers().at(static_cast<int>(chance_.below(static_cast<uint64_t>(setup_.workers)))).step(sockets);
}

void World::step_storage() { storage_.step(chance_.below(storage_.lanes())); }

void World::settle() {
  constexpr int kQuietRounds = 3;  // sockets do not say whether they have something
  for (int quiet = 0; quiet < kQuietRounds; ++quiet) {
    for (size_t lane = 0; lane < storage_.lanes(); ++lane) {
      while (storage_.step(lane)) {
        quiet = 0;
      }
    }
    for (int i = 0; i < setup_.workers; ++i) {
      node_->workers().at(i).step();
    }
    for (int i = 0; i < setup_.workers; ++i) {
      if (node_->workers().at(i).has_posts()) {
        quiet = 0;
      }
    }
  }
}

std::string World::token(const std::string& user, bool service) const {
  account::MintRequest request;
  request.user = UserId(user);
  request.tenant = TenantId("default");
  if (service) {
    request.roles.emplace_back("service");
  }
  request.issued_at = now_ms() / 1000;
  request.expires_at = request.issued_at + 1'000'000;
  return account::mint_token(request, Secret(kSecret));
}

}  // namespace tidemark::simulation
