#include "loader/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader_files.h"

namespace attune {
namespace {

TEST(MappedFile, ShowsTheBytesAndMoves) {
  const TestFolder folder;
  MappedFile file = MappedFile::open(folder.write("a", "hello"));
  EXPECT_EQ(file.text(), "hello");
  MappedFile moved = std::move(file);
  EXPECT_EQ(moved.text(), "hello");
  EXPECT_TRUE(moved.contains(moved.bytes().data() + 4));
  EXPECT_FALSE(moved.contains(moved.bytes().data() + 5));
  moved = MappedFile::open(folder.write("b", "other"));
  EXPECT_EQ(moved.text(), "other");
}

TEST(MappedFile, TakesAnEmptyFile) {
  const TestFolder folder;
  const MappedFile file = MappedFile::open(folder.write("empty", ""));
  EXPECT_EQ(file.size(), 0u);
  EXPECT_FALSE(file.contains(nullptr));
  file.advise_sequential();
  file.release(0, 100);
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const TestFolder folder;
  EXPECT_NE(error_of([&] { MappedFile::open(folder.path() / "none"); }).find("No such file"), std::string::npos);
  EXPECT_NE(error_of([&] { MappedFile::open(folder.path()); }).find("got a folder"), std::string::npos);
  const std::string fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_NE(error_of([&] { MappedFile::open(fifo); }).find("got a special file"), std::string::npos);
  const auto path = folder.write("big", "12345");
  EXPECT_NE(error_of([&] { MappedFile::open(path, 4); }).find("expected at most 4 bytes; got 5 bytes"), std::string::npos);
  EXPECT_NO_THROW(MappedFile::open(path, 5));
}

/// Pages of the mapping that this process has in memory, by its own page table.
size_t resident_pages(const MappedFile& file) {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const int table = ::open("/proc/self/pagemap", O_RDONLY);
  size_t resident = 0;
  for (size_t at = 0; at < file.size(); at += page) {
    uint64_t entry = 0;
    const auto where = static_cast<off_t>(reinterpret_cast<uintptr_t>(file.bytes().data() + at) / page * 8);
    if (::pread(table, &entry, 8, where) == 8) resident += entry >> 63;
  }
  ::close(table);
  return resident;
}

TEST(MappedFile, ReleaseDropsWholePagesAndKeepsTheContent) {
  const TestFolder folder;
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const MappedFile file = MappedFile::open(folder.write("pages", std::string(8 * page, 'x')));
  file.advise_random();
  for (size_t at = 0; at < file.size(); at += page) EXPECT_EQ(file.text()[at], 'x');
  const size_t before = resident_pages(file);
  if (before != 8) GTEST_SKIP() << "/proc/self/pagemap does not show here which pages are resident, as in some sandboxes";
  file.release(page + 1, 3 * page);  // holds pages 2 and 3 wholly
  EXPECT_EQ(resident_pages(file), 6u);
  file.release(5 * page, size_t{1} << 60);
  EXPECT_EQ(resident_pages(file), 3u);
  EXPECT_EQ(file.text(), std::string(8 * page, 'x'));
}

}  // namespace
}  // namespace attune
