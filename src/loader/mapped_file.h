#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace attune {

/// A regular file mapped read-only. The mapping sees the file as it is on disk: whoever truncates the file while it is mapped
/// makes reads beyond its new end fail with SIGBUS, so model files are to be replaced (rename), never rewritten in place.
class MappedFile {
 public:
  MappedFile() = default;
  /// Maps the whole of `path`; IoError if it is missing, unreadable, not a regular file or larger than `max_bytes`.
  static MappedFile open(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 46);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  size_t size() const { return size_; }
  /// True if `p` points into the mapping.
  bool contains(const void* p) const;

  /// Hints to the kernel; they change speed only and never fail.
  void advise_sequential() const;
  void advise_random() const;
  void advise_will_need(size_t offset, size_t bytes) const;
  /// Drops the resident pages that lie wholly inside the range. They stay readable: a later read maps them again.
  void release(size_t offset, size_t bytes) const;

 private:
  void advise(size_t offset, size_t bytes, int advice) const;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace attune
