#pragma once

#include <cstdint>

namespace attune {

/// The process's worker threads. `run` hands tasks 0..tasks-1 to the workers in contiguous, fixed ranges: which worker does a task depends
/// on (tasks, size) alone. Workers spin for at most 50 µs after a run and then sleep. One run at a time; a run inside a task is an error.
class ThreadPool {
 public:
  using Task = void (*)(void* argument, int64_t task, int worker);

  /// `threads` ≥ 1 counts the caller, which does worker 0's share. 0 means one per physical core that this process may use.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  /// Calls `task(argument, i, worker)` for every i in [0, tasks) and returns when all are done. Tasks must not throw.
  void run(int64_t tasks, Task task, void* argument);

  /// The same for any callable `f(int64_t task, int worker)`.
  template <class F>
  void parallel_for(int64_t tasks, F&& f) {
    run(
        tasks, [](void* a, int64_t i, int w) { (*static_cast<F*>(a))(i, w); }, const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  struct State;
  int size_;
  State* state_;
};

/// Physical cores this process may run on (affinity respected), at least 1.
int available_cores();

}  // namespace attune
