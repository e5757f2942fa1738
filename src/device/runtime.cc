#include "device/runtime.h"

#include <chrono>
#include <cstring>

#include "build_info.h"
#include "core/error.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

void delete_time(void* p) { delete static_cast<Clock::time_point*>(p); }

/// The CPU: everything happens at once, so a stream is nothing and an event a moment.
class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const DeviceProps& props) : props_(props) {}
  const DeviceProps& props() const override { return props_; }
  Buffer allocate(size_t bytes, const char* what) override { return Buffer(bytes, what); }
  Buffer allocate_pinned(size_t bytes, const char* what) override { return Buffer(bytes, what); }
  size_t free_memory() override { return static_cast<size_t>(props_.memory); }
  Stream make_stream() override { return {}; }
  Event make_event() override { return make_timer(); }
  Event make_timer() override { return Event(new Clock::time_point(), delete_time); }
  void copy(void* to, const void* from, size_t bytes, const Stream&) override {
    if (bytes > 0) std::memmove(to, from, bytes);
  }
  void fill(void* to, uint8_t byte, size_t bytes, const Stream&) override {
    if (bytes > 0) std::memset(to, byte, bytes);
  }
  void synchronize(const Stream&) override {}
  void record(const Event& event, const Stream&) override { time_of(event) = Clock::now(); }
  void wait(const Event&) override {}
  void wait(const Stream&, const Event&) override {}
  double elapsed_us(const Event& from, const Event& to) override {
    return std::chrono::duration<double, std::micro>(time_of(to) - time_of(from)).count();
  }
  void begin_capture(const Stream&) override { no_graphs(); }
  Graph end_capture(const Stream&) override { no_graphs(); }
  void replay(const Graph&, const Stream&) override { no_graphs(); }

 private:
  static Clock::time_point& time_of(const Event& e) { return *static_cast<Clock::time_point*>(e.get()); }
  [[noreturn]] static void no_graphs() { fail(ErrorCode::not_supported, "graph", "a GPU", "cpu"); }

  DeviceProps props_;
};

struct Present {
  std::vector<DeviceProps> devices{detect_cpu()};
  std::string cuda_absence = "a binary built without cuda (make cuda)";
};

WrapDevice g_wrap = nullptr;

const Present& present() {
  static const Present found = [] {
    Present p;
    if constexpr (build::kWithCuda) {
      for (auto& d : cuda::detect(p.cuda_absence)) p.devices.push_back(std::move(d));
    }
    return p;
  }();
  return found;
}

}  // namespace

const std::vector<DeviceProps>& present_devices() { return present().devices; }
std::string cuda_absence() { return present().cuda_absence; }

void wrap_devices(WrapDevice wrap) { g_wrap = wrap; }

std::unique_ptr<Device> open_device(const DeviceProps& props) {
  const auto wrapped = [](std::unique_ptr<Device> d) { return g_wrap ? g_wrap(std::move(d)) : std::move(d); };
  if (props.present && props.kind == DeviceKind::cpu) return wrapped(std::make_unique<CpuDevice>(props));
  if constexpr (build::kWithCuda)
    if (props.present && props.kind == DeviceKind::cuda) return wrapped(cuda::open(props));
  fail(ErrorCode::not_supported, "--device", "a device of this machine that this binary can use", props.name);
}

}  // namespace attune
