#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/thread_pool.h"
#include "device/runtime.h"

namespace attune {
namespace {

uint32_t detect_features() {
  uint32_t f = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) f |= kAvx2;
  if (__builtin_cpu_supports("fma")) f |= kFma;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) f |= kF16c;  // every AVX2 chip has it
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    f |= kAvx512;
  // Its kernels permute bytes, too: every CPU with bf16 products but the first has both.
  if ((f & kAvx512) && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi")) f |= kAvx512Bf16;
#endif
  return f;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

DeviceProps cpu_record(const char* name, uint32_t features) {
  DeviceProps d;
  d.name = name;
  d.arch = features ? Arch::x86_64 : Arch::generic;
  d.model = name;
  d.features = features;
  d.cores = 8;
  d.l1 = 32 << 10, d.l2 = 1 << 20, d.l3 = 32 << 20;
  d.memory = int64_t{64} << 30;
  return d;
}

DeviceProps gpu_record(const char* name, const char* model, Arch arch, int cores, int64_t shared, int64_t l2_mib, int64_t memory_gib) {
  DeviceProps d;
  d.name = name;
  d.model = model;
  d.arch = arch;
  d.kind = arch >= Arch::gfx90a ? DeviceKind::hip : DeviceKind::cuda;
  d.cores = cores;
  d.warp_size = d.kind == DeviceKind::hip ? 64 : 32;
  d.shared_memory = shared;
  d.l2 = l2_mib << 20;
  d.memory = memory_gib << 30;
  return d;
}

}  // namespace

std::string features_text(uint32_t features) {
  constexpr const char* kNames[] = {"avx2", "fma", "f16c", "avx512", "avx512_bf16"};
  std::string out;
  for (int i = 0; i < 5; ++i)
    if (features & (1u << i)) out += std::string(out.empty() ? "" : " ") + kNames[i];
  return out.empty() ? "none" : out;
}

DeviceProps detect_cpu() {
  DeviceProps d;
  d.name = "cpu";
  d.model = cpu_model();
  d.features = detect_features();
#if defined(__x86_64__)
  d.arch = Arch::x86_64;
#endif
  d.cores = available_cores();
  d.l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE), d.l2 = sysconf(_SC_LEVEL2_CACHE_SIZE), d.l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
  struct sysinfo info {};
  if (sysinfo(&info) == 0) d.memory = static_cast<int64_t>(info.totalram) * info.mem_unit;
  d.present = true;
  return d;
}

const std::vector<DeviceProps>& invented_devices() {
  constexpr uint32_t kAvx2Set = kAvx2 | kFma | kF16c;
  static const std::vector<DeviceProps> records{cpu_record("cpu-plain", 0),
                                                cpu_record("cpu-avx2", kAvx2Set),
                                                cpu_record("cpu-avx512", kAvx2Set | kAvx512),
                                                cpu_record("cpu-avx512-bf16", kAvx2Set | kAvx512 | kAvx512Bf16),
                                                gpu_record("sm80", "NVIDIA A100", Arch::sm80, 108, 163 << 10, 40, 80),
                                                gpu_record("h100", "NVIDIA H100", Arch::sm90a, 132, 227 << 10, 50, 80),
                                                gpu_record("h200", "NVIDIA H200", Arch::sm90a, 132, 227 << 10, 60, 139),
                                                gpu_record("b200", "NVIDIA B200", Arch::sm100a, 148, 227 << 10, 126, 180),
                                                gpu_record("mi250x", "AMD Instinct MI250X", Arch::gfx90a, 110, 64 << 10, 8, 64),
                                                gpu_record("mi300x", "AMD Instinct MI300X", Arch::gfx942, 304, 64 << 10, 256, 192)};
  return records;
}

namespace {

const DeviceProps* find_in(const std::vector<DeviceProps>& devices, std::string_view name) {
  const auto it = std::find_if(devices.begin(), devices.end(), [&](const DeviceProps& d) { return d.name == name; });
  return it == devices.end() ? nullptr : &*it;
}

/// "cpu, cuda", and what more of this machine can be opened. "cuda" is always a name to give: where there is none, its refusal says why.
std::string names_of_a_run() {
  std::string names;
  for (const auto& d : present_devices()) names += (names.empty() ? "" : ", ") + d.name;
  return find_in(present_devices(), "cuda") ? names : names + ", cuda";
}

/// Null for a name that is no device of this machine.
const DeviceProps* find_here(std::string_view name) {
  const DeviceProps* d = find_in(present_devices(), name);
  if (!d && name == "cuda") fail(ErrorCode::not_supported, "--device", "a CUDA device", cuda_absence());
  return d;
}

}  // namespace

DeviceProps find_device(std::string_view name) {
  if (name == "cpu") return detect_cpu();  // without a look for drivers
  if (const DeviceProps* d = find_here(name)) return *d;
  if (const DeviceProps* d = find_in(invented_devices(), name)) return *d;
  std::string known = names_of_a_run();
  for (const auto& d : invented_devices()) known += ", " + d.name;
  invalid("--device", "one of " + known, printable(name));
}

DeviceProps find_present_device(std::string_view name) {
  if (name == "cpu") return detect_cpu();
  if (const DeviceProps* d = find_here(name)) return *d;
  if (find_in(invented_devices(), name))
    fail(ErrorCode::not_supported, "--device", "one of " + names_of_a_run(), std::string(name) + ", which only explain can be asked about");
  invalid("--device", "one of " + names_of_a_run(), printable(name));
}

}  // namespace attune
