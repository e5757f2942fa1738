// attune docs: the pages of docs/generated.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "attune/kernels.h"
#include "attune/options.h"
#include "commands.h"
#include "terminal.h"

namespace attune::cli {
namespace {

void write_page(const std::filesystem::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool whole = fd >= 0;
  while (whole && !text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    whole = n > 0;
    if (whole) text.remove_prefix(static_cast<size_t>(n));
  }
  const int error = errno;
  if (fd >= 0 && ::close(fd) != 0) whole = false;
  if (!whole) fail(ErrorCode::io_error, path.string(), "a file that can be written", std::strerror(error));
}

}  // namespace

int run_docs(const Arguments& args) {
  if (!args.has("--out")) fail(ErrorCode::invalid_argument, "--out", "a folder", "nothing");
  const std::filesystem::path out = args.text("--out");
  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error) fail(ErrorCode::io_error, out.string(), "a folder that can be made", error.message());
  write_page(out / "kernels.md", kernels_page());
  write_page(out / "decisions.md", decisions_page());
  write_page(out / "options.md", options_page());
  return 0;
}

}  // namespace attune::cli
