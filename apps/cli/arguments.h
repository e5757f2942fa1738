#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace attune::cli {

/// What the user asked for: the command line over the variables of the environment. Each getter names the flag or variable it complains about.
class Arguments {
 public:
  /// Reads the flags of `command` from argv; InvalidArgument for one that it does not take, with the nearest it does.
  Arguments(std::string command, int argc, const char* const* argv);

  const std::string& command() const { return command_; }
  const std::vector<std::string>& positionals() const { return positionals_; }
  bool help() const { return help_ || help_all_; }
  bool help_all() const { return help_all_; }

  bool has(std::string_view flag) const { return values_.count(std::string(flag)) > 0; }
  std::string text(std::string_view flag, std::string_view fallback = "") const;
  int64_t integer(std::string_view flag, int64_t fallback) const;
  uint64_t natural(std::string_view flag, uint64_t fallback) const;
  double number(std::string_view flag, double fallback) const;
  /// An integer with an optional K, M, G or T (powers of 1024).
  int64_t bytes(std::string_view flag, int64_t fallback) const;
  /// All values of a repeatable flag.
  std::vector<std::string> list(std::string_view flag) const;
  /// The same as integers; one value may hold several, separated by commas.
  std::vector<int64_t> integers(std::string_view flag) const;
  /// The name to complain about: the flag, or the variable that set it.
  std::string source(std::string_view flag) const;

 private:
  struct Value {
    std::vector<std::string> texts;
    bool from_environment = false;
  };
  void add_environment();
  void take_rest(const std::vector<std::string>& rest);

  std::string command_;
  std::vector<std::string> positionals_;
  std::map<std::string, Value> values_;
  bool help_ = false, help_all_ = false;
};

}  // namespace attune::cli
