#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// Where keys and values come from: the sequence's own pages, pages of another sequence (encoder), or a ragged tensor.
enum class KvSource : uint8_t { self_paged, cross_paged, ragged };
constexpr std::string_view to_text(KvSource s) {
  constexpr std::string_view kNames[] = {"self_paged", "cross_paged", "ragged"};
  return kNames[static_cast<int>(s)];
}

/// hnd: K and V each [num_blocks, num_kv_heads, block_size, head_dim].
enum class KvLayout : uint8_t { hnd };
constexpr std::string_view to_text(KvLayout) { return "hnd"; }

/// none: all keys. causal: bottom-right aligned. per_request: causal or none by a flag per sequence. tree: ancestor bits among query tokens.
enum class Mask : uint8_t { none, causal, per_request, tree };
constexpr std::string_view to_text(Mask m) {
  constexpr std::string_view kNames[] = {"none", "causal", "per_request", "tree"};
  return kNames[static_cast<int>(m)];
}

/// plain adds slope·(key − query) to a score; sqrt adds −slope·√(query − key) for keys before the query, 0 after.
enum class Alibi : uint8_t { none, plain, sqrt };
constexpr std::string_view to_text(Alibi a) {
  constexpr std::string_view kNames[] = {"none", "plain", "sqrt"};
  return kNames[static_cast<int>(a)];
}

/// What is asked of attention, fixed before the call.
struct AttentionDesc {
  DType q_dtype = DType::bf16;
  DType kv_dtype = DType::bf16;
  DType out_dtype = DType::bf16;
  int64_t num_kv_heads = 8;
  int64_t gqa_group = 4;  ///< query heads a KV head
  int64_t head_dim = 128;
  int64_t block_size = 16;  ///< tokens a page; unused for ragged KV
  Phase phase = Phase::decode;
  KvSource kv_source = KvSource::self_paged;
  KvLayout kv_layout = KvLayout::hnd;
  Mask mask = Mask::causal;
  bool ranges = false;        ///< bidirectional ranges on top of the mask
  int64_t window = 0;         ///< key j is visible to row i only if i − j < window; 0: no limit
  int64_t window_right = -1;  ///< … and only if j − i ≤ window_right; −1: no limit
  double softcap = 0;         ///< s ← cap·tanh(s / cap); 0: off
  Alibi alibi = Alibi::none;
  bool sinks = false;  ///< one logit a query head, in the maximum and the denominator only
  Scales q_scale = Scales::none;
  Scales kv_scale = Scales::none;
  bool out_scale = false;  ///< the output is divided by one scale before it is rounded
  bool lse = false;        ///< also return log-sum-exp, f32 [tokens, heads]

  constexpr int64_t num_q_heads() const { return num_kv_heads * gqa_group; }
  constexpr bool operator==(const AttentionDesc&) const = default;
};

/// One call's pointers and lengths. Row i of a sequence with q_len rows and kv_len keys stands at position kv_len − q_len + i.
struct AttentionParams {
  const void* q = nullptr;  ///< (tokens, num_q_heads, head_dim), q_stride elements between tokens
  int64_t q_stride = 0;
  void* out = nullptr;  ///< (tokens, num_q_heads, head_dim), out_stride elements between tokens
  int64_t out_stride = 0;
  float* lse = nullptr;  ///< (tokens, num_q_heads); −inf where no key is visible and there is no sink
  int64_t num_seqs = 0;
  int64_t total_q = 0;
  const int32_t* q_start = nullptr;  ///< [num_seqs + 1]
  const int32_t* kv_lens = nullptr;  ///< [num_seqs]
  const void* k = nullptr;           ///< paged: the cache in kv_layout; ragged: (kv tokens, num_kv_heads, head_dim)
  const void* v = nullptr;
  int64_t num_blocks = 0;
  const int32_t* block_table = nullptr;  ///< [num_seqs, max_blocks]; entries past a sequence's last block are never read
  int64_t max_blocks = 0;
  const int32_t* kv_start = nullptr;  ///< ragged: first key of each sequence, [num_seqs + 1]
  int64_t kv_stride = 0;              ///< ragged: elements between tokens
  const float* q_scale = nullptr;     ///< tensor [1], head [Hq], seq_head [num_seqs, Hq], token_head [tokens, Hq]
  const float* k_scale =
      nullptr;  ///< tensor [1], head [Hkv], seq_head [num_seqs, Hkv], token_head [num_blocks, Hkv, block_size] (ragged: [kv tokens, Hkv])
  const float* v_scale = nullptr;
  const float* out_scale = nullptr;  ///< [1]
  const uint8_t* causal = nullptr;   ///< per_request mask: [num_seqs]
  const uint32_t* tree = nullptr;    ///< tree mask: [tokens, tree_words]; bit j of row i: query token j of the sequence is visible
  int64_t tree_words = 0;
  const int32_t* ranges = nullptr;  ///< [num_seqs, num_ranges, 2]: rows and keys with positions in [first, last) see each other
  int64_t num_ranges = 0;
  const float* sinks = nullptr;         ///< [num_q_heads]
  const float* alibi_slopes = nullptr;  ///< [num_q_heads]
  float scale = 0;                      ///< multiplies q·k
  int64_t longest_q = 0;                ///< largest q_len, for plans that cannot read lengths
  int64_t longest_kv = 0;               ///< an upper bound of kv_lens
  /// Keys and values in front of a sequence's query tokens were complete before the launch in front of this one began; a kernel may read them
  /// while that one still runs.
  bool past_stands = false;
};

