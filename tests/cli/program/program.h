#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attune::test {

using Json = nlohmann::json;

struct Outcome {
  int code = -1;  ///< 128 + signal if one ended it
  std::string out, err;

  std::vector<std::string> lines() const;
  std::vector<Json> json() const;  ///< each line of stdout
};

struct Call {
  std::vector<std::string> args;
  std::string input;
  std::map<std::string, std::string> environment;  ///< on top of this process's, without ATTUNE_* and HF_*
  std::string stdout_path;                         ///< where stdout goes; empty: Outcome::out
};

/// Runs the real program to its end.
Outcome attune(const Call& call);
inline Outcome attune(std::vector<std::string> args, std::string input = "") { return attune(Call{std::move(args), std::move(input), {}, {}}); }

/// The program running with pipes for stdin and stdout; stderr is this process's, or `err`.
class Running {
 public:
  explicit Running(const std::vector<std::string>& args, int err = -1);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  void write(const std::string& text);
  void close_input();
  /// The next line of stdout; empty at its end.
  std::string read_line();
  void interrupt();
  int wait();
  /// Stops and continues it once, as a machine that is busy elsewhere would. False once it has ended; wait() then returns at once.
  bool hold(int run_ms, int stop_ms);
  /// After its end: the most memory it held, mapped file pages included.
  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  bool ended(int flags);

  int64_t peak_bytes_ = 0;
  int code_ = -1;
  int pid_ = -1, in_ = -1, out_ = -1;
  std::string buffer_;
};

/// tests/model/goldens/NAME: tiny random models without a tokenizer.
std::string golden(const std::string& name);
std::string embedded_model();

/// A folder of its own, removed at the end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::filesystem::path path() const { return path_; }
  std::string write(const std::string& name, const std::string& text) const;
  /// Copies the files of a model folder into it.
  void copy_model(const std::string& folder) const;

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);

}  // namespace attune::test
