#include "proof/task_child.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "attune/options.h"
#include "core/error.h"

namespace attune {
namespace {

constexpr size_t kLongestLine = size_t{16} << 20;

bool write_all(int socket, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::send(socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<size_t>(n);
  }
  return true;
}

/// Moves the first line of `received` into `line`.
bool take_line(std::string& received, std::string& line) {
  const size_t end = received.find('\n');
  if (end == std::string::npos) return false;
  line = received.substr(0, end);
  received.erase(0, end + 1);
  return true;
}

/// Appends what has come; false at the end.
bool read_some(int socket, std::string& received) {
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::recv(socket, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || received.size() > kLongestLine) return false;
    received.append(buffer, static_cast<size_t>(n));
    return true;
  }
}

}  // namespace

TaskChild::TaskChild(std::vector<std::string> command, double longest_seconds) : command_(std::move(command)), longest_seconds_(longest_seconds) {}

TaskChild::~TaskChild() {
  if (child_ > 0) end();
}

void TaskChild::start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) fail(ErrorCode::io_error, "child process", "a socket", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
  posix_spawn_file_actions_adddup2(&actions, 2, 1);  // what a library prints must not come among our lines
  std::vector<char*> arguments;
  for (std::string& word : command_) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int error = ::posix_spawn(&child_, arguments[0], &actions, nullptr, arguments.data(), environment_of_children());
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  socket_ = ends[0];
  received_.clear();
  if (error == 0) return;
  ::close(socket_);
  child_ = -1;
  fail(ErrorCode::io_error, "child process", "a program that starts: " + command_[0], std::strerror(error));
}

std::string TaskChild::end(bool* by_a_fault) {
  ::close(socket_);
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1, socket_ = -1;
  if (!WIFSIGNALED(status)) {
    // The program's own errors end with 2 to 6 or 70; a sanitizer that saw a fault ends with another code.
    const int code = WEXITSTATUS(status);
    if (by_a_fault) *by_a_fault = code == 1 || (code > 6 && code != 70);
    return fmt::format("its process ended with code {}", code);
  }
  const int s = WTERMSIG(status);
  const bool memory = s == SIGSEGV || s == SIGBUS;
  if (by_a_fault) *by_a_fault = memory || s == SIGILL || s == SIGFPE || s == SIGABRT;
  return fmt::format("its process was ended by {} ({}){}", s, strsignal(s), memory ? ": the kernel touched memory that is not its own" : "");
}

TaskChild::Answer TaskChild::receive(std::string& line) {
  const auto start = std::chrono::steady_clock::now();
  while (!take_line(received_, line)) {
    const double left = longest_seconds_ - std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (left <= 0) return Answer::late;
    pollfd waiting{socket_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left * 1000) + 1);
    if (ready < 0 && errno != EINTR) return Answer::end;
    if (ready > 0 && !read_some(socket_, received_)) return Answer::end;
  }
  return Answer::line;
}

TaskResult TaskChild::perform(const Task& task) {
  if (child_ < 0) start();
  std::string line;
  const bool sent = write_all(socket_, to_line(task) + "\n");
  const Answer answer = sent ? receive(line) : Answer::end;
  TaskResult out;
  if (answer == Answer::line) {
    out = parse_task_result(line);
    if (out.result.device_lost) ++lost_, end();
  } else {
    ++lost_;
    if (answer == Answer::late) ::kill(child_, SIGKILL);
    bool by_a_fault = false;
    const std::string how = end(&by_a_fault);
    out.result.inconclusive = !by_a_fault;
    out.result.text = answer == Answer::late ? fmt::format("it did not end within {} seconds", longest_seconds_) : how;
    out.result.device_lost = true;
  }
  out.result.repro = task.repro;
  return out;
}

void serve_tasks(int socket, std::string_view device) {
  const DeviceProps props = find_present_device(device);
  ThreadPool pool(std::max(2, available_cores()));
  const std::unique_ptr<Device> opened = props.kind == DeviceKind::cpu ? nullptr : open_device(props);
  std::optional<CaseDevice> site;
  if (opened) site.emplace(*opened);
  std::string received, line;
  for (;;) {
    while (!take_line(received, line))
      if (!read_some(socket, received)) return;
    const TaskResult result = perform(parse_task(line), LaunchSite(pool, site ? &*site : nullptr));
    if (!write_all(socket, to_line(result) + "\n") || result.result.device_lost) return;
  }
}

}  // namespace attune
