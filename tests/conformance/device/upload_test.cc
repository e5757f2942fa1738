// Memory brought to a device piece by piece: every byte arrives, whatever the size and the number of threads.
#include "device/upload.h"

#include <gtest/gtest.h>

#include "core/thread_pool.h"
#include "twin_device.h"

namespace attune::device_test {
namespace {

constexpr size_t kStage = size_t{32} << 20;

std::vector<uint8_t> pattern(size_t bytes) {
  std::vector<uint8_t> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<uint8_t>((i * 2654435761u) >> 13);
  return out;
}

void expect_arrives(Device& device, ThreadPool* pool, const std::vector<uint8_t>& from) {
  Upload upload(device, pool);
  const Buffer to = device.allocate(from.size() + 1, "target");
  to.as<uint8_t>()[from.size()] = 77;
  upload.send(to.data(), from.data(), from.size());
  upload.finish();
  EXPECT_EQ(0, std::memcmp(to.data(), from.data(), from.size())) << from.size() << " bytes";
  EXPECT_EQ(to.as<uint8_t>()[from.size()], 77) << "written past the end";
}

TEST(Upload, EveryByteArrives) {
  TwinDevice twin;
  const auto cpu = open_device(find_device("cpu"));
  ThreadPool pool(3);
  for (const size_t bytes : {size_t{1}, size_t{63}, size_t{512} << 10, (size_t{512} << 10) + 1, kStage - 1, kStage + 1, 4 * kStage + 12345}) {
    const auto from = pattern(bytes);
    for (Device* d : {static_cast<Device*>(&twin), cpu.get()})
      for (ThreadPool* p : {&pool, static_cast<ThreadPool*>(nullptr)}) expect_arrives(*d, p, from);
  }
}

/// What is sent may be made on the way: parts begin where whole elements do.
TEST(Upload, MadeOnTheWay) {
  TwinDevice device;
  ThreadPool pool(3);
  Upload upload(device, &pool);
  constexpr size_t kCount = (kStage + (5 << 20)) / 4;
  const Buffer to = device.allocate(kCount * 4, "target");
  upload.send(to.data(), kCount * 4, [](void* part, size_t first, size_t bytes) {
    for (size_t i = 0; i < bytes / 4; ++i) static_cast<uint32_t*>(part)[i] = static_cast<uint32_t>(first / 4 + i) * 3;
  });
  uint32_t small[3] = {1, 2, 3};
  const Buffer next = device.allocate(sizeof small, "target");
  upload.send(next.data(), small, sizeof small);
  small[0] = 9;  // it was read
  upload.finish();
  for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(to.as<uint32_t>()[i], i * 3);
  EXPECT_EQ(next.as<uint32_t>()[0], 1u);
}

}  // namespace
}  // namespace attune::device_test
