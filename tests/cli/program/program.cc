#include "program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace attune::test {
namespace {

namespace fs = std::filesystem;

const std::string kProgram = std::string(ATTUNE_BINARY_DIR) + "/bin/attune";

std::vector<std::string> make_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> out;
  for (char** e = environ; *e; ++e) {
    const std::string line = *e;
    if (line.rfind("ATTUNE_", 0) == 0 || line.rfind("HF_", 0) == 0 || line.rfind("COLUMNS=", 0) == 0) continue;
    if (added.count(line.substr(0, line.find('='))) == 0) out.push_back(line);
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& t : texts) out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

/// In the child: puts the three files in place and becomes the program.
[[noreturn]] void become_program(std::vector<std::string> args, const std::map<std::string, std::string>& added, int in, int out, int err) {
  dup2(in, 0), dup2(out, 1);
  if (err >= 0) dup2(err, 2);
  args.insert(args.begin(), kProgram);
  auto environment = make_environment(added);
  execve(kProgram.c_str(), pointers(args).data(), pointers(environment).data());
  _exit(127);
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

std::vector<std::string> Outcome::lines() const {
  std::vector<std::string> all;
  std::istringstream in(out);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

std::vector<Json> Outcome::json() const {
  std::vector<Json> all;
  for (const auto& line : lines()) all.push_back(Json::parse(line));
  return all;
}

Outcome attune(const Call& call) {
  const TempFolder folder;
  const std::string in_path = folder.write("in", call.input),
                    out_path = call.stdout_path.empty() ? (folder.path() / "out").string() : call.stdout_path,
                    err_path = (folder.path() / "err").string();
  const int in = open(in_path.c_str(), O_RDONLY | O_CLOEXEC), out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
            err = open(err_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t pid = fork();
  if (pid == 0) become_program(call.args, call.environment, in, out, err);
  close(in), close(out), close(err);
  int status = 0;
  waitpid(pid, &status, 0);
  Outcome o{exit_code(status), call.stdout_path.empty() ? read_file(out_path) : "", read_file(err_path)};
  EXPECT_LT(o.code, 131) << "ended by a signal: " << o.err;
  return o;
}

Running::Running(const std::vector<std::string>& args, int err) {
  int to[2], from[2];
  EXPECT_EQ(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
  pid_ = fork();
  if (pid_ == 0) become_program(args, {}, to[0], from[1], err);
  close(to[0]), close(from[1]);
  in_ = to[1], out_ = from[0];
}

Running::~Running() {
  close_input();
  if (out_ >= 0) close(out_);
  if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
}

void Running::write(const std::string& text) { EXPECT_EQ(::write(in_, text.data(), text.size()), static_cast<ssize_t>(text.size())); }

void Running::close_input() {
  if (in_ >= 0) close(in_);
  in_ = -1;
}

std::string Running::read_line() {
  for (;;) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    char chunk[4096];
    const ssize_t n = read(out_, chunk, sizeof chunk);
    if (n <= 0) return std::exchange(buffer_, "");
    buffer_.append(chunk, static_cast<size_t>(n));
  }
}

void Running::interrupt() { kill(pid_, SIGINT); }

/// Whether it has ended; its code and peak are then known.
bool Running::ended(int flags) {
  if (pid_ < 0) return true;
  int status = 0;
  rusage usage{};
  if (wait4(pid_, &status, flags, &usage) != pid_) return false;
  pid_ = -1, code_ = exit_code(status), peak_bytes_ = usage.ru_maxrss * int64_t{1024};
  return true;
}

int Running::wait() {
  ended(0);
  return code_;
}

bool Running::hold(int run_ms, int stop_ms) {
  usleep(static_cast<useconds_t>(run_ms) * 1000);
  if (ended(WNOHANG)) return false;
  kill(pid_, SIGSTOP);
  usleep(static_cast<useconds_t>(stop_ms) * 1000);
  kill(pid_, SIGCONT);
  return true;
}

std::string golden(const std::string& name) { return std::string(ATTUNE_SOURCE_DIR) + "/tests/model/goldens/" + name; }
std::string embedded_model() { return std::string(ATTUNE_SOURCE_DIR) + "/models/abacus"; }

TempFolder::TempFolder() {
  std::string name = (fs::temp_directory_path() / "attune-cli-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ / name, std::ios::binary) << text;
  return (path_ / name).string();
}

void TempFolder::copy_model(const std::string& folder) const {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) fs::copy_file(entry.path(), path_ / entry.path().filename());
}

std::string read_file(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

}  // namespace attune::test
