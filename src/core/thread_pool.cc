#include "core/thread_pool.h"

#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.h"

namespace attune {

namespace {

constexpr auto kSpin = std::chrono::microseconds(50);
constexpr size_t kLine = 64;

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Waits until `done()` by spinning for kSpin at most; false if the time ran out.
template <class F>
bool spin_until(F&& done) {
  for (int i = 0; i < 64; ++i) {  // before the clock is asked
    if (done()) return true;
    pause_cpu();
  }
  const auto end = std::chrono::steady_clock::now() + kSpin;
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      pause_cpu();
    }
    if (std::chrono::steady_clock::now() > end) return false;
  }
}

}  // namespace

struct ThreadPool::State {
  // What one thread writes while another spins on it has a cache line of its own; a run comes with the line that announces it.
  alignas(kLine) std::atomic<uint64_t> epoch{0};  // raised once a run
  std::atomic<bool> stop{false};
  int64_t tasks = 0;
  Task task = nullptr;
  void* argument = nullptr;
  alignas(kLine) std::atomic<int> unfinished{0};  // workers still busy with this run
  alignas(kLine) std::atomic<int> sleepers{0};
  alignas(kLine) std::atomic<bool> busy{false};
  alignas(kLine) std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> threads;

  ~State() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    wake.notify_all();
    for (auto& t : threads) t.join();
  }

  void start(int size) {
    threads.reserve(static_cast<size_t>(size - 1));
    try {
      for (int w = 1; w < size; ++w) threads.emplace_back([this, w, size] { work(w, size); });
    } catch (const std::system_error& e) {
      fail(ErrorCode::out_of_memory, "thread pool", fmt::format("{} threads", size), e.what());
    }
  }

  void share(int worker, int size) const {
    const int64_t first = tasks * worker / size;
    const int64_t last = tasks * (worker + 1) / size;
    for (int64_t i = first; i < last; ++i) task(argument, i, worker);
  }

  void work(int worker, int size) {
    uint64_t seen = 0;
    while (true) {
      const auto changed = [&] { return epoch.load(std::memory_order_acquire) != seen || stop.load(std::memory_order_relaxed); };
      if (!spin_until(changed)) {
        std::unique_lock lock(mutex);
        sleepers.fetch_add(1);
        wake.wait(lock, changed);
        sleepers.fetch_sub(1);
      }
      if (stop.load()) return;
      seen = epoch.load(std::memory_order_acquire);
      share(worker, size);
      unfinished.fetch_sub(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int threads) : size_(threads > 0 ? threads : available_cores()), state_(new State) {
  try {
    state_->start(size_);
  } catch (...) {
    delete state_;
    throw;
  }
}

ThreadPool::~ThreadPool() { delete state_; }

void ThreadPool::run(int64_t tasks, Task task, void* argument) {
  if (tasks <= 0) return;
  if (state_->busy.exchange(true)) fail(ErrorCode::internal, "thread pool", "one run at a time", "a run inside a run");
  if (size_ == 1 || tasks == 1) {
    for (int64_t i = 0; i < tasks; ++i) task(argument, i, 0);
    state_->busy = false;
    return;
  }
  state_->tasks = tasks;
  state_->task = task;
  state_->argument = argument;
  state_->unfinished.store(size_ - 1, std::memory_order_relaxed);
  state_->epoch.fetch_add(1);
  if (state_->sleepers.load() > 0) {
    std::lock_guard lock(state_->mutex);
    state_->wake.notify_all();
  }
  state_->share(0, size_);
  while (state_->unfinished.load(std::memory_order_acquire) != 0) {
    if (!spin_until([&] { return state_->unfinished.load(std::memory_order_acquire) == 0; })) std::this_thread::yield();
  }
  state_->busy = false;
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  std::set<std::string> cores;  // hyper-threads share a (package, core) pair
  int logical = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    ++logical;
    const std::string base = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", cpu);
    std::string core, package;
    std::ifstream(base + "core_id") >> core;
    std::ifstream(base + "physical_package_id") >> package;
    if (!core.empty()) cores.insert(package + ":" + core);
  }
  const int physical = static_cast<int>(cores.size());
  return physical > 0 ? physical : (logical > 0 ? logical : 1);
}

}  // namespace attune
