#include "proof/attention_anchors.h"

#include <fmt/format.h>

namespace attune {
namespace {

std::string count_text(int64_t n) { return n % 1024 == 0 ? fmt::format("{}k", n / 1024) : std::to_string(n); }

/// A row of equal sequences; `what` stands in its name where it differs from the usual.
AttentionAnchor row(AttentionDesc d, int64_t batch, int64_t context, int64_t q, const std::string& what = "") {
  d.phase = q == 1 ? Phase::decode : q <= 32 ? Phase::verify : Phase::prefill;
  AttentionAnchor a;
  const std::string rows = q > 1 && q < context ? fmt::format(" q {}", q) : "";
  a.name = fmt::format("{} {} {}x{}{} block {}{}", to_text(d.phase), to_text(d.kv_dtype), batch, count_text(context), rows, d.block_size,
                       what.empty() ? "" : ", " + what);
  a.call.desc = d;
  a.call.q_lens.assign(static_cast<size_t>(batch), q), a.call.kv_lens.assign(static_cast<size_t>(batch), context);
  return a;
}

/// What stands beside a shape: the goal in µs, and the fastest peer.
struct Beside {
  double goal = 0;
  const char* peer = "";
  double us = 0;
};

AttentionAnchor with(AttentionAnchor a, const Beside& b) {
  a.goal_us = b.goal, a.peer = b.peer, a.peer_us = b.us;
  return a;
}

void add_decode(std::vector<AttentionAnchor>& out, int64_t block) {
  const AttentionDesc bf16{.block_size = block}, f8{.kv_dtype = DType::f8_e4m3, .block_size = block, .kv_scale = Scales::tensor};
  out.push_back(with(row(bf16, 1, 8192, 1), {16, "xqa", 23.7}));
  out.push_back(with(row(bf16, 1, 65536, 1), {72, "Triton", 82.5}));
  out.push_back(with(row(bf16, 8, 4096, 1), {40, "FA3", 51.3}));
  out.push_back(with(row(bf16, 32, 4096, 1), {131, "fa2", 138.7}));
  out.push_back(with(row(bf16, 128, 2048, 1), {252, "Triton", 251.6}));
  out.push_back(with(row(bf16, 256, 1024, 1), {253, "Triton", 254.6}));
  out.push_back(with(row(bf16, 64, 16384, 1), {977.5, "FA3", 967.8}));
  out.push_back(with(row(f8, 8, 4096, 1), {28, "xqa, Q in f8", 38.2}));
  out.push_back(with(row(f8, 32, 4096, 1), {73, "xqa, Q in f8", 79.5}));
  out.push_back(with(row(f8, 256, 1024, 1), {140, "xqa, Q in f8", 155.6}));
  out.push_back(with(row(f8, 64, 16384, 1), {550, "xqa, Q in f8", 627.9}));
}

void add_verify(std::vector<AttentionAnchor>& out, int64_t block) {
  for (const Mask mask : {Mask::causal, Mask::none}) {
    const AttentionDesc bf16{.block_size = block, .mask = mask};
    const AttentionDesc f8{.kv_dtype = DType::f8_e4m3, .block_size = block, .mask = mask, .kv_scale = Scales::tensor};
    const std::string what = mask == Mask::none ? "not causal" : "";
    out.push_back(with(row(bf16, 1, 4096, 16, what), {16, "FA3", 19.9}));
    out.push_back(with(row(bf16, 8, 4096, 16, what), {43, "FA3", 53.5}));
    out.push_back(with(row(bf16, 32, 4096, 16, what), {136, "FA3", 144.9}));
    out.push_back(with(row(f8, 8, 4096, 16, what), {36, "xqa, Q in f8", 48.2}));
    out.push_back(with(row(f8, 32, 4096, 16, what), {85, "xqa, Q in f8", 126.5}));
  }
}

/// Extras at the plain row's shape: within 5 % of plain decode for the same bytes, which of a window of 1024 are those of a context of 1024, of 8-bit
/// keys those of 8-bit keys without sinks. Then rows without a goal: scales a token and head, trees.
void add_extras(std::vector<AttentionAnchor>& out) {
  const auto add = [&](const AttentionDesc& d, const char* what) {
    out.push_back(row(d, 32, 4096, 1, what));
    out.back().goal_of_plain = 0.95;
  };
  add({.block_size = 16, .sinks = true}, "sinks");
  out.push_back(row({.block_size = 16}, 32, 1024, 1));
  const std::string short_plain = out.back().name;
  add({.block_size = 16, .window = 1024, .sinks = true}, "sinks, window 1024");
  out.back().plain = short_plain;
  const AttentionDesc f8{.kv_dtype = DType::f8_e4m3, .block_size = 16, .kv_scale = Scales::tensor};
  AttentionDesc f8_sinks = f8;
  f8_sinks.sinks = true;
  add(f8_sinks, "sinks");
  out.back().plain = row(f8, 32, 4096, 1).name;
  add({.block_size = 16, .softcap = 50}, "softcap");
  add({.block_size = 16, .alibi = Alibi::plain}, "alibi");
  const AttentionDesc token_head{.kv_dtype = DType::f8_e4m3, .block_size = 16, .kv_scale = Scales::token_head};
  out.push_back(row(token_head, 32, 4096, 1, "scales a token and head"));
  out.push_back(row(token_head, 32, 4096, 16, "scales a token and head"));
  out.back().plain = row(f8, 32, 4096, 16).name;
  out.push_back(row({.block_size = 16, .mask = Mask::tree}, 32, 4096, 16, "tree mask"));
  out.back().plain = row({.block_size = 16}, 32, 4096, 16).name;
}

/// Odd shapes: at least 75 % of the plain row's share of bandwidth.
void add_odd(std::vector<AttentionAnchor>& out) {
  const auto add = [&](AttentionAnchor a) {
    a.goal_of_plain = 0.75;
    out.push_back(std::move(a));
  };
  for (const int64_t dim : {64, 80, 96, 192, 256}) add(row({.head_dim = dim, .block_size = 16}, 32, 4096, 1, fmt::format("head_dim {}", dim)));
  const AttentionDesc f8{.kv_dtype = DType::f8_e4m3, .head_dim = 96, .block_size = 16, .kv_scale = Scales::tensor};
  add(row(f8, 32, 4096, 1, "head_dim 96"));
  out.back().plain = row({.kv_dtype = DType::f8_e4m3, .block_size = 16}, 32, 4096, 1).name;
  add(row({.head_dim = 96, .block_size = 16}, 32, 4096, 16, "head_dim 96"));
  out.back().plain = row({.block_size = 16}, 32, 4096, 16).name;
  for (const int64_t group : {5, 7}) add(row({.gqa_group = group, .block_size = 16}, 32, 4096, 1, fmt::format("GQA {}", group)));
  for (const int64_t block : {128, 256}) add(row({.block_size = block}, 32, 4096, 1));
  add(row({.block_size = 16, .window = 1024}, 32, 4096, 1, "window 1024"));
  AttentionAnchor ragged = row({.block_size = 16}, 32, 4096, 1, "ragged from 10 to 60,000 tokens");
  for (int64_t i = 0; i < 32; ++i) ragged.call.kv_lens[static_cast<size_t>(i)] = i * i * i * i % 13 == 0 ? 60000 - i * 400 : 10 + i * i * 9;
  add(std::move(ragged));
}

void add_prefill(std::vector<AttentionAnchor>& out, int64_t block) {
  const auto add = [&](int64_t batch, int64_t tokens, const char* peer, double tflop) {
    out.push_back(row({.block_size = block}, batch, tokens, tokens));
    out.back().goal_tflop = 300, out.back().peer = peer, out.back().peer_tflop = tflop;
  };
  add(1, 4096, "", 0);
  add(4, 4096, "", 0);
  add(1, 8192, "", 0);
  add(2, 8192, "FA3, paged", 624);
  add(1, 16384, "FA3, paged", 646);
}

/// One short sequence: of the usual heads, and of the embedded model's.
void add_short(std::vector<AttentionAnchor>& out) {
  for (const int64_t context : {128, 256, 384}) {
    out.push_back(row({.block_size = 64}, 1, context, 1));
    out.push_back(row({.num_kv_heads = 2, .gqa_group = 2, .head_dim = 64, .block_size = 64}, 1, context, 1, "4 heads of 64"));
  }
}

std::vector<AttentionAnchor> gpu_anchors() {
  std::vector<AttentionAnchor> out;
  for (const int64_t block : {16, 64}) add_decode(out, block), add_verify(out, block), add_prefill(out, block);
  add_extras(out), add_odd(out), add_short(out);
  return out;
}

std::vector<AttentionAnchor> cpu_anchors() {
  const AttentionDesc bf16{.gqa_group = 2}, f8{.kv_dtype = DType::f8_e4m3, .gqa_group = 2, .kv_scale = Scales::token_head};
  return {row(bf16, 1, 2048, 1, "16 heads"), row(bf16, 8, 1024, 1, "16 heads"), row(f8, 1, 2048, 1, "16 heads"), row(bf16, 1, 2048, 8, "16 heads"),
          row(bf16, 1, 512, 512, "16 heads")};
}

}  // namespace

std::vector<AttentionAnchor> attention_anchors(DeviceKind kind) { return kind == DeviceKind::cpu ? cpu_anchors() : gpu_anchors(); }

}  // namespace attune
