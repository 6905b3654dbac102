// World: one node in steps, the files that survive it, and the time.
//
// Everything runs on the calling thread. A crash is seen from outside: the files are kept as they are at that moment,
// and a new node begins on them. What the old one still does, it does to files that nobody looks at any more, with all
// its sockets cut: so it can wind down in order and nothing leaks.
#pragma once

#include <memory>
#include <string>

#include "app/node.h"
#include "chance.h"

namespace tidemark::simulation {

// How this run's node is set up: chosen from the seed, so that small limits are met often.
struct Setup {
  std::string directory;  // for the files; made and removed by World
  int workers = 2;
  int readers = 1;
  size_t queue_bytes = 1024 * 1024;
  size_t inflight = 256;
  size_t openings = 64;  // connections that are looked up at the same time
  int64_t replay_entries = 1000;
  int64_t store_cursors_ms = 5000;
  int64_t presence_grace_ms = 5000;
  size_t batch_jobs_max = SIZE_MAX;
  size_t read_jobs_max = SIZE_MAX;
  uint64_t fast_storage_percent = 0;  // how often storage answers before the turn that asked has ended

  static Setup from(Chance& chance, std::string directory);
};

class World {
 public:
  World(Setup setup, uint64_t seed, Chance& chance);
  ~World();

  void start();
  void crash();  // everything that is not in the files is gone
  void stop();   // a clean end
  bool running() const { return node_ != nullptr; }
  int incarnation() const { return incarnation_; }

  // A connected socket to the node, served by one of its workers; the client's end.
  int connect();

  void step_worker(int sockets);
  void step_storage();
  void settle();  // steps everything until nothing moves; time stands still
  void advance(int64_t ms) { clock_.advance(std::chrono::milliseconds(ms)); }
  int64_t now_ms() const { return clock_.unix_ms(); }

  // A token that is good for the whole run. `service` may act for anybody.
  std::string token(const std::string& user, bool service = false) const;
  std::string database_path() const;

 private:
  std::string generation_directory() const;

  const Setup setup_;
  Chance& chance_;
  ManualClock clock_;
  SeededRandom random_;
  storage::Stepper storage_;
  app::SteppedWorld stepped_;
  std::unique_ptr<app::Node> node_;
  int incarnation_ = 0;
  int generation_ = 0;
};

}  // namespace tidemark::simulation
