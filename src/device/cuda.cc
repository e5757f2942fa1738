// Device by the CUDA runtime, which is linked statically and finds the driver when it is first called: without one, detect() is empty.
#include <cuda_runtime_api.h>

#include <fstream>
#include <string>

#include "core/error.h"
#include "device/runtime.h"
#include "device/shared_library.h"

namespace attune::cuda {
namespace {

void check(cudaError_t e, const char* what) {
  if (e == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky must not be seen again by the next launch
  if (e != cudaErrorMemoryAllocation)
    fail(ErrorCode::device_error, what, "success", fmt::format("{} ({})", cudaGetErrorString(e), cudaGetErrorName(e)));
  size_t free = 0, total = 0;  // how much a graph, a stream or an event needs the driver does not say
  cudaMemGetInfo(&free, &total);
  fail(ErrorCode::out_of_memory, what, "memory of the device for it", fmt::format("{} bytes free, too few for the driver", free));
}

constexpr const char* kDriver[] = {"libcuda.so.1"};

void free_device(void* p, size_t) { cudaFree(p); }
void free_host(void* p, size_t) { cudaFreeHost(p); }
void destroy_stream(void* p) { cudaStreamDestroy(static_cast<cudaStream_t>(p)); }
void destroy_event(void* p) { cudaEventDestroy(static_cast<cudaEvent_t>(p)); }
void destroy_graph(void* p) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(p)); }

cudaStream_t stream_of(const Stream& s) { return static_cast<cudaStream_t>(s.get()); }
cudaEvent_t event_of(const Event& e) { return static_cast<cudaEvent_t>(e.get()); }

Arch arch_of(const cudaDeviceProp& p) {
  switch (p.major * 10 + p.minor) {
    case 80: return Arch::sm80;
    case 86: return Arch::sm86;
    case 89: return Arch::sm89;
    case 90: return Arch::sm90a;
    case 100: return Arch::sm100a;
    default: return Arch::generic;
  }
}

/// "13000", and the kernel module's own line where it says more.
std::string driver_version() {
  int version = 0;
  cudaDriverGetVersion(&version);
  std::string line;
  std::getline(std::ifstream("/proc/driver/nvidia/version") >> std::ws, line);
  return std::to_string(version) + (line.empty() ? "" : " " + line);
}

DeviceProps record_of(int index, const cudaDeviceProp& p) {
  DeviceProps d;
  d.name = index == 0 ? "cuda" : "cuda:" + std::to_string(index);
  d.kind = DeviceKind::cuda;
  d.arch = arch_of(p);
  d.model = p.name;
  d.driver = driver_version();
  d.cores = p.multiProcessorCount;
  d.warp_size = p.warpSize;
  d.shared_memory = static_cast<int64_t>(p.sharedMemPerBlockOptin);
  d.l2 = p.l2CacheSize;
  d.memory = static_cast<int64_t>(p.totalGlobalMem);
  d.present = true;
  return d;
}

class CudaDevice final : public Device {
 public:
  CudaDevice(const DeviceProps& props, int index) : props_(props), index_(index) { check(cudaSetDevice(index), "device cuda"); }

  const DeviceProps& props() const override { return props_; }
  void make_current() noexcept override { cudaSetDevice(index_); }

  Buffer allocate(size_t bytes, const char* what) override {
    if (bytes == 0) return {};
    make_current();
    void* p = nullptr;
    if (const cudaError_t e = cudaMalloc(&p, bytes); e != cudaSuccess) {
      cudaGetLastError();
      if (e != cudaErrorMemoryAllocation) check(e, what);
      memory_is_short(what, bytes, props_.name, free_memory());
    }
    return Buffer(p, bytes, free_device);
  }

