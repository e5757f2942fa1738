#include "proof/length_sets.h"

#include <array>

#include "core/error.h"
#include "proof/field_corners.h"
#include "select/desc_text.h"

namespace attune {
namespace {

LengthSet of_pairs(std::string_view name, Phase phase, std::initializer_list<std::pair<int64_t, int64_t>> pairs, std::string_view desc = "",
                   int64_t pool = 0, bool only_in_full = false) {
  LengthSet s{name, phase, {}, {}, desc, pool, only_in_full};
  for (const auto& [q, kv] : pairs) s.q_lens.push_back(q), s.kv_lens.push_back(kv);
  return s;
}

LengthSet same_q(std::string_view name, Phase phase, int64_t q, std::vector<int64_t> kv_lens, std::string_view desc = "", int64_t pool = 0,
                 bool only_in_full = false) {
  return {name, phase, std::vector<int64_t>(kv_lens.size(), q), std::move(kv_lens), desc, pool, only_in_full};
}

std::vector<LengthSet> all_sets() {
  using enum Phase;
  constexpr std::string_view kCross = "mask=none kv_source=cross_paged", kNone = "mask=none", kCausal = "mask=causal";
  std::vector<LengthSet> out{
      of_pairs("mixed 1", prefill, {{1, 128}, {5, 18}, {129, 463}}),
      of_pairs("mixed 2", prefill, {{10, 256}, {5, 64}, {32, 128}}),
      of_pairs("mixed 3", prefill, {{1, 1024}, {5, 18}, {129, 1328}}),
      same_q("decode 1", decode, 1, {128, 256, 384, 512}),
      same_q("decode 2", decode, 1, {1024, 1536, 2048}),
      of_pairs("prefill 1", prefill, {{256, 256}, {128, 512}}),
      of_pairs("prefill 2", prefill, {{64, 128}, {32, 256}, {16, 512}}),
      of_pairs("prefill 3", prefill, {{256, 1024}, {128, 2048}}),
      same_q("533 sequences of one key", decode, 1, std::vector<int64_t>(533, 1)),
      of_pairs("more rows than keys", prefill, {{567, 275}}),
      of_pairs("zero lengths", prefill, {{0, 0}, {0, 17}, {3, 0}, {5, 9}, {0, 0}}),
      same_q("decode without keys", decode, 1, {0, 5, 0, 33}),
      same_q("decode 32k", decode, 1, {32768, 1, 9000}),
      of_pairs("verify 32k", verify, {{4, 32768}, {2, 700}}),
      of_pairs("prefill 32k", prefill, {{64, 32768}}, "", 0, true),
      same_q("large pool, decode", decode, 1, {128, 1025, 17, 512}, "", kLargePool),
      of_pairs("large pool, verify", verify, {{5, 300}, {16, 1040}, {2, 2}}, "", kLargePool),
      of_pairs("large pool, mixed", prefill, {{1, 128}, {5, 18}, {129, 463}}, "", kLargePool),
      of_pairs("verify rows, causal", verify, {{2, 130}, {4, 515}, {8, 64}, {16, 300}, {32, 700}}, kCausal),
      of_pairs("verify rows, none", verify, {{2, 130}, {4, 515}, {8, 64}, {16, 300}, {32, 700}}, kNone),
      of_pairs("verify rows, fewer keys than rows", verify, {{2, 1}, {4, 2}, {8, 7}, {16, 15}, {32, 5}}, kNone),
  };
  for (const int64_t rows : {2, 4, 8, 16, 32}) {
    constexpr std::array<std::string_view, 2> kNames = {"verify, causal", "verify, none"};
    out.push_back(same_q(kNames[0], verify, rows, {rows, 257, 1030}, kCausal));
    out.push_back(same_q(kNames[1], verify, rows, {1, 257, 1030}, kNone));
  }
  for (const int64_t rows : {1, 4, 17}) out.push_back(same_q("cross", rows == 1 ? decode : verify, rows, {1, 15, 16, 17, 1500}, kCross));
  out.push_back(of_pairs("cross, mixed", prefill, {{1, 1500}, {4, 1}, {17, 15}, {4, 16}, {17, 17}, {1, 1}, {40, 1500}}, kCross));
  out.push_back(of_pairs("encoder", prefill, {{1, 1}, {150, 150}, {47, 47}}, "mask=none kv_source=ragged"));
  return out;
}

struct Heads {
  int64_t q, kv;
};
constexpr std::array<Heads, 6> kHeads = {{{4, 4}, {8, 2}, {5, 1}, {64, 8}, {7, 1}, {2, 1}}};
constexpr std::array<int64_t, 8> kHeadDims = {64, 128, 80, 96, 256, 32, 112, 40};
constexpr std::array<int64_t, 4> kBlocks = {16, 64, 128, 256};
constexpr std::array<std::string_view, 7> kTypes = {"q=bf16 kv=bf16",
                                                    "q=f16 kv=f16 out=f16",
                                                    "q=f32 kv=f32 out=f32",
                                                    "q=bf16 kv=f8_e4m3 kv_scale=token_head",
                                                    "q=bf16 kv=f8_e4m3 kv_scale=head",
                                                    "q=f8_e4m3 kv=f8_e4m3 q_scale=tensor kv_scale=seq_head",
                                                    "q=bf16 kv=bf16 out=f32"};
constexpr std::array<std::string_view, 6> kExtras = {"", "window=128", "lse=yes", "softcap=30", "sinks=yes lse=yes", "window=60 sinks=yes"};

/// The desc of a set's `turn`-th case; nothing if the kernel does not admit it.
std::optional<AttentionDesc> desc_of(const AttentionKernel& kernel, const LengthSet& set, size_t turn) {
  const Heads heads = kHeads[turn % kHeads.size()];
  const std::string base = fmt::format("{} heads={}:{} head_dim={} block={} phase={} {} {}", kTypes[(turn / 2) % kTypes.size()], heads.q, heads.kv,
                                       kHeadDims[(turn / 3 + turn) % kHeadDims.size()], kBlocks[(turn + turn / 4) % kBlocks.size()],
                                       to_text(set.phase), set.desc, kExtras[(turn / 5 + turn) % kExtras.size()]);
  const AttentionDesc desc = parse_desc<Attention>(base);
  if (!admits(kernel, desc)) return std::nullopt;
  return desc;
}

/// For kernels that admit none of the usual: a drawn desc with what belongs to the set put in.
std::optional<AttentionDesc> drawn_desc(const AttentionKernel& kernel, const LengthSet& set, uint64_t seed, size_t turn) {
  const auto drawn = draw_case(kernel, seed, static_cast<int64_t>(turn));
  if (!drawn) return std::nullopt;
  AttentionDesc desc = drawn->desc;
  desc.phase = set.phase;
  for (const DescWord& word : split_desc("set", set.desc)) parse_field<Attention>(word, desc);
  repair(desc);
  if (!is_valid<Attention>(desc) || !admits(kernel, desc)) return std::nullopt;
  return desc;
}

/// Fewer heads, as far as it takes and the kernel admits.
bool make_cheap(const AttentionKernel& kernel, Case<Attention>& c, double most_flops) {
  for (const Heads h : {Heads{5, 1}, Heads{4, 2}, Heads{2, 1}, Heads{1, 1}}) {
    if (flops_of(c) <= most_flops) return true;
    if (h.q >= c.desc.num_q_heads()) continue;
    AttentionDesc fewer = c.desc;
    fewer.num_kv_heads = h.kv, fewer.gqa_group = h.q / h.kv;
    if (admits(kernel, fewer)) c.desc = fewer;
  }
  return flops_of(c) <= most_flops;
}

/// Larger blocks and more heads until the pool's last element lies beyond 32 bits, as far as the kernel admits and the cost allows; then twice
/// the blocks.
void make_far(const AttentionKernel& kernel, Case<Attention>& c, double most_flops) {
  const auto far = [](const Case<Attention>& x) { return x.pool * x.desc.num_kv_heads * x.desc.block_size * x.desc.head_dim > int64_t{1} << 32; };
  const auto take = [&](const AttentionDesc& desc) {
    Case<Attention> next = c;
    next.desc = desc;
    if (admits(kernel, desc) && flops_of(next) <= most_flops) c = next;
  };
  for (const int64_t block : {64, 128, 256}) {
    if (far(c) || c.desc.block_size >= block) continue;
    AttentionDesc desc = c.desc;
    desc.block_size = block;
    take(desc);
  }
  for (const int64_t heads : {2, 4, 8, 16}) {
    if (far(c) || c.desc.num_kv_heads >= heads) continue;
    AttentionDesc desc = c.desc;
    desc.num_kv_heads = heads, desc.gqa_group = 1;
    take(desc);
  }
  if (!far(c)) c.pool *= 2;
}

}  // namespace

const std::vector<LengthSet>& length_sets() {
  static const std::vector<LengthSet> all = all_sets();
  return all;
}

std::vector<Case<Attention>> length_set_cases(const AttentionKernel& kernel, uint64_t seed, double most_flops, int laps, bool full) {
  constexpr size_t kTurns = 48;  // of heads, sizes, types and extras, until one is admitted
  std::vector<Case<Attention>> out;
  size_t turn = static_cast<size_t>(seed % 1000);
  for (int lap = 0; lap < laps; ++lap)
    for (const LengthSet& set : length_sets()) {
      if (set.only_in_full && !full) continue;
      for (size_t i = 0; i < 2 * kTurns; ++i) {
        const auto desc = i < kTurns ? desc_of(kernel, set, turn++) : drawn_desc(kernel, set, seed, i);
        if (!desc) continue;
        Case<Attention> c{.desc = *desc, .q_lens = set.q_lens, .kv_lens = set.kv_lens, .seed = seed * 7919 + turn, .pool = set.pool};
        if (!make_cheap(kernel, c, most_flops)) continue;
        if (c.pool > 0 && c.desc.kv_source != KvSource::ragged) make_far(kernel, c, most_flops);
        out.push_back(std::move(c));
        break;
      }
    }
  return out;
}

std::optional<Case<Attention>> case_at(const AttentionKernel& kernel, const LengthSet& set, AttentionDesc desc, double most_flops) {
  desc.phase = set.phase;
  for (const DescWord& word : split_desc("set", set.desc)) parse_field<Attention>(word, desc);
  repair(desc);
  if (!is_valid<Attention>(desc) || !admits(kernel, desc)) return std::nullopt;
  Case<Attention> c{.desc = desc, .q_lens = set.q_lens, .kv_lens = set.kv_lens, .pool = set.pool};
  make_cheap(kernel, c, most_flops);
  if (c.pool > 0 && c.desc.kv_source != KvSource::ragged) make_far(kernel, c, most_flops);
  return c;
}

std::span<const Layer> layers() {
  // Of models of 0.6 to 8 billion parameters, a head of a large vocabulary, and odd ones; the last two in a full run only.
  static constexpr std::array<Layer, 11> kLayers = {{{4096, 1024, 1},
                                                     {1024, 3072, 1},
                                                     {6144, 1024, 8},
                                                     {1024, 2048, 17},
                                                     {151936, 64, 1},
                                                     {768, 4100, 5},
                                                     {1000, 8192, 3},
                                                     {1024, 1024, 129},
                                                     {3072, 1024, 64},
                                                     {14336, 4096, 4},
                                                     {2048, 2048, 512}}};
  return kLayers;
}

std::vector<Case<Matmul>> layer_cases(const MatmulKernel& kernel, uint64_t seed, double most_flops, bool full) {
  constexpr std::array<std::string_view, 7> kKinds = {"x=bf16 w=bf16",
                                                      "x=bf16 w=bf16 out=bf16 act=silu gated=yes",
                                                      "x=f32 w=f32 bias=yes",
                                                      "x=bf16 w=bf16 segments=3",
                                                      "x=f16 w=f16 out=f16",
                                                      "x=bf16 w=f8_e4m3 w_scale=channel out=bf16",
                                                      "x=f8_e4m3 w=f8_e4m3 w_scale=block_128x128 x_scale=block_1x128 out=bf16"};
  std::vector<Case<Matmul>> out;
  size_t turn = static_cast<size_t>(seed % 1000);
  for (size_t l = 0; l < layers().size() - (full ? 0 : 2); ++l)
    for (size_t i = 0, found = 0; i < kKinds.size() && found < (full ? kKinds.size() : 2); ++i) {
      const auto& [n, k, m] = layers()[l];
      Case<Matmul> c{.desc = parse_desc<Matmul>(fmt::format("{} n={} k={} rows={}", kKinds[turn++ % kKinds.size()], n, k, m)), .rows = m};
      c.seed = seed * 7919 + turn;
      if (!admits(kernel, c.desc) || flops_of(c) > most_flops) continue;
      out.push_back(c), ++found;
    }
  return out;
}

std::vector<Case<KvWrite>> large_pool_cases(const KvWriteKernel& kernel, uint64_t seed) {
  std::vector<Case<KvWrite>> out;
  for (const std::string_view kind : {"kv=bf16 kv_heads=8 head_dim=128 block=64", "kv=f16 kv_heads=4 head_dim=96 block=256",
                                      "kv=f8_e4m3 kv_scale=token_head kv_heads=8 head_dim=256 block=128", "kv=f32 kv_heads=2 head_dim=80 block=16"}) {
    const Case<KvWrite> c{.desc = parse_desc<KvWrite>(kind), .rows = 40, .seed = seed * 7919 + out.size(), .pool = kLargePool};
    if (admits(kernel, c.desc)) out.push_back(c);
  }
  return out;
}

}  // namespace attune
