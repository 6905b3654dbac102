#include "run.h"

#include <memory>

#include "device.h"
#include "rest_call.h"

namespace tidemark::simulation {
namespace {

constexpr int64_t kPatienceMs = 30'000;  // of the calm end, in simulated time
constexpr int kQuietRounds = 12;
constexpr int64_t kRoundMs = 20;

// How often things happen in this run. Chosen from the seed: runs differ in what they do much of.
struct Mix {
  uint64_t storage, device, rest, time, long_time;   // of a thousand choices
  uint64_t crash;                                    // of ten thousand
  uint64_t cut, goodbye, send, confirm, read;        // of a hundred choices of a device
  size_t users, devices, groups;

  static Mix from(Chance& chance) {
    Mix mix{};
    mix.storage = chance.of<uint64_t>({60, 200, 300});
    mix.device = chance.of<uint64_t>({200, 300, 450});
    mix.rest = chance.of<uint64_t>({5, 20, 50});
    mix.time = chance.of<uint64_t>({5, 50});
    mix.long_time = chance.of<uint64_t>({0, 3});
    mix.crash = chance.of<uint64_t>({0, 0, 8, 25});
    mix.cut = chance.of<uint64_t>({0, 2, 6});
    mix.goodbye = chance.of<uint64_t>({0, 1, 3});
    mix.send = chance.of<uint64_t>({10, 25, 40});
    mix.confirm = chance.of<uint64_t>({2, 10});
    mix.read = 40;
    mix.users = static_cast<size_t>(chance.between(2, 5));
    mix.devices = static_cast<size_t>(chance.between(1, 3));
    mix.groups = static_cast<size_t>(chance.between(1, 3));
    return mix;
  }
};

class Run {
 public:
  explicit Run(const RunOptions& options)
      : options_(options),
        chance_(options.seed),
        mix_(Mix::from(chance_)),
        world_(Setup::from(chance_, options.directory), options.seed, chance_) {
    trace_.print = options.print;
    for (size_t i = 0; i < mix_.users; ++i) {
      users_.push_back("user" + std::to_string(i));
      for (size_t k = 0; k < mix_.devices; ++k) {
        add_device(users_.back(), "d" + std::to_string(i) + std::to_string(k), chance_.one_in(5));
      }
    }
  }

  Outcome go() {
    world_.start();
    for (int i = 0; i < options_.steps; ++i) {
      step();
    }
    calm_down();
    tell_typing();
    speak_for_the_first_time();
    compare_presence();
    compare_with_fresh_devices();
    world_.stop();
    return verdict();
  }

 private:
  Device& add_device(const std::string& user, const std::string& name, bool auto_ack) {
    devices_.push_back(std::make_unique<Device>(world_, chance_, trace_, user, name, auto_ack));
    return *devices_.back();
  }
  Device& any_device() { return *devices_[chance_.below(devices_.size())]; }
  std::string any_group() { return "group" + std::to_string(chance_.below(mix_.groups)); }

