#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "core/error.h"
#include "device/runtime.h"

namespace attune::device_test {

/// Launches in order, run at once or, between begin and end of a capture, kept for replays.
struct TwinStream {
  bool capturing = false;
  std::vector<std::function<void()>> captured;

  void run(std::function<void()> launch) {
    if (capturing)
      captured.push_back(std::move(launch));
    else
      launch();
  }
};

/// A device without hardware: its memory is memory of the host that no tensor of a problem lies in, its graphs are lists of launches. What the
/// harness does for a GPU can be seen here: translation, margins, captures.
class TwinDevice final : public Device {
 public:
  TwinDevice() {
    props_.name = "twin", props_.kind = DeviceKind::cuda, props_.arch = Arch::sm90a, props_.model = "twin of a GPU";
    props_.cores = 132, props_.warp_size = 32, props_.shared_memory = 227 << 10, props_.present = true;
  }
  const DeviceProps& props() const override { return props_; }
  Buffer allocate(size_t bytes, const char*) override {
    constexpr size_t kAlign = 256;
    void* p = std::aligned_alloc(kAlign, (bytes + kAlign - 1) / kAlign * kAlign);
    memory()[static_cast<const uint8_t*>(p)] = bytes;
    return Buffer(p, bytes, [](void* data, size_t) {
      memory().erase(static_cast<const uint8_t*>(data));
      std::free(data);
    });
  }
  Buffer allocate_pinned(size_t bytes, const char* what) override { return Buffer(bytes, what); }
  size_t free_memory() override { return size_t{1} << 40; }
  Stream make_stream() override {
    return Stream(new TwinStream(), [](void* p) { delete static_cast<TwinStream*>(p); });
  }
  Event make_event() override { return {}; }
  Event make_timer() override { return {}; }
  void copy(void* to, const void* from, size_t bytes, const Stream&) override {
    if (bytes > 0) std::memmove(to, from, bytes);
  }
  void fill(void* to, uint8_t byte, size_t bytes, const Stream&) override {
    if (bytes > 0) std::memset(to, byte, bytes);
  }
  void synchronize(const Stream&) override {}
  void record(const Event&, const Stream&) override {}
  void wait(const Event&) override {}
  void wait(const Stream&, const Event&) override {}
  double elapsed_us(const Event&, const Event&) override { return 0; }
  void begin_capture(const Stream& s) override { stream_of(s).capturing = true; }
  Graph end_capture(const Stream& s) override {
    stream_of(s).capturing = false;
    auto* launches = new Launches(std::move(stream_of(s).captured));
    stream_of(s).captured.clear();
    return Graph(launches, [](void* p) { delete static_cast<Launches*>(p); });
  }
  void replay(const Graph& graph, const Stream&) override {
    for (const auto& launch : *static_cast<Launches*>(graph.get())) launch();
  }

  /// True if a byte is this device's.
  static bool owns(const void* p) {
    const auto* byte = static_cast<const uint8_t*>(p);
    auto after = memory().upper_bound(byte);
    if (after == memory().begin()) return false;
    --after;
    return byte <= after->first + after->second;
  }

 private:
  using Launches = std::vector<std::function<void()>>;
  static TwinStream& stream_of(const Stream& s) { return *static_cast<TwinStream*>(s.get()); }
  static std::map<const uint8_t*, size_t>& memory() {
    static std::map<const uint8_t*, size_t> all;
    return all;
  }
  DeviceProps props_;
};

}  // namespace attune::device_test
