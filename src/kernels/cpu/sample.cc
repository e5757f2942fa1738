// Chooses tokens. Greedy rows: a maximum by fixed chunks of the vocabulary. Others: candidates near the top go into a heap, which is popped in
// rank order only as far as top-k, top-p or the draw needs.
#include "ops/sample.h"

#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

constexpr int64_t kChunk = 16384;
constexpr float kNear = 12;  // candidates within e^−12 of the best are ranked first

struct Partial {
  float max;
  double sum;  // Σ exp(z − max)
};
struct Entry {
  float logit;
  int32_t id;
};

/// The generator of core/rng.h (Philox 4x32-10), force-inlined here; test: equal to attune::uniform.
ATTUNE_INLINE double uniform_draw(const SampleRow& r) {
  uint32_t c0 = static_cast<uint32_t>(r.position), c1 = static_cast<uint32_t>(r.position >> 32), c2 = r.sample_index, c3 = 0;  // Draw::sample
  uint32_t k0 = static_cast<uint32_t>(r.seed), k1 = static_cast<uint32_t>(r.seed >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
    const uint64_t a = uint64_t{0xD2511F53} * c0, b = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0, c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1, c3 = static_cast<uint32_t>(a);
  }
  return static_cast<double>((uint64_t{c0} << 32 | c1) >> 11) * 0x1p-53;
}

ATTUNE_INLINE float largest(const float* z, int64_t n) {
  Vec m[4] = {broadcast(-kInfinity), broadcast(-kInfinity), broadcast(-kInfinity), broadcast(-kInfinity)};
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth)
    for (int j = 0; j < 4; ++j) m[j] = max(load(z + i + j * kWidth), m[j]);
  float best = max_of(max(max(m[0], m[1]), max(m[2], m[3])));
  for (; i < n; ++i) best = z[i] > best ? z[i] : best;
  return best;
}

ATTUNE_INLINE int32_t first_equal(const float* z, int64_t n, float value) {
  for (int64_t i = 0; i < n; ++i)
    if (z[i] == value) return static_cast<int32_t>(i);
  return 0;  // a row of NaN
}

/// Σ exp((z − top) · inverse) over elements whose term is at least `floor`; eight lanes of double, in order.
ATTUNE_INLINE double sum_of_exp(const float* z, int64_t n, float top, float inverse, float floor) {
  double lanes[kWidth] = {};
  for (int64_t i = 0; i < n; i += kWidth) {
    const int count = static_cast<int>(n - i < kWidth ? n - i : kWidth);
    const Vec e = exp(((count == kWidth ? load(z + i) : load_tail(z + i, count)) - broadcast(top)) * broadcast(inverse));
    float terms[kWidth];
    store(static_cast<float*>(terms), select(less(e, broadcast(floor)), zero(), e));
    for (int j = 0; j < count; ++j) lanes[j] += terms[j];
  }
  double total = 0;
  for (double lane : lanes) total += lane;
  return total;
}

/// The row's tokens by falling logit, the lower id first among equals, produced on demand.
struct Ranking {
  const float* z;
  int64_t vocab;
  Entry* entries;  ///< [vocab]
  float floor;     ///< logits from here up are in the first heap, the rest in a second that is made when the first is empty
  int64_t first = 0;
  int64_t live = 0;
  int64_t taken = 0;
  bool second = false;

  ATTUNE_INLINE static bool before(Entry a, Entry b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); }
  ATTUNE_INLINE Entry* heap() const { return second ? entries + first : entries; }

  ATTUNE_INLINE void sink(int64_t i) const {
    Entry* h = heap();
    const Entry moving = h[i];
    for (int64_t child = 2 * i + 1; child < live; child = 2 * i + 1) {
      if (child + 1 < live && before(h[child + 1], h[child])) ++child;
      if (!before(h[child], moving)) break;
      h[i] = h[child];
      i = child;
    }
    h[i] = moving;
  }
  /// Fills the heap with the elements on one side of the floor.
  ATTUNE_INLINE void collect(bool above) {
    Entry* h = heap();
    live = 0;
    for (int64_t i = 0; i < vocab; i += kWidth) {
      const int count = static_cast<int>(vocab - i < kWidth ? vocab - i : kWidth);
      uint32_t bits = bits_of_mask(less(count == kWidth ? load(z + i) : load_tail(z + i, count), broadcast(floor)));
      bits = (above ? ~bits : bits) & ((1u << count) - 1u);
      for (; bits != 0; bits &= bits - 1) {
        const int64_t id = i + __builtin_ctz(bits);
        h[live++] = {z[id], static_cast<int32_t>(id)};
      }
    }
    for (int64_t i = live / 2; i-- > 0;) sink(i);
  }
  /// The token of rank `rank`, which must not skip one; false past the end. Popped entries stay behind the heap, last first.
  ATTUNE_INLINE bool get(int64_t rank, Entry& out) {
    if (rank >= vocab) return false;
    if (rank == taken) {
      if (taken == 0) collect(true), first = live;
      if (live == 0) second = true, collect(false);
      Entry* h = heap();
      const Entry best = h[0];
      h[0] = h[--live];
      h[live] = best;
      if (live > 0) sink(0);
      ++taken;
    }
    out = rank < first ? entries[first - 1 - rank] : entries[vocab - 1 - (rank - first)];
    return true;
  }
};

