#pragma once

#include "device/device.h"
#include "proof/cases.h"

namespace attune {

/// The row that others are compared with where they name none.
inline constexpr std::string_view kPlainAnchor = "decode bf16 32x4k block 16";

/// A call of attention that is timed again and again, with what is aimed at and what others reach.
struct AttentionAnchor {
  std::string name;
  Case<Attention> call;
  double goal_us = 0;        ///< 0: none
  double goal_tflop = 0;     ///< TFLOP/s; 0: none
  double goal_of_plain = 0;  ///< share of the GB/s that the same kernel reaches in the row `plain`; 0: none
  std::string plain{kPlainAnchor};
  std::string peer;  ///< the fastest other implementation known; empty: none was timed
  double peer_us = 0, peer_tflop = 0;
};

/// The rows of a kind of device. A GPU's have 32 query and 8 KV heads of 128 where the name does not say otherwise, their goals are for an NVIDIA
/// H200, and its peers were timed there in the same way (FlashAttention-3 as vLLM 0.26 ships it, FlashInfer 0.7.2, cuDNN 9.19, AITER's Triton); block
/// 16 or 128, whichever was faster. A CPU's are small, without goals.
std::vector<AttentionAnchor> attention_anchors(DeviceKind kind);

}  // namespace attune
