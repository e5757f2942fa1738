#pragma once

#include <exception>
#include <string>
#include <utility>

namespace attune {

/// What kind of failure an Error reports. `exit_code()` maps it to the exit code of the command line.
enum class ErrorCode {
  invalid_argument,  ///< the caller's input is wrong: a flag, a file, a request
  not_supported,     ///< the input is valid, but no kernel, model or build can do it
  out_of_memory,     ///< host or device memory
  io_error,          ///< a file could not be read or written
  device_error,      ///< the device failed
  internal,          ///< a bug of ours
};

/// The code's name as it stands in JSON and logs: "InvalidArgument", "NotSupported", …
const char* to_text(ErrorCode code);

/// The one exception type of the library. The message reads `where: expected …; got …`, with values, never an address.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const noexcept { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const noexcept { return message_; }

 private:
  ErrorCode code_;
  std::string message_;
};

}  // namespace attune
