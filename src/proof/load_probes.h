#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "proof/probe.h"

namespace attune {

class TaskChild;

/// What a probe is asked: plain text, so that another process can answer.
struct ProbeQuestion {
  std::string op, kernel, desc;
  int version = 1;
};

/// The probes of a load on a GPU: what is remembered of this machine is not asked again, the rest is done by one child process, so that a fault
/// is a refusal and not the end.
class LoadProbes {
 public:
  struct Options {
    std::vector<std::string> child;  ///< program and arguments of a process that calls serve_tasks(); the device's name is appended
    std::string record;              ///< the file that remembers; empty: nothing is remembered
    DeviceProps device;
  };
  explicit LoadProbes(Options options);
  ~LoadProbes();  ///< writes what is new
  LoadProbes(const LoadProbes&) = delete;
  LoadProbes& operator=(const LoadProbes&) = delete;

  ProbeResult probe(const ProbeQuestion& question);

  int64_t asked() const { return asked_; }  ///< of the child; the others were remembered
  void save();

 private:
  void start();
  std::string key_of(const ProbeQuestion& question) const;

  Options options_;
  std::string context_;
  std::map<std::string, ProbeResult> known_;
  std::unique_ptr<TaskChild> child_;
  int64_t asked_ = 0;
  bool fresh_ = false;
};

/// Names the file that this code runs from, by its size and time: another build, another name.
std::string binary_identity();

}  // namespace attune
