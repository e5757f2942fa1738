#include "core/error.h"

#include "core/utf8.h"

namespace attune {

const char* to_text(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "InvalidArgument";
    case ErrorCode::not_supported: return "NotSupported";
    case ErrorCode::out_of_memory: return "OutOfMemory";
    case ErrorCode::io_error: return "IoError";
    case ErrorCode::device_error: return "DeviceError";
    case ErrorCode::internal: return "Internal";
  }
  return "Internal";
}

void fail(ErrorCode code, std::string_view where, std::string_view expected, std::string_view got) {
  throw Error(code, fmt::format("{}: expected {}; got {}", where, expected, got));
}

std::string printable(std::string_view bytes, size_t limit) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    if (i >= limit) return out + "…";
    const size_t n = utf8_sequence(bytes.substr(i));
    const unsigned char c = static_cast<unsigned char>(bytes[i]);
    if (n == 0 || c < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", c);
      i += 1;
    } else {
      out += bytes.substr(i, n);
      i += n;
    }
  }
  return out;
}

}  // namespace attune
