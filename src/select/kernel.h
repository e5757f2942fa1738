#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "device/device.h"
#include "device/exec_context.h"
#include "select/constraint.h"

namespace attune {

enum class Tier : uint8_t { specialized, portable, reference };
constexpr std::string_view to_text(Tier t) {
  constexpr std::string_view kNames[] = {"specialized", "portable", "reference"};
  return kNames[static_cast<int>(t)];
}

/// How far a GPU kernel can live inside a captured graph: not at all, with one query length, with any mixture.
enum class GraphLevel : uint8_t { none, uniform, mixed };
constexpr std::string_view to_text(GraphLevel g) {
  constexpr std::string_view kNames[] = {"none", "uniform", "mixed"};
  return kNames[static_cast<int>(g)];
}

/// What has been done with a kernel's code: compiled, executed on an instruction-level emulator, or run on the hardware.
enum class Mark : uint8_t { compiled, emulated, run };
constexpr std::string_view to_text(Mark m) {
  constexpr std::string_view kNames[] = {"compiled", "emulated", "run"};
  return kNames[static_cast<int>(m)];
}

/// A vendor library a kernel needs at run time: name and the versions it was proven with. An empty name: none.
struct LibraryNeed {
  std::string_view name;
  int64_t min_version = 0;
  int64_t max_version = INT64_MAX;
};

/// What a kernel needs of a device.
struct DeviceNeed {
  DeviceKind kind = DeviceKind::cpu;
  Constraint<Arch> arch = any;
  uint32_t features = 0;
  LibraryNeed library;
};

/// One tunable parameter of a kernel and the values a tuner may try.
struct Tunable {
  std::string_view name;
  std::array<int64_t, 8> values{};
  int count = 0;
};

/// The part of a declared kernel that does not depend on its op.
struct KernelInfo {
  std::string_view name;  ///< <backend>.<op>.<technique>
  Tier tier = Tier::specialized;
  int version = 1;             ///< raised with every change of results or of speed
  std::string_view reduction;  ///< names the order of arithmetic: equal tags, equal bits
  DeviceNeed device;
  GraphLevel graph = GraphLevel::none;
  Mark mark = Mark::run;
  int64_t preferred_block_size = 0;  ///< 0: no wish
  std::span<const Tunable> tunables;

  constexpr std::string_view backend() const { return name.substr(0, name.find('.')); }
};

/// A condition over several fields, with the text that a refusal shows.
template <class Desc>
struct Rule {
  std::string_view text;
  bool (*admits)(const Desc&);
};

/// What a launch can meet at most: what workspace queries are asked with.
struct Limits {
  int64_t tokens = 1;  ///< query tokens a step
  int64_t sequences = 1;
  int64_t longest_kv = 1;
  int threads = 1;  ///< CPU workers or multiprocessors
};

/// A declared kernel of `Op`, which names Desc, Params, Capability and the field list (see ops/attention.h).
template <class Op>
struct Kernel {
  using Desc = typename Op::Desc;
  using Params = typename Op::Params;
  using Launch = void (*)(const ExecContext&, const Desc&, const Params&);

  KernelInfo info;
  typename Op::Capability can;
  std::span<const Rule<Desc>> rules;
  int64_t (*shared_memory)(const Desc&) = nullptr;             ///< bytes of shared memory a block needs for a desc
  int64_t (*workspace)(const Desc&, const Limits&) = nullptr;  ///< bytes of scratch a launch may need at most
  Launch launch = nullptr;                                     ///< null where the backend is not built
};

/// The launch function `Fn` where the backend is `On`, else null: a declared kernel without a body is a link error only where it is built.
template <bool On, auto Fn>
constexpr decltype(Fn) built() {
  if constexpr (On)
    return Fn;
  else
    return nullptr;
}

}  // namespace attune
