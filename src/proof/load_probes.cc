#include "proof/load_probes.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <chrono>

#include "core/error.h"
#include "core/log.h"
#include "proof/probe_record.h"
#include "proof/task_child.h"

namespace attune {
namespace {

constexpr double kLongestProbe = 60;  // seconds

}  // namespace

std::string binary_identity() {
  Dl_info info{};
  struct stat file {};
  if (::dladdr(reinterpret_cast<void*>(&binary_identity), &info) == 0 || ::stat(info.dli_fname, &file) != 0)
    if (::stat("/proc/self/exe", &file) != 0) return "unknown";
  return fmt::format("{:x}.{:x}.{:x}", file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
}

LoadProbes::LoadProbes(Options options) : options_(std::move(options)) {
  context_ = fmt::format("{} | driver {} | {} | ", options_.device.model, options_.device.driver, binary_identity());
  try {
    if (const auto text = read_cache_file(kProbeRecord, options_.record)) known_ = parse_probes(*text);
  } catch (const Error& e) {
    log_warning("what was probed before is unknown: {}", e.message());
  }
  // Nothing is known here: the child is needed, and gets its device ready while the load goes on.
  const auto known = known_.lower_bound(context_);
  if (known == known_.end() || !known->first.starts_with(context_)) start();
}

void LoadProbes::start() {
  std::vector<std::string> command = options_.child;
  command.push_back(options_.device.name);
  child_ = std::make_unique<TaskChild>(std::move(command), kLongestProbe);
  child_->start();
}

LoadProbes::~LoadProbes() {
  try {
    save();
  } catch (const Error& e) {
    log_warning("probes are not remembered: {}", e.message());
  }
}

std::string LoadProbes::key_of(const ProbeQuestion& q) const { return fmt::format("{}{} version {} | {}", context_, q.kernel, q.version, q.desc); }

ProbeResult LoadProbes::probe(const ProbeQuestion& q) {
  const std::string key = key_of(q);
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  if (!child_) start();
  const auto start = std::chrono::steady_clock::now();
  const TaskResult done = child_->perform({.kind = Task::Kind::probe, .op = q.op, .kernel = q.kernel, .problem = q.desc});
  ++asked_;
  ProbeResult out{.passed = done.result.passed, .text = done.result.text, .device_lost = done.result.device_lost};
  out.inconclusive = done.result.inconclusive;
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (key.size() <= kLongestProbeKey && !out.inconclusive) known_[key] = out, fresh_ = true;
  return out;
}

void LoadProbes::save() {
  if (!fresh_ || options_.record.empty()) return;
  fresh_ = false;
  // Other devices, drivers and binaries make room.
  if (known_.size() > kMostProbes) std::erase_if(known_, [&](const auto& p) { return !p.first.starts_with(context_); });
  while (known_.size() > kMostProbes) known_.erase(known_.begin());
  write_cache_file(options_.record, probes_text(known_));
}

}  // namespace attune
