#include "device/runtime.h"

#include <chrono>
#include <cstring>
#include <fstream>
#include <limits>

#include "build_info.h"
#include "core/error.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

/// What the system says it could give without swapping; 0 where it does not say.
size_t available_host_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (size_t kib = 0; file >> name >> kib; file.ignore(std::numeric_limits<std::streamsize>::max(), '\n'))
    if (name == "MemAvailable:") return kib * 1024;
  return 0;
}

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

void memory_is_short(std::string_view what, size_t bytes, std::string_view device, size_t free) {
  fail(ErrorCode::out_of_memory, what, fmt::format("{} bytes of memory on {}", bytes, device),
       fmt::format("{} free, {} missing", free, bytes > free ? bytes - free : 0));
}

void host_memory_is_short(std::string_view what, size_t bytes) {
  const size_t free = available_host_memory(), missing = bytes > free ? bytes - free : 0;
  fail(ErrorCode::out_of_memory, what, fmt::format("{} bytes of pinned memory of the host", bytes),
       fmt::format("{} free, {} missing{}", free, missing, missing == 0 ? ": the driver refuses to pin them" : ""));
}

void need_memory(Device& device, size_t bytes, std::string_view what) {
  const size_t free = device.free_memory();
  if (bytes > free) memory_is_short(what, bytes, device.props().name, free);
}

void wrap_devices(WrapDevice wrap) { g_wrap = wrap; }

std::unique_ptr<Device> open_device(const DeviceProps& props) {
  const auto wrapped = [](std::unique_ptr<Device> d) { return g_wrap ? g_wrap(std::move(d)) : std::move(d); };
  if (props.present && props.kind == DeviceKind::cpu) return wrapped(std::make_unique<CpuDevice>(props));
  if constexpr (build::kWithCuda)
    if (props.present && props.kind == DeviceKind::cuda) return wrapped(cuda::open(props));
  fail(ErrorCode::not_supported, "--device", "a device of this machine that this binary can use", props.name);
}

}  // namespace attune