/// Which candidates are left, and how heavy they are together.
struct Kept {
  int64_t count;
  double total;
};

struct RowDraw {
  const SampleRow& r;
  Ranking& ranking;
  float top;

  /// The weight of rank `rank`; negative where min-p or the vocabulary ends the list.
  ATTUNE_INLINE double weight(int64_t rank, int32_t& id) const {
    Entry e;
    if (!ranking.get(rank, e)) return -1;
    id = e.id;
    const double w = __builtin_exp((static_cast<double>(e.logit) - top) / r.temperature);
    return rank > 0 && r.min_p > 0 && w < r.min_p ? -1 : w;
  }
  ATTUNE_INLINE Kept after_top_k() const {
    const int64_t vocab = ranking.vocab;
    if (r.top_k <= 0 || r.top_k >= vocab) return {vocab, sum_of_exp(ranking.z, vocab, top, 1.0f / r.temperature, r.min_p)};
    Kept kept{0, 0};
    int32_t id;
    for (; kept.count < r.top_k; ++kept.count) {
      const double w = weight(kept.count, id);
      if (w < 0) break;
      kept.total += w;
    }
    return kept;
  }
  ATTUNE_INLINE Kept after_top_p(Kept all) const {
    if (r.top_p >= 1) return all;
    Kept kept{0, 0};
    int32_t id;
    while (kept.count < all.count && (kept.count == 0 || kept.total < r.top_p * all.total)) {
      const double w = weight(kept.count, id);
      if (w < 0) break;
      kept.total += w;
      ++kept.count;
    }
    return kept;
  }
  int32_t token() const {
    const Kept kept = after_top_p(after_top_k());
    double left = uniform_draw(r) * kept.total;
    int32_t id = 0;
    for (int64_t i = 0; i < kept.count; ++i) {
      const double w = weight(i, id);
      if (w < 0 || (left -= w) < 0) break;
    }
    return id;
  }
};

ATTUNE_INLINE bool changes_logits(const SampleRow& r) {
  return r.num_bias > 0 || r.num_banned > 0 || r.repetition_penalty != 1 || r.presence_penalty != 0 || r.frequency_penalty != 0;
}

/// Bias, bans and penalties on a copy of the row. `seen` is [vocab]: bit 30 for the prompt, below it the count in the output.
ATTUNE_INLINE void penalise(const SampleRow& r, float* z, int64_t vocab, uint32_t* seen) {
  for (int64_t i = 0; i < r.num_bias; ++i) z[r.bias_ids[i]] += r.bias[i];
  for (int64_t i = 0; i < r.num_banned; ++i) z[r.banned[i]] = -kInfinity;
  if (r.repetition_penalty == 1 && r.presence_penalty == 0 && r.frequency_penalty == 0) return;
  __builtin_memset(seen, 0, static_cast<size_t>(vocab) * sizeof *seen);
  for (int64_t i = 0; i < r.prompt_tokens; ++i) seen[r.prompt[i]] = 1u << 30;
  for (int64_t i = 0; i < r.output_tokens; ++i) ++seen[r.output[i]];
  const auto apply = [&](int32_t id) {
    const uint32_t mark = seen[id], count = mark & ~(1u << 30);
    if (mark == 0) return;
    seen[id] = 0;
    if (r.repetition_penalty != 1) z[id] = z[id] > 0 ? z[id] / r.repetition_penalty : z[id] * r.repetition_penalty;
    if (count > 0) z[id] = z[id] - static_cast<float>(count) * r.frequency_penalty - r.presence_penalty;
  };
  for (int64_t i = 0; i < r.prompt_tokens; ++i) apply(r.prompt[i]);
  for (int64_t i = 0; i < r.output_tokens; ++i) apply(r.output[i]);
}

