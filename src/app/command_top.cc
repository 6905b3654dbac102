// tidemark top
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "app/command.h"
#include "app/config_value.h"
#include "app/control_client.h"
#include "app/top_sample.h"

namespace tidemark::app {
namespace {

constexpr size_t kPlainWidth = 200;
constexpr size_t kPlainHeight = 40;

volatile std::sig_atomic_t g_interrupted = 0;

struct TopOptions {
  ConfigOptions config;
  double every = 1;
  bool once = false;
  bool json = false;
};

// The terminal's other screen, without a cursor; whatever happens, its end brings back what was there.
class Screen {
 public:
  Screen() { write_all("\x1b[?1049h\x1b[?25l"); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { write_all("\x1b[?25h\x1b[?1049l"); }

  bool show(const std::vector<std::string>& lines) {
    std::string text = "\x1b[H";
    for (const std::string& line : lines) {
      text += line + "\x1b[K\r\n";
    }
    return write_all(text + "\x1b[J");
  }
  static std::pair<size_t, size_t> size() {
    winsize window{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 1;
    return known ? std::pair<size_t, size_t>(window.ws_col, window.ws_row - 1) : std::pair<size_t, size_t>(80, 23);
  }

 private:
  static bool write_all(std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::write(STDOUT_FILENO, text.data(), text.size());
      if (put < 0 && errno != EINTR) {
        return false;
      }
      text.remove_prefix(put < 0 ? 0 : static_cast<size_t>(put));
    }
    return true;
  }
};

Result<TopSample> take_sample(const Config& config) {
  OperationRequest request;
  request.command = "stats";
  std::string line;
  const Status asked = ask_node(config, request, [&](std::string_view text) {
    line = std::string(text);
    return true;
  });
  if (!asked.ok()) {
    return asked.error().code == Code::not_found
               ? fail(Code::not_found, "no node runs on " + without_password(config.storage.url) + ": start it, or name its --config")
               : asked.error();
  }
  return parse_top_sample(line);
}

bool show(const TopOptions& options, Screen* screen, const TopSample& now, const TopFigures& figures) {
  if (options.json) {
    return print_line(top_json(now, figures));
  }
  if (screen != nullptr) {
    const auto [width, height] = Screen::size();
    return screen->show(top_lines(now, figures, width, height));
  }
  bool written = true;
  for (const std::string& line : top_lines(now, figures, kPlainWidth, kPlainHeight)) {
    written = print_line(line);
  }
  return options.once ? written : print_line("");
}

// Until a signal, an error or, with --once, the first figures, which need two samples.
Status watch(const TopOptions& options, const Config& config) {
  auto before = take_sample(config);
  if (!before.ok()) {
    return before.error();
  }
  std::optional<Screen> screen;
  if (!options.json && !options.once && ::isatty(STDOUT_FILENO) == 1) {
    screen.emplace();
  }
  while (g_interrupted == 0) {
    ::poll(nullptr, 0, static_cast<int>(options.every * 1000));
    if (g_interrupted != 0) {
      break;
    }
    auto now = take_sample(config);
    if (!now.ok()) {
      return now.error();
    }
    if (!show(options, screen ? &*screen : nullptr, *now, compare(*before, *now)) || options.once) {
      break;
    }
    before = std::move(now);
  }
  return {};
}

int top(const TopOptions& options) {
  const auto loaded = load_config(options.config.sources());
  if (!loaded.ok()) {
    return complain(loaded.error());
  }
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted = 1; };
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaction(number, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  return finish(watch(options, loaded->config));
}

}  // namespace

void add_top(CLI::App& root, int& exit_code) {
  CLI::App& command = *root.add_subcommand("top", "Shows what a running node does, until Ctrl-C");
  const auto options = std::make_shared<TopOptions>();
  add_config_options(command, options->config);
  command.add_option("--every", options->every, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command.add_flag("--once", options->once, "Prints the figures of one interval and ends");
  command.add_flag("--json", options->json, "One JSON object per interval, for programs");
  command.callback([options, &exit_code] { exit_code = top(*options); });
}

}  // namespace tidemark::app
