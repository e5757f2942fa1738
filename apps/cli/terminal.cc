#include "terminal.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "attune/options.h"

namespace attune::cli {
namespace {

using Clock = std::chrono::steady_clock;

volatile sig_atomic_t g_signal = 0;

/// 0 when all bytes arrived, else errno.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

/// "; about 3 min left", once there is something to judge by.
std::string time_left(double seconds, long long done, long long total) {
  if (seconds < 10 || done <= 0 || done >= total) return "";
  const double left = seconds * static_cast<double>(total - done) / static_cast<double>(done);
  return left < 90     ? fmt::format("; about {:.0f} s left", left)
         : left < 5400 ? fmt::format("; about {:.0f} min left", left / 60)
                       : fmt::format("; about {:.1f} h left", left / 3600);
}

/// One bar at a time; nothing is shown for work that ends within a second.
class ProgressLine {
 public:
  void update(std::string_view what, long long done, long long total) {
    using std::chrono::seconds;
    const auto now = Clock::now();
    if (total != total_ || done < done_) total_ = total, started_ = now, shown_ = now, percent_shown_ = -1;
    done_ = done;
    const long long percent = total > 0 ? 100 * std::min(done, total) / total : 0;
    const bool bar = isatty(STDERR_FILENO);
    const bool due = bar ? now - shown_ > std::chrono::milliseconds(100) : percent / 25 > percent_shown_ / 25 || now - shown_ > seconds(60);
    if (now - started_ > seconds(1) && due) {
      shown_ = now, percent_shown_ = percent;
      const auto filled = static_cast<size_t>(percent * 30 / 100);
      const std::string left = time_left(std::chrono::duration<double>(now - started_).count(), done, total);
      write_all(STDERR_FILENO,
                bar ? fmt::format("\r{} [{}{}] {:3} %{}\x1b[K", what, std::string(filled, '#'), std::string(30 - filled, ' '), percent, left)
                    : fmt::format("{}: {} %{}\n", what, percent, left));
      drawn_ = bar;
    }
    if (done >= total) clear(), total_ = -1;
  }

  void clear() {
    if (drawn_) write_all(STDERR_FILENO, "\r\x1b[K");
    drawn_ = false;
  }

 private:
  Clock::time_point started_, shown_;
  long long total_ = -1, done_ = 0;  ///< a new total is new work
  long long percent_shown_ = -1;
  bool drawn_ = false;
};

ProgressLine g_progress;

const char* level_text(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "";
}

}  // namespace

void fail(ErrorCode code, std::string_view where, std::string_view expected, std::string_view got) {
  throw Error(code, fmt::format("{}: expected {}; got {}", where, expected, got));
}

void write_out(std::string_view text) {
  if (const int error = write_all(STDOUT_FILENO, text))
    fail(ErrorCode::io_error, "stdout", fmt::format("to write {} bytes", text.size()), std::strerror(error));
}

void write_note(std::string_view line) {
  g_progress.clear();
  write_all(STDERR_FILENO, std::string(line) + "\n");
}

void show_log(LogLevel lowest) {
  set_log_sink([](LogLevel level, std::string_view line) { write_note(fmt::format("attune: {}: {}", level_text(level), line)); }, lowest);
}

void show_progress() {
  set_progress_sink([](std::string_view what, long long done, long long total) { g_progress.update(what, done, total); });
}

void end_progress() { g_progress.clear(); }

void end_at_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int signal) {  // only what a handler may call
    constexpr std::string_view kText = "attune: interrupted\n";
    if (::write(STDERR_FILENO, kText.data(), kText.size()) < 0) _exit(128 + signal);
    _exit(128 + signal);
  };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void watch_for_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { g_signal = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupted() { return g_signal; }

void ignore_broken_pipe() { signal(SIGPIPE, SIG_IGN); }

size_t help_width() {
  size_t columns = 0;
  if (winsize size{}; ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (const auto given = environment("COLUMNS"); columns == 0 && given) columns = std::strtoul(given->c_str(), nullptr, 10);
  return columns == 0 ? 80 : std::min<size_t>(std::max<size_t>(columns, 60), 140);
}

}  // namespace attune::cli
