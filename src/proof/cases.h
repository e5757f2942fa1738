#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/catalogue.h"

namespace attune {

/// What stands in the tensors of a case: values and scales of changing size, or (attention) what the field's test of a unified kernel draws:
/// normal values, 8-bit keys and values in ±1, scales 0.75, 0.5 and 0.25 for q, k and v, tables of random blocks that may repeat.
enum class Contents : uint8_t { varied, report };

/// One problem: a desc, the lengths of a call, and the seed of everything in its tensors.
template <class Op>
struct Case {
  typename Op::Desc desc;
  std::vector<int64_t> q_lens, kv_lens;  ///< attention
  int64_t rows = 1;                      ///< every other op: rows (tokens) of the call; a matmul's M
  uint64_t seed = 1;
  int64_t pool = 0;  ///< attention, kv_write: blocks of the KV pool; 0: as many as needed, and two
  Contents contents = Contents::varied;
  bool operator==(const Case&) const = default;
};

/// Ops whose cases have a KV pool.
template <class Op>
inline constexpr bool kHasPool = std::is_same_v<Op, Attention> || std::is_same_v<Op, KvWrite>;

/// Bytes of a large pool, keys and values; 0 without one.
template <class Op>
requires kHasPool<Op> int64_t pool_bytes(const Case<Op>& c) {
  return 2 * c.pool * c.desc.num_kv_heads * c.desc.block_size * c.desc.head_dim * static_cast<int64_t>(size_of(c.desc.kv_dtype));
}

/// Case text: desc text, then `q_lens=1*3,5 kv_lens=7*3,129 seed=4` (attention; also `pool=32768`, `contents=report`), `m=5 seed=4` (matmul)
/// or `rows=5 seed=4` (kv_write: also `pool=`). `7*3` is three sevens.
template <class Op>
std::string to_text(const Case<Op>& c);

/// The inverse of to_text; InvalidArgument names what is wrong. Lengths left out are those of one sequence or row.
template <class Op>
Case<Op> parse_case(std::string_view text);

/// Throws InvalidArgument that names `where` if a sequence has more query tokens than its phase.
void check_phase(const Case<Attention>& c, std::string_view where);

/// True if every field and rule of the kernel admits the desc.
template <class Op>
bool admits(const Kernel<Op>& kernel, const typename Op::Desc& desc);

/// A case of the desc whose lengths are drawn by the seed, bounded so that it costs milliseconds.
template <class Op>
Case<Op> case_of(const typename Op::Desc& desc, uint64_t seed);

/// So many rows that blocks of a GPU go from row to row, and a kernel for many heads has its turn; 0 for ops that have no use for them.
int64_t many_rows(const NormDesc& desc);
int64_t many_rows(const RopeKvWriteDesc& desc);
template <class Desc>
int64_t many_rows(const Desc&) {
  return 0;
}

/// Multiplications and additions of a case; 0 for ops that have none to speak of.
template <class Op>
double flops_of(const Case<Op>& c);

/// The `index`-th case of a kernel: each field runs through its corners (a listed value, the ends of a range, odd and prime sizes, a type
/// the op knows) in its own seeded order, so that some 24 cases meet every corner; lengths are bounded so that a case costs milliseconds.
/// Nothing if no admitted desc was found.
template <class Op>
std::optional<Case<Op>> draw_case(const Kernel<Op>& kernel, uint64_t seed, int64_t index);

/// A case with no plan at all: any admitted value of each field, within what a case may cost.
template <class Op>
std::optional<Case<Op>> random_case(const Kernel<Op>& kernel, uint64_t seed);

/// "field=value" for each corner of the kernel's fields, the largest sizes among them.
template <class Op>
std::vector<std::string> declared_corners(const Kernel<Op>& kernel);

/// "field=value" for each corner of the kernel's fields that none of the cases has: a declaration nobody ran.
template <class Op>
std::vector<std::string> unexercised(const Kernel<Op>& kernel, const std::vector<Case<Op>>& cases);

/// A case for each field whose largest size is too large to meet every other field's corners: that size, and others as small as the kernel admits.
template <class Op>
std::vector<Case<Op>> end_cases(const Kernel<Op>& kernel, uint64_t seed);

/// Each field with what the kernel admits of it: ("head_dim", "1..512").
template <class Op>
std::vector<std::pair<std::string, std::string>> declared_fields(const Kernel<Op>& kernel);

/// A desc that differs from an admitted one in `field` alone, by a value the kernel does not claim.
template <class Op>
struct Outside {
  std::string field;
  typename Op::Desc desc;
};

/// One for each field that admits less than the op's domain.
template <class Op>
std::vector<Outside<Op>> outside_descs(const Kernel<Op>& kernel, uint64_t seed);

}  // namespace attune
