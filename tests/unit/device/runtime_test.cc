#include "device/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"

namespace attune {
namespace {

std::string refusal_of(const char* name) {
  try {
    find_device(name);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Runtime, TheCpuCopiesFillsAndTimes) {
  ASSERT_EQ(present_devices().front().name, "cpu");
  const auto device = open_device(find_device("cpu"));
  const Stream stream = device->make_stream();
  const Buffer a = device->allocate(64, "a"), b = device->allocate_pinned(64, "b");
  const Event first = device->make_timer(), last = device->make_timer();
  device->record(first, stream);
  device->fill(a.data(), 7, 64, stream);
  device->copy(b.data(), a.data(), 64, stream);
  device->record(last, stream);
  device->synchronize(stream);
  EXPECT_EQ(b.as<uint8_t>()[63], 7);
  EXPECT_GE(device->elapsed_us(first, last), 0);
  EXPECT_THROW(device->begin_capture(stream), Error);
}

std::string text_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code() == ErrorCode::out_of_memory ? e.message() : "another code";
  }
  return "";
}

TEST(Runtime, ShortMemoryIsToldInBytes) {
  EXPECT_EQ(text_of([] { memory_is_short("KV cache", 1000, "cuda:1", 300); }),
            "KV cache: expected 1000 bytes of memory on cuda:1; got 300 free, 700 missing");
  const auto device = open_device(find_device("cpu"));
  const size_t all = device->free_memory();
  EXPECT_EQ(text_of([&] { need_memory(*device, all, "weights"); }), "");
  EXPECT_EQ(text_of([&] { need_memory(*device, all + 7, "weights"); }),
            fmt::format("weights: expected {} bytes of memory on cpu; got {} free, 7 missing", all + 7, all));
}

TEST(Runtime, ShortMemoryOfTheHostIsNotCalledTheDevices) {
  EXPECT_THAT(text_of([] { host_memory_is_short("step inputs", size_t{1} << 60); }),
              testing::MatchesRegex("step inputs: expected 1152921504606846976 bytes of pinned memory of the host; got [0-9]+ free, [0-9]+ missing"));
  EXPECT_THAT(text_of([] { host_memory_is_short("step inputs", 1); }), testing::EndsWith("free, 0 missing: the driver refuses to pin them"));
}

TEST(Runtime, AnInventedRecordCannotBeOpened) { EXPECT_THROW(open_device(find_device("h200")), Error); }

TEST(Runtime, WithoutACudaDeviceTheReasonIsGiven) {
  if (present_devices().size() > 1) {
    EXPECT_EQ(present_devices()[1].name, "cuda");
    return;
  }
  EXPECT_EQ(refusal_of("cuda"), "--device: expected a CUDA device; got " + cuda_absence());
  EXPECT_NE(refusal_of("toaster").find("h200"), std::string::npos);
}

TEST(Runtime, OnlyADeviceOfThisMachineIsPresent) {
  EXPECT_TRUE(find_present_device("cpu").present);
  EXPECT_THROW(find_present_device("h200"), Error);
  EXPECT_THROW(find_present_device("cpu-plain"), Error);
}

TEST(Runtime, AHandleDestroysOnce) {
  static int destroyed = 0;
  static int thing = 0;
  {
    Handle a(&thing, [](void*) { ++destroyed; });
    Handle b = std::move(a);
    EXPECT_FALSE(a);
    EXPECT_TRUE(b);
  }
  EXPECT_EQ(destroyed, 1);
}

}  // namespace
}  // namespace attune
