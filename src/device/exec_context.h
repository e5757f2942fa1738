#pragma once

#include <cstddef>
#include <string_view>

namespace attune {

class ThreadPool;

/// Scratch memory of one stream: sized at load from the kernels' queries, never grown inside a launch.
struct Workspace {
  void* data = nullptr;
  size_t bytes = 0;
};

/// Told of each kernel right before it is launched.
struct LaunchTrace {
  virtual void launched(std::string_view op, std::string_view role, std::string_view variant, std::string_view kernel) = 0;
  virtual ~LaunchTrace() = default;
};

/// What a launch runs on: the threads (CPU) or the stream (GPU), scratch memory, and who wants to know. Passed down; ops never start threads.
struct ExecContext {
  ThreadPool* pool = nullptr;
  void* stream = nullptr;
  Workspace workspace;
  LaunchTrace* trace = nullptr;
};

}  // namespace attune
