#pragma once

#include <sys/types.h>

#include "proof/task.h"

namespace attune {

/// Tasks done by a child process: a kernel that faults, or does not end, is a failed task, and the next task gets a new child.
class TaskChild {
 public:
  /// `command`: program and arguments of a process that calls serve_tasks() on its standard input.
  explicit TaskChild(std::vector<std::string> command, double longest_seconds = 600);
  ~TaskChild();
  TaskChild(const TaskChild&) = delete;
  TaskChild& operator=(const TaskChild&) = delete;

  /// Starts the child now, so that it gets ready meanwhile. IoError.
  void start();

  /// IoError if no child can be started.
  TaskResult perform(const Task& task);

  /// Children that ended before their time.
  int64_t lost() const { return lost_; }

 private:
  std::string end(bool* by_a_fault = nullptr);  ///< waits for the child; how it ended
  enum class Answer : uint8_t { line, end, late };
  Answer receive(std::string& line);

  std::vector<std::string> command_;
  double longest_seconds_;
  pid_t child_ = -1;
  int socket_ = -1;
  std::string received_;
  int64_t lost_ = 0;
};

/// The child's side: does the tasks that come through `socket`, on the device named, until it is closed or the device is lost.
void serve_tasks(int socket, std::string_view device);

}  // namespace attune
