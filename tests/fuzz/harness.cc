#include "harness.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace attune::fuzz {

void broken(std::string_view promise, std::string_view detail) {
  fmt::print(stderr, "broken promise: {}: {}\n", promise, printable(detail, 2000));
  std::abort();
}

std::string_view take_part(std::string_view& rest) {
  const size_t end = rest.find('\0');
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

MemoryFile::MemoryFile(std::string_view bytes) : fd_(memfd_create("input", MFD_CLOEXEC)), path_(fmt::format("/proc/self/fd/{}", fd_)) {
  const bool written = fd_ >= 0 && (bytes.empty() || ::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  promise(written, "the machine gives a file in memory");
}

MemoryFile::~MemoryFile() { ::close(fd_); }

}  // namespace attune::fuzz
