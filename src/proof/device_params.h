#pragma once

#include "ops/catalogue.h"

namespace attune {

// The pointers of each op's params, all of which a kernel of a device must find there: f(pointer&) for each.

template <class F>
void for_each_pointer(AttentionParams& p, F&& f) {
  f(p.q), f(p.out), f(p.lse), f(p.q_start), f(p.kv_lens), f(p.k), f(p.v), f(p.block_table), f(p.kv_start), f(p.q_scale), f(p.k_scale), f(p.v_scale);
  f(p.out_scale), f(p.causal), f(p.tree), f(p.ranges), f(p.sinks), f(p.alibi_slopes);
}

template <class F>
void for_each_pointer(KvWriteParams& p, F&& f) {
  f(p.k), f(p.v), f(p.slot_mapping), f(p.k_cache), f(p.v_cache), f(p.k_scale), f(p.v_scale);
}

template <class F>
void for_each_pointer(MatmulParams& p, F&& f) {
  f(p.x), f(p.out), f(p.residual), f(p.x_scale);
  for (auto& segment : p.segments) {
    f(segment.w), f(segment.bias), f(segment.scale);
    f(segment.up), f(segment.up_bias), f(segment.up_scale);
  }
}

template <class F>
void for_each_pointer(NormParams& p, F&& f) {
  f(p.x), f(p.out), f(p.w), f(p.residual);
}

template <class F>
void for_each_pointer(RopeParams& p, F&& f) {
  f(p.x), f(p.out), f(p.positions), f(p.inv_freq);
}

template <class F>
void for_each_pointer(RopeKvWriteParams& p, F&& f) {
  f(p.qkv), f(p.q), f(p.q_weight), f(p.k_weight), f(p.positions), f(p.inv_freq), f(p.slot_mapping), f(p.k_cache), f(p.v_cache), f(p.k_scale),
      f(p.v_scale);
}

template <class F>
void for_each_pointer(ActivationParams& p, F&& f) {
  f(p.x), f(p.out);
}

template <class F>
void for_each_pointer(EmbedParams& p, F&& f) {
  f(p.ids), f(p.table), f(p.out);
}

/// All but `row`, whose elements hold pointers of their own.
template <class F>
void for_each_pointer(SampleParams& p, F&& f) {
  f(p.logits), f(p.token), f(p.logprob);
}

template <class F>
void for_each_pointer(SampleRow& r, F&& f) {
  f(r.prompt), f(r.output), f(r.bias_ids), f(r.bias), f(r.banned);
}

}  // namespace attune
