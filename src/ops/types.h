#pragma once

#include <cstdint>
#include <string_view>

#include "core/dtype.h"
#include "select/constraint.h"

namespace attune {

/// Which part of serving a launch belongs to: one query token a sequence, 2 to 32, or more.
enum class Phase : uint8_t { decode, verify, prefill };
constexpr std::string_view to_text(Phase p) {
  constexpr std::string_view kNames[] = {"decode", "verify", "prefill"};
  return kNames[static_cast<int>(p)];
}

/// How finely scales are given: one a tensor; [heads]; [sequences, heads]; [tokens, heads]; [N]; [tokens]; per 128 of K; per 128×128 of W.
enum class Scales : uint8_t { none, tensor, head, seq_head, token_head, channel, token, block_1x128, block_128x128 };
constexpr std::string_view to_text(Scales s) {
  constexpr std::string_view kNames[] = {"none", "tensor", "head", "seq_head", "token_head", "channel", "token", "block_1x128", "block_128x128"};
  return kNames[static_cast<int>(s)];
}

/// Element-wise functions: x·σ(x); the tanh form and the erf form of GELU.
enum class Activation : uint8_t { none, silu, gelu_tanh, gelu };
constexpr std::string_view to_text(Activation a) {
  constexpr std::string_view kNames[] = {"none", "silu", "gelu_tanh", "gelu"};
  return kNames[static_cast<int>(a)];
}

inline constexpr Constraint<DType> kWideTypes = one_of({DType::f32, DType::f16, DType::bf16});
inline constexpr Constraint<DType> kStorageTypes = one_of({DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e4m3fnuz});
inline constexpr Constraint<Phase> kPhases = one_of({Phase::decode, Phase::verify, Phase::prefill});
inline constexpr Constraint<bool> kYesNo = one_of({false, true});

constexpr bool is_f8(DType t) { return t == DType::f8_e4m3 || t == DType::f8_e4m3fnuz || t == DType::f8_e5m2; }

}  // namespace attune
