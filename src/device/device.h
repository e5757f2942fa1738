#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

enum class DeviceKind : uint8_t { cpu, cuda, hip };

/// Instruction-set or chip generation a kernel is compiled for. `a` marks architecture-specific instructions (WGMMA, TMA).
enum class Arch : uint8_t { generic, x86_64, sm80, sm86, sm89, sm90a, sm100a, gfx90a, gfx942, gfx950, gfx1100 };

constexpr std::string_view to_text(DeviceKind k) {
  constexpr std::string_view kNames[] = {"cpu", "cuda", "hip"};
  return kNames[static_cast<int>(k)];
}

constexpr std::string_view to_text(Arch a) {
  constexpr std::string_view kNames[] = {"generic", "x86_64", "sm80", "sm86", "sm89", "sm90a", "sm100a", "gfx90a", "gfx942", "gfx950", "gfx1100"};
  return kNames[static_cast<int>(a)];
}

/// CPU features a kernel may need, as bits.
enum Feature : uint32_t { kAvx2 = 1, kFma = 2, kF16c = 4, kAvx512 = 8 /* F, BW, DQ, VL */, kAvx512Bf16 = 16 };

/// "avx2 fma" for a set of feature bits.
std::string features_text(uint32_t features);

/// A vendor library found at run time; `version` as the library counts it.
struct LibraryProps {
  std::string name;
  int64_t version = 0;
  std::string missing_symbol;  ///< the first function that it should have and has not
};

/// What select() knows of a device. A plain value: tests and `explain` invent records of machines that are not there.
struct DeviceProps {
  std::string name;  ///< as the user types it: "cpu", "h200", "mi300x"
  DeviceKind kind = DeviceKind::cpu;
  Arch arch = Arch::generic;
  std::string model;   ///< what the machine calls itself
  std::string driver;  ///< of a GPU: the version of its driver
  uint32_t features = 0;
  int cores = 1;  ///< CPU cores or multiprocessors
  int warp_size = 1;
  int64_t shared_memory = 0;  ///< bytes a thread block may use
  int64_t l1 = 0, l2 = 0, l3 = 0;
  int64_t memory = 0;
  std::vector<LibraryProps> libraries;
  bool present = false;  ///< false for an invented record: kernels are judged as if built
};

/// This machine's CPU: features (that the operating system has enabled, too), caches, cores.
DeviceProps detect_cpu();

/// Invented records by name: cpu-plain, cpu-avx2, cpu-avx512, cpu-avx512-bf16, sm80, h100, h200, b200, mi250x, mi300x.
const std::vector<DeviceProps>& invented_devices();

/// A device of this machine ("cpu", "cuda", "cuda:1") or an invented record. Unknown names are InvalidArgument and list the known ones; "cuda" where
/// there is none is NotSupported and says why.
DeviceProps find_device(std::string_view name);

/// A device of this machine, for what runs there. Unknown names are InvalidArgument and list those that a run takes; an invented record, and "cuda"
/// where there is none, are NotSupported.
DeviceProps find_present_device(std::string_view name);

}  // namespace attune
