#pragma once

// The launch functions of every instruction set; a page entry names one, and the object of that instruction set defines it (avx512_bf16:
// attention and matmul alone, the other ops are those of avx512).

#include "ops/catalogue.h"

namespace attune::cpu {

#define ATTUNE_CPU_KERNELS(isa)                                                        \
  namespace isa {                                                                      \
  void attention(const ExecContext&, const AttentionDesc&, const AttentionParams&);    \
  int64_t attention_workspace(const AttentionDesc&, const Limits&);                    \
  void kv_write(const ExecContext&, const KvWriteDesc&, const KvWriteParams&);         \
  void matmul(const ExecContext&, const MatmulDesc&, const MatmulParams&);             \
  int64_t matmul_workspace(const MatmulDesc&, const Limits&);                          \
  void norm(const ExecContext&, const NormDesc&, const NormParams&);                   \
  void rope(const ExecContext&, const RopeDesc&, const RopeParams&);                   \
  void activation(const ExecContext&, const ActivationDesc&, const ActivationParams&); \
  void embed(const ExecContext&, const EmbedDesc&, const EmbedParams&);                \
  void sample(const ExecContext&, const SampleDesc&, const SampleParams&);             \
  int64_t sample_workspace(const SampleDesc&, const Limits&);                          \
  }

ATTUNE_CPU_KERNELS(plain)
ATTUNE_CPU_KERNELS(avx2)
ATTUNE_CPU_KERNELS(avx512)
ATTUNE_CPU_KERNELS(avx512_bf16)

#undef ATTUNE_CPU_KERNELS

}  // namespace attune::cpu
