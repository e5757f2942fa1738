#include "loader/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace attune {

namespace {

/// Closes the descriptor at the end of the scope: the mapping outlives it.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string system_text(int error) { return std::generic_category().message(error); }

std::string shown(const std::filesystem::path& path) { return printable(path.string(), 512); }

}  // namespace

MappedFile MappedFile::open(const std::filesystem::path& path, uint64_t max_bytes) {
  // O_NONBLOCK: opening a FIFO would otherwise wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail(ErrorCode::io_error, shown(path), "a readable file", system_text(errno));
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail(ErrorCode::io_error, shown(path), "a readable file", system_text(errno));
  if (!S_ISREG(status.st_mode)) fail(ErrorCode::io_error, shown(path), "a regular file", S_ISDIR(status.st_mode) ? "a folder" : "a special file");
  const uint64_t size = static_cast<uint64_t>(status.st_size);
  if (size > max_bytes) fail(ErrorCode::io_error, shown(path), fmt::format("at most {} bytes", max_bytes), fmt::format("{} bytes", size));
  MappedFile mapped;
  mapped.path_ = path;
  if (size == 0) return mapped;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) fail(ErrorCode::io_error, shown(path), fmt::format("to map {} bytes", size), system_text(errno));
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = size;
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

bool MappedFile::contains(const void* p) const {
  const auto* at = static_cast<const std::byte*>(p);
  return data_ && !std::less<>{}(at, data_) && std::less<>{}(at, data_ + size_);
}

void MappedFile::advise(size_t offset, size_t bytes, int advice) const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  if (offset >= size_) return;
  const size_t stop = bytes > size_ - offset ? size_ : offset + bytes;
  const bool drop = advice == MADV_DONTNEED;
  const size_t first = (drop ? (offset + page - 1) : offset) / page * page;
  const size_t last = drop && stop != size_ ? stop / page * page : stop;
  if (first < last) ::madvise(const_cast<std::byte*>(data_) + first, last - first, advice);
}

void MappedFile::advise_sequential() const { advise(0, size_, MADV_SEQUENTIAL); }
void MappedFile::advise_random() const { advise(0, size_, MADV_RANDOM); }
void MappedFile::advise_will_need(size_t offset, size_t bytes) const { advise(offset, bytes, MADV_WILLNEED); }
void MappedFile::release(size_t offset, size_t bytes) const { advise(offset, bytes, MADV_DONTNEED); }

}  // namespace attune