struct AttentionCapability {
  Constraint<DType> q_dtype, kv_dtype, out_dtype;
  Constraint<int64_t> num_kv_heads, gqa_group, head_dim, block_size;
  Constraint<Phase> phase;
  Constraint<KvSource> kv_source;
  Constraint<KvLayout> kv_layout;
  Constraint<Mask> mask;
  Constraint<bool> ranges;
  Constraint<int64_t> window, window_right;
  Constraint<double> softcap;
  Constraint<Alibi> alibi;
  Constraint<bool> sinks;
  Constraint<Scales> q_scale, kv_scale;
  Constraint<bool> out_scale, lse;
};

/// The op: its name, its parts and its field list, written once.
struct Attention {
  static constexpr std::string_view kName = "attention";
  static constexpr std::string_view kMoreKeys = "heads";
  using Desc = AttentionDesc;
  using Params = AttentionParams;
  using Capability = AttentionCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    constexpr Constraint<Scales> kKvScales = one_of({Scales::none, Scales::tensor, Scales::head, Scales::seq_head, Scales::token_head});
    f(FieldName{"q_dtype", "q", true}, c.q_dtype, d.q_dtype, def.q_dtype, kStorageTypes);
    f(FieldName{"kv_dtype", "kv", true}, c.kv_dtype, d.kv_dtype, def.kv_dtype, kStorageTypes);
    f(FieldName{"out_dtype", "out"}, c.out_dtype, d.out_dtype, def.out_dtype, kStorageTypes);
    f(FieldName{"num_kv_heads", ""}, c.num_kv_heads, d.num_kv_heads, def.num_kv_heads, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"gqa_group", ""}, c.gqa_group, d.gqa_group, def.gqa_group, Constraint<int64_t>(range{1, 256}));
    f(FieldName{"head_dim", "head_dim", true}, c.head_dim, d.head_dim, def.head_dim, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"block_size", "block", true}, c.block_size, d.block_size, def.block_size, Constraint<int64_t>(range{1, 4096}));
    f(FieldName{"phase", "phase"}, c.phase, d.phase, def.phase, kPhases);
    f(FieldName{"kv_source", "kv_source"}, c.kv_source, d.kv_source, def.kv_source,
      Constraint<KvSource>(one_of({KvSource::self_paged, KvSource::cross_paged, KvSource::ragged})));
    f(FieldName{"kv_layout", "layout"}, c.kv_layout, d.kv_layout, def.kv_layout, Constraint<KvLayout>(one_of({KvLayout::hnd})));
    f(FieldName{"mask", "mask", true}, c.mask, d.mask, def.mask, Constraint<Mask>(one_of({Mask::none, Mask::causal, Mask::per_request, Mask::tree})));
    f(FieldName{"ranges", "ranges"}, c.ranges, d.ranges, def.ranges, kYesNo);
    f(FieldName{"window", "window"}, c.window, d.window, def.window, Constraint<int64_t>(range{0, int64_t{1} << 30}));
    f(FieldName{"window_right", "window_right"}, c.window_right, d.window_right, def.window_right, Constraint<int64_t>(range{-1, int64_t{1} << 30}));
    f(FieldName{"softcap", "softcap"}, c.softcap, d.softcap, def.softcap, Constraint<double>(range{0, 1000000}));
    f(FieldName{"alibi", "alibi"}, c.alibi, d.alibi, def.alibi, Constraint<Alibi>(one_of({Alibi::none, Alibi::plain, Alibi::sqrt})));
    f(FieldName{"sinks", "sinks"}, c.sinks, d.sinks, def.sinks, kYesNo);
    f(FieldName{"q_scale", "q_scale"}, c.q_scale, d.q_scale, def.q_scale, kKvScales);
    f(FieldName{"kv_scale", "kv_scale"}, c.kv_scale, d.kv_scale, def.kv_scale, kKvScales);
    f(FieldName{"out_scale", "out_scale"}, c.out_scale, d.out_scale, def.out_scale, kYesNo);
    f(FieldName{"lse", "lse"}, c.lse, d.lse, def.lse, kYesNo);
  }

  /// `heads=Hq:Hkv` of desc text: two fields that have no keys of their own.
  static bool parse_word(std::string_view key, std::string_view value, Desc& desc);
  /// Throws InvalidArgument unless the desc makes sense: sizes in their domains, per-head scales where a type needs none refused.
  static void validate(const Desc& desc);
};
using AttentionKernel = Kernel<Attention>;

/// "q=bf16 kv=f8_e4m3 heads=40:8 head_dim=96 block=16 mask=causal window=1024"
std::string to_text(const AttentionDesc& desc);

/// The oracle: any field, double arithmetic, one thread. See attention_ref.cc for the formula.
void attention_ref(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);

}  // namespace attune