  // One choice.
  void step() {
    if (!world_.running()) {
      if (chance_.one_in(20)) {
        trace_.line(world_, "node starts");
        world_.start();
      } else {
        world_.advance(chance_.between(1, 50));
      }
      return;
    }
    if (chance_.below(10'000) < mix_.crash) {
      return crash();
    }
    uint64_t choice = chance_.below(1000);
    const auto is = [&choice](uint64_t share) {
      if (choice < share) {
        return true;
      }
      choice -= share;
      return false;
    };
    if (is(mix_.storage)) {
      world_.step_storage();
    } else if (is(mix_.device)) {
      act(any_device());
    } else if (is(mix_.rest)) {
      call();
    } else if (is(mix_.time)) {
      world_.advance(chance_.between(1, 20));
    } else if (is(mix_.long_time)) {
      world_.advance(chance_.between(1000, 6000));
    } else {
      world_.step_worker(static_cast<int>(chance_.of<uint64_t>({1, 3, 512})));
    }
  }

  void crash() {
    trace_.line(world_, "node crashes");
    ++crashes_;
    for (const auto& device : devices_) {
      if (chance_.one_in(2)) {
        device->read(1 << 20);  // what had been sent may still arrive
      }
      device->cut();
    }
    for (const auto& one : calls_) {
      one->rest->cut();
    }
    finish_calls();
    world_.crash();
  }

  void act(Device& device) {
    if (!device.connected()) {
      if (chance_.one_in(3)) {
        device.slow = chance_.one_in(6);
        device.connect();
      }
      return;
    }
    uint64_t choice = chance_.below(100);
    const auto is = [&choice](uint64_t share) {
      if (choice < share) {
        return true;
      }
      choice -= share;
      return false;
    };
    if (is(mix_.read)) {
      if (!device.slow || chance_.one_in(30)) {
        device.read(chance_.of<size_t>({100, 4096, 65536}));
      }
    } else if (is(mix_.send)) {
      command(device);
    } else if (is(mix_.confirm)) {
      device.confirm(chance_.one_in(2));
    } else if (is(mix_.cut)) {
      device.cut();
    } else if (is(mix_.goodbye)) {
      device.say_goodbye();
    } else {
      device.repeat_unanswered(3000);
    }
  }

  void command(Device& device) {
    if (!device.live()) {
      return;
    }
    const auto conversations = device.conversations();
    const uint64_t choice = chance_.below(20);
    if (choice < 5) {
      device.message_to(chance_.of(users_));
    } else if (choice < 10) {
      device.message_in(any_group());
    } else if (choice == 10) {
      device.sync();
    } else if (conversations.empty()) {
      return;
    } else if (choice < 13) {
      device.message_in(chance_.of(conversations));
    } else if (choice < 18) {
      device.change(chance_.of(conversations));
    } else if (choice == 18) {
      device.mark_read(chance_.of(conversations));
    } else {
      device.type_in(chance_.of(conversations));
    }
  }

  // Groups are made and changed over REST.
  struct Call {
    std::unique_ptr<RestCall> rest;
    size_t change = SIZE_MAX;  // index in history_.changes
  };

  void call() {
    for (const auto& one : calls_) {
      one->rest->read();
    }
    finish_calls();
    if (calls_.size() >= 4) {
      return;
    }
    const std::string group = any_group();
    const std::string& user = chance_.of(users_);
    const std::string& other = chance_.of(users_);
    const uint64_t choice = chance_.below(12);
    if (choice < 3) {
      std::string members;
      for (const std::string& one : users_) {
        if (chance_.one_in(2)) {
          members += (members.empty() ? "\"" : ",\"") + one + "\"";
        }
      }
      begin(user, "POST", "/conversations",
            "{\"title\":\"t\",\"members\":[" + members + "],\"conversation_id\":\"" + group + "\",\"id\":\"make-" + group +
                "\"}");
    } else if (choice < 6) {
      begin(user, "POST", "/conversations/" + group + "/members", "{\"user_id\":\"" + other + "\"}", group, other, false);
    } else if (choice < 9) {
      begin(user, "DELETE", "/conversations/" + group + "/members/" + other, "", group, other, true);
    } else if (choice == 9) {
      begin(user, "PATCH", "/conversations/" + group + "/members/" + other, "{\"role\":\"admin\"}");
    } else if (choice == 10) {
      begin(user, "PATCH", "/conversations/" + group, "{\"title\":\"another\"}");
    } else if (chance_.one_in(4)) {
      begin(user, "DELETE", "/conversations/" + group, "");
    }
  }

  void begin(const std::string& as, std::string_view method, const std::string& path, const std::string& body,
             const std::string& group = {}, const std::string& user = {}, bool removed = false) {
    trace_.line(world_, as + " asks " + std::string(method) + " " + path + " " + body);
    auto one = std::make_unique<Call>();
    if (!group.empty()) {
      one->change = history_.changes.size();
      history_.changes.push_back({group, user, removed, world_.now_ms(), 0, false});
    }
    one->rest = std::make_unique<RestCall>(world_, as, method, path, body);
    calls_.push_back(std::move(one));
  }

  void finish_calls() {
    std::erase_if(calls_, [this](const auto& one) {
      if (!one->rest->done()) {
        return false;
      }
      trace_.line(world_, "answer " + std::to_string(one->rest->status()));
      trace_.add(one->rest->answer());
      if (one->change != SIZE_MAX && one->rest->status() != 0) {
        MemberChange& change = history_.changes[one->change];
        change.answered_ms = world_.now_ms();
        change.ok = one->rest->status() < 300;
      }
      return true;
    });
  }

  // Everybody reads, confirms and repeats; nothing fails any more.
  void round() {
    for (const auto& device : devices_) {
      device->slow = false;
      if (!device->connected()) {
        device->connect();
      }
      while (device->read(65536)) {
      }
      device->repeat_unanswered(1000);
      device->confirm(false);
    }
    for (const auto& one : calls_) {
      one->rest->read();
    }
    finish_calls();
    world_.settle();
    world_.advance(kRoundMs);
  }

  // Rounds until nothing has come for a while.
  void rounds_until_quiet() {
    const int64_t end = world_.now_ms() + kPatienceMs;
    int quiet = 0;
    int64_t arrived = -1;
    while (quiet < kQuietRounds && world_.now_ms() < end) {
      round();
      int64_t now = 0;
      bool busy = !calls_.empty();
      for (const auto& device : devices_) {
        now += device->arrived_bytes;
        busy = busy || !device->synced() || !device->answered();
      }
      quiet = busy || now != arrived ? 0 : quiet + 1;
      arrived = now;
    }
    for (const auto& device : devices_) {
      if (!device->synced()) {
        complain("I7 " + device->user() + "." + device->name() + " was never synced in a calm world");
      }
    }
    if (!calls_.empty()) {
      complain("I7 a REST call was never answered");
    }
  }

  void calm_down() {
    trace_.line(world_, "calm");
    if (!world_.running()) {
      world_.start();
    }
    for (const auto& device : devices_) {
      device->cut();
    }
    rounds_until_quiet();
  }

  // Somebody connects anew; what another one types from the moment on that it is synced has to reach it.
  void tell_typing() {
    for (int i = 0; i < 4; ++i) {
      Device& listener = any_device();
      Device& typist = any_device();
      const std::string direct = direct_between(listener, typist);
      if (direct.empty()) {
        continue;
      }
      world_.advance(11'000);  // what was typed before has ended
      rounds_until_quiet();
      listener.cut();
      while (!listener.synced()) {
        listener.connect();
        world_.step_worker(1);
        world_.step_storage();
        listener.read(4096);
        listener.confirm(false);
        if (chance_.one_in(10)) {
          world_.advance(1);
        }
      }
      typist.type_in(direct);
      rounds_until_quiet();
      if (listener.typings == 0) {
        complain("typing of " + typist.user() + " did not reach " + listener.user() + "." + listener.name());
      }
    }
  }

  // Two who never spoke connect at the same time. Who has got the first message has to get what is typed after it.
  void speak_for_the_first_time() {
    Device& one = add_device("early", "e", false);
    Device& other = add_device("late", "l", chance_.one_in(2));
    bool said = false;
    std::string direct;
    while (direct.empty()) {
      one.connect();
      other.connect();
      world_.step_worker(static_cast<int>(chance_.between(1, 4)));
      world_.step_storage();
      one.read(4096);
      other.read(4096);
      if (!said && one.live() && other.live()) {
        one.message_to(other.user());
        said = true;
      }
      if (one.answered()) {
        direct = direct_between(other, one);
      }
      if (chance_.one_in(20)) {
        world_.advance(1);
      }
    }
    one.type_in(direct);
    rounds_until_quiet();
    if (other.typings == 0) {
      complain("typing of " + one.user() + " did not reach " + other.user() + " after the first message");
    }
  }

  // The conversation that is theirs alone, if there is one.
  static std::string direct_between(const Device& one, const Device& other) {
    if (one.user() != other.user()) {
      for (const std::string& name : one.conversations()) {
        if (!name.starts_with("group") && other.views().contains(name)) {
          return name;
        }
      }
    }
    return {};
  }

  void complain(std::string text) { history_.notes.push_back(std::move(text)); }

  // Everybody is shown as online, and whoever says goodbye as offline.
  void compare_presence() {
    Device& watcher = *devices_.front();
    watcher.watch(users_);
    rounds_until_quiet();
    for (const std::string& user : users_) {
      const auto shown = watcher.online.find(user);
      if (shown == watcher.online.end() || !shown->second) {
        complain("I8 " + user + " is connected and shown as offline");
      }
    }
    if (users_.size() < 2 || users_.back() == watcher.user()) {
      return;
    }
    const std::string& leaver = users_.back();
    for (const auto& device : devices_) {
      if (device->user() == leaver) {
        chance_.one_in(2) ? device->say_goodbye() : device->cut();
      }
    }
    for (int i = 0; i < 100; ++i) {
      for (const auto& device : devices_) {
        if (device->connected()) {
          device->read(65536);
        }
      }
      world_.settle();
      world_.advance(5 * kRoundMs);
    }
    if (watcher.online[leaver]) {
      complain("I8 " + leaver + " has gone and is shown as online");
    }
    rounds_until_quiet();
  }

  // Who has followed everything shows the same as who comes new.
  void compare_with_fresh_devices() {
    const size_t known = devices_.size();
    for (const std::string& user : users_) {
      add_device(user, "fresh" + user, false).history().fresh = true;
    }
    rounds_until_quiet();
    for (size_t i = 0; i < known; ++i) {
      for (size_t k = known; k < devices_.size(); ++k) {
        if (devices_[i]->user() == devices_[k]->user()) {
          compare(*devices_[i], *devices_[k]);
        }
      }
    }
  }

  void compare(const Device& old, const Device& fresh) {
    for (const auto& [stream, view] : fresh.views()) {
      const auto other = old.views().find(stream);
      if (other == old.views().end() || !other->second.gaps.empty()) {
        continue;  // what a gap left out may have been an edit
      }
      for (const auto& [seq, shown] : view.messages) {
        const auto same = other->second.messages.find(seq);
        if (same != other->second.messages.end() && !(same->second == shown)) {
          complain("I3 " + old.user() + "." + old.name() + " shows another text than a fresh device: " + stream + " " +
                   std::to_string(seq) + " '" + same->second.content.substr(0, 60) + "' and '" +
                   shown.content.substr(0, 60) + "'");
        }
      }
    }
  }

  Outcome verdict() {
    Outcome outcome;
    for (const auto& device : devices_) {
      history_.devices.push_back(&device->history());
      for (const Sight& sight : device->history().sights) {
        outcome.seen += sight.kind == Sight::Kind::entry ? 1 : 0;
      }
    }
    history_.notes.insert(history_.notes.end(), trace_.notes.begin(), trace_.notes.end());
    const Log log = read_log(world_.database_path());
    for (const auto& [name, stream] : log) {
      outcome.entries += stream.entries.size();
    }
    outcome.violations = violations(history_, log);
    outcome.fingerprint = trace_.hash;
    outcome.crashes = crashes_;
    return outcome;
  }

  const RunOptions options_;
  Chance chance_;
  const Mix mix_;
  World world_;
  Trace trace_;
  History history_;
  std::vector<std::string> users_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<Call>> calls_;
  int crashes_ = 0;
};

}  // namespace

Outcome run(const RunOptions& options) { return Run(options).go(); }

}  // namespace tidemark::simulation