int64_t chunks(int64_t vocab) { return (vocab + kChunk - 1) / kChunk; }
int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }
int64_t bytes_a_worker(int64_t vocab) {
  return aligned(vocab * static_cast<int64_t>(sizeof(float))) + aligned(vocab * static_cast<int64_t>(sizeof(Entry)));
}

/// Largest logit and, where log-probabilities are wanted, Σ exp of each chunk of each row.
void reduce_chunks(const ExecContext& ctx, const SampleDesc& d, const SampleParams& p, Partial* partial) {
  const int64_t per_row = chunks(d.vocab);
  parallel_ranges(ctx, p.rows * per_row, kChunk, [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t begin = i % per_row * kChunk, n = d.vocab - begin < kChunk ? d.vocab - begin : kChunk;
      const float* z = p.logits + i / per_row * d.vocab + begin;
      partial[i].max = largest(z, n);
      partial[i].sum = p.logprob != nullptr ? sum_of_exp(z, n, partial[i].max, 1, 0) : 0;
    }
  });
}

/// A row whose logits are penalised or which is drawn; `scratch` is this worker's.
int32_t choose(const SampleDesc& d, const SampleRow& r, const float* logits, char* scratch) {
  const float* z = logits;
  Entry* entries = reinterpret_cast<Entry*>(scratch + aligned(d.vocab * static_cast<int64_t>(sizeof(float))));
  if (changes_logits(r)) {
    float* copy = reinterpret_cast<float*>(scratch);
    __builtin_memcpy(copy, logits, static_cast<size_t>(d.vocab) * sizeof(float));
    penalise(r, copy, d.vocab, reinterpret_cast<uint32_t*>(entries));
    z = copy;
  }
  const float top = largest(z, d.vocab);
  if (!(r.temperature > 0) || !(top > -kInfinity && top < kInfinity)) return first_equal(z, d.vocab, top);
  Ranking ranking{z, d.vocab, entries, top - kNear * r.temperature};
  return RowDraw{r, ranking, top}.token();
}

}  // namespace

int64_t sample_workspace(const SampleDesc& d, const Limits& limits) {
  const int64_t rows = limits.tokens > limits.sequences ? limits.tokens : limits.sequences;
  const int64_t partials = aligned(rows * chunks(d.vocab) * static_cast<int64_t>(sizeof(Partial)));
  return partials + (d.greedy_only ? 0 : limits.threads * bytes_a_worker(d.vocab));
}

void sample(const ExecContext& ctx, const SampleDesc& d, const SampleParams& p) {
  Partial* partial = static_cast<Partial*>(ctx.workspace.data);
  const int64_t per_row = chunks(d.vocab);
  char* scratch = static_cast<char*>(ctx.workspace.data) + aligned(p.rows * per_row * static_cast<int64_t>(sizeof(Partial)));
  reduce_chunks(ctx, d, p, partial);
  const int64_t work = d.greedy_only ? 0 : d.vocab;
  parallel_ranges(ctx, p.rows, work, [&](int64_t first, int64_t last, int worker) {
    for (int64_t row = first; row < last; ++row) {
      const float* logits = p.logits + row * d.vocab;
      const Partial* q = partial + row * per_row;
      int64_t best = 0;
      for (int64_t c = 1; c < per_row; ++c) best = q[c].max > q[best].max ? c : best;
      const bool greedy = d.greedy_only || (!(p.row[row].temperature > 0) && !changes_logits(p.row[row]));
      if (greedy) {
        const int64_t begin = best * kChunk;
        p.token[row] = static_cast<int32_t>(begin) + first_equal(logits + begin, d.vocab - begin, q[best].max);
      } else {
        p.token[row] = choose(d, p.row[row], logits, scratch + worker * bytes_a_worker(d.vocab));
      }
      if (p.logprob == nullptr) continue;
      double sum = 0;
      for (int64_t c = 0; c < per_row; ++c) sum += q[c].sum * __builtin_exp(static_cast<double>(q[c].max) - q[best].max);
      p.logprob[row] = static_cast<float>(static_cast<double>(logits[p.token[row]]) - q[best].max - __builtin_log(sum));
    }
  });
}

}  // namespace attune::cpu::ATTUNE_ISA