  Buffer allocate_pinned(size_t bytes, const char* what) override {
    if (bytes == 0) return {};
    make_current();
    void* p = nullptr;
    if (const cudaError_t e = cudaMallocHost(&p, bytes); e != cudaSuccess) {
      cudaGetLastError();
      if (e != cudaErrorMemoryAllocation) check(e, what);
      host_memory_is_short(what, bytes);
    }
    return Buffer(p, bytes, free_host);
  }

  size_t free_memory() override {
    make_current();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "free memory");
    return free;
  }

  Stream make_stream() override {
    make_current();
    cudaStream_t s = nullptr;
    check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
    return Stream(s, destroy_stream);
  }

  Event make_event() override { return make_event(cudaEventDisableTiming); }
  Event make_timer() override { return make_event(cudaEventDefault); }

  void copy(void* to, const void* from, size_t bytes, const Stream& stream) override {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream)), "copy");
  }
  void fill(void* to, uint8_t byte, size_t bytes, const Stream& stream) override {
    if (bytes > 0) check(cudaMemsetAsync(to, byte, bytes, stream_of(stream)), "fill");
  }
  void synchronize(const Stream& stream) override { check(cudaStreamSynchronize(stream_of(stream)), "device"); }

  void record(const Event& event, const Stream& stream) override { check(cudaEventRecord(event_of(event), stream_of(stream)), "event"); }
  void wait(const Event& event) override { check(cudaEventSynchronize(event_of(event)), "device"); }
  void wait(const Stream& stream, const Event& event) override { check(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "event"); }
  double elapsed_us(const Event& from, const Event& to) override {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, event_of(from), event_of(to)), "event");
    return 1000.0 * ms;
  }

  void begin_capture(const Stream& stream) override {
    check(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal), "graph capture");
  }
  Graph end_capture(const Stream& stream) override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_of(stream), &graph), "graph capture");
    cudaGraphExec_t exec = nullptr;
    const cudaError_t e = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    check(e, "graph");
    return Graph(exec, destroy_graph);
  }
  void replay(const Graph& graph, const Stream& stream) override {
    check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.get()), stream_of(stream)), "graph launch");
  }

 private:
  Event make_event(unsigned flags) {
    make_current();
    cudaEvent_t e = nullptr;
    check(cudaEventCreateWithFlags(&e, flags), "event");
    return Event(e, destroy_event);
  }

  DeviceProps props_;
  int index_;
};

}  // namespace

std::vector<DeviceProps> detect(std::string& absence) {
  const LibraryRecipe driver{.name = "libcuda", .files = kDriver, .version_symbol = "", .symbols = {}};
  if (std::string why; !SharedLibrary::find(driver, &why)) {
    absence = fmt::format("no NVIDIA driver ({})", why);
    return {};
  }
  int count = 0;
  if (const cudaError_t e = cudaGetDeviceCount(&count); e != cudaSuccess) {
    cudaGetLastError();
    absence = cudaGetErrorString(e);
    int version = 0;
    if (e == cudaErrorInsufficientDriver && cudaDriverGetVersion(&version) == cudaSuccess)
      absence += fmt::format(" (a driver for CUDA {}.{}, the program is of {}.{})", version / 1000, version % 1000 / 10, CUDART_VERSION / 1000,
                             CUDART_VERSION % 1000 / 10);
    return {};
  }
  std::vector<DeviceProps> out;
  const auto cublaslt = detect_library(cublaslt_recipe()), cudnn = detect_library(cudnn_recipe());
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p{};
    if (cudaGetDeviceProperties(&p, i) != cudaSuccess) continue;
    out.push_back(record_of(i, p));
    if (cublaslt) out.back().libraries.push_back(*cublaslt);
    if (cudnn) out.back().libraries.push_back(*cudnn);
  }
  return out;
}

std::unique_ptr<Device> open(const DeviceProps& props) {
  const size_t colon = props.name.find(':');
  return std::make_unique<CudaDevice>(props, colon == std::string::npos ? 0 : std::stoi(props.name.substr(colon + 1)));
}

}  // namespace attune::cuda
