// gpu.sample.rows: one token a row.
//
// Greedy rows: the largest logit of each chunk of the vocabulary, then of the chunks; the lowest id wins a tie. Under the full law one block
// works on a row. Logits after bias, bans and penalties are doubles, made anew from the logit and the token's mark wherever they are needed;
// weights exp((z − top) / temperature) are whole numbers of 2^(bits of the vocabulary − 62), so that sums are exact in any order. top-k, top-p
// and the draw are one question each: which token, by falling logit and then rising id, brings the count or the weight to a target? It is answered
// by a histogram over the distance from the top, and then, within the one bin, by histograms over ten bits of the logit and of the id at a time.
//
// A NaN counts as −∞. A row without any finite largest logit gives the lowest id of the largest, or 0; its log-probability is NaN where a NaN is.
#include "core/rng.h"
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/math.h"
#include "kernels/gpu/sample_plan.h"

namespace attune::gpu {
namespace {

constexpr int kReduceThreads = kSampleReduceThreads;
constexpr int kFours = static_cast<int>(kSampleChunk) / (4 * kReduceThreads);  // of a thread
constexpr int kReduceWarps = kReduceThreads / kLanes;
constexpr int kJoinThreads = 128;
constexpr int kJoinRows = kJoinThreads / kLanes;
constexpr int kThreads = kSampleLawThreads;
constexpr int kWarps = kThreads / kLanes;
constexpr int kBins = kThreads;
constexpr int kDigit = 10;  // bits of a level
static_assert(kBins == 1 << kDigit);
constexpr double kBinsANat = 32;
constexpr float kNothing = -__builtin_inff();
constexpr int32_t kNoId = INT32_MAX;

constexpr uint32_t kSeen = 1u << 31, kBanned = 1u << 30, kBiased = 1u << 29, kTimes = kBiased - 1;  // a token's mark; times it was put out

struct Call {
  SampleDesc desc;
  SampleParams params;
  int64_t chunks;  // of a row
  SamplePartial* partials;
  uint32_t* scratch;  // two words a token and block
  double one;         // the whole number that stands for a weight of 1
  bool aligned;
};

// ---- chunks ---------------------------------------------------------------------------------------------------------------------------------

template <class T>
struct Best {
  T value;
  int32_t id;
};
template <class T>
__device__ Best<T> better(Best<T> a, Best<T> b) {
  return b.value > a.value || (b.value == a.value && b.id < a.id) ? b : a;
}
__device__ double shuffled(double x, int mask) { return std::bit_cast<double>(shuffle_xor(std::bit_cast<uint64_t>(x), mask)); }
__device__ float shuffled(float x, int mask) { return shuffle_xor(x, mask); }

/// The best of 32 threads, in each of them.
template <class T>
__device__ Best<T> best_over_lanes(Best<T> b) {
  for (int mask = kLanes / 2; mask > 0; mask /= 2)
    b = better(b, {shuffled(b.value, mask), static_cast<int32_t>(shuffle_xor(static_cast<uint32_t>(b.id), mask))});
  return b;
}

/// Largest logit of each chunk and, where log-probabilities are wanted, Σ exp.
__global__ void __launch_bounds__(kReduceThreads) reduce_chunks(const Call c) {
  take_turn();
  SamplePartial* shared = reinterpret_cast<SamplePartial*>(shared_memory());
  const int thread = thread_index(), warp = thread / kLanes;
  for (int64_t unit = block_index(); unit < c.params.rows * c.chunks; unit += block_count()) {
    const int64_t row = unit / c.chunks, first = (unit - row * c.chunks) * kSampleChunk, row_start = row * c.desc.vocab;
    const float* logits = c.params.logits;
    Four z[kFours];
#pragma unroll
    for (int n = 0; n < kFours; ++n) {
      const int64_t i = first + 4 * (thread + n * kReduceThreads), left = c.desc.vocab - i;
      z[n] = left > 0 ? load_four(logits, DType::f32, row_start + i, left, c.aligned) : Four{};
    }
    Best<float> best{kNothing, kNoId};
#pragma unroll
    for (int n = 0; n < kFours; ++n)
      for (int j = 0; j < 4; ++j) {
        const int64_t i = first + 4 * (thread + n * kReduceThreads) + j;
        if (i < c.desc.vocab && z[n].x[j] > best.value) best = {z[n].x[j], static_cast<int32_t>(i)};
      }
    best = best_over_lanes(best);
    if (thread % kLanes == 0) shared[warp] = {best.value, best.id, 0};
    block_sync();
    for (int w = 0; w < kReduceWarps; ++w) best = better(best, {shared[w].largest, shared[w].id});
    float sum = 0;
    if (c.params.logprob != nullptr && best.value > kNothing) {
#pragma unroll
      for (int n = 0; n < kFours; ++n)
        for (int j = 0; j < 4; ++j)
          if (first + 4 * (thread + n * kReduceThreads) + j < c.desc.vocab) sum = sum + exp(z[n].x[j] - best.value);
    }
    sum = sum_over(sum, kLanes);
    if (thread % kLanes == 0) shared[kReduceWarps + warp].sum = sum;
    block_sync();
    if (thread == 0) {
      float total = 0;
      for (int w = 0; w < kReduceWarps; ++w) total = total + shared[kReduceWarps + w].sum;
      c.partials[unit] = {best.value, best.id, total};
    }
    block_sync();
  }
}

/// A row's largest logit, who has it, and Σ exp(logit − largest). 32 threads call it together.
struct RowTotal {
  Best<float> best;
  double sum;
};
__device__ RowTotal join_chunks(const Call& c, int64_t row) {
  const SamplePartial* partials = c.partials + row * c.chunks;
  const int lane = thread_index() % kLanes;
  RowTotal t{{kNothing, kNoId}, 0};
  for (int64_t i = lane; i < c.chunks; i += kLanes) t.best = better(t.best, {partials[i].largest, partials[i].id});
  t.best = best_over_lanes(t.best);
  for (int64_t i = lane; i < c.chunks; i += kLanes)
    if (partials[i].largest > kNothing)
      t.sum = t.sum + static_cast<double>(partials[i].sum) * exp(static_cast<double>(partials[i].largest) - t.best.value);
  for (int mask = kLanes / 2; mask > 0; mask /= 2) t.sum = t.sum + shuffled(t.sum, mask);
  return t;
}

__device__ void write_logprob(const Call& c, int64_t row, const RowTotal& t, int32_t token) {
  if (c.params.logprob == nullptr) return;
  const double z = c.params.logits[row * c.desc.vocab + token];
  c.params.logprob[row] = static_cast<float>(z - t.best.value - static_cast<double>(log(static_cast<float>(t.sum))));
}

__global__ void __launch_bounds__(kJoinThreads) join_rows(const Call c) {
  take_turn();
  for (int64_t first = block_index() * kJoinRows; first < c.params.rows; first += block_count() * kJoinRows) {
    const int64_t row = first + thread_index() / kLanes;
    const bool live = row < c.params.rows;
    const RowTotal t = join_chunks(c, live ? row : 0);
    if (!live || thread_index() % kLanes != 0) continue;
    const int32_t token = t.best.id == kNoId ? 0 : t.best.id;
    c.params.token[row] = token;
    write_logprob(c, row, t, token);
  }
}

// ---- the full law: logits and weights -------------------------------------------------------------------------------------------------------

/// One row as a block sees it.
struct Row {
  SampleRow law;
  const float* logits;
  int64_t vocab;
  bool changed;    // some logits have a mark
  uint32_t* mark;  // [vocab]
  uint32_t* list;  // [vocab]: the tokens of one bin
  double top;
  double one;
};

/// A token's logit after bias, bans and penalties, in the reference's order. Never NaN, never −0.
__device__ double logit_of(const Row& r, int64_t id) {
  double z = r.logits[id];
  const uint32_t mark = r.changed ? r.mark[id] : 0;
  if (mark != 0) {
    if ((mark & kBiased) != 0)
      for (int64_t i = 0; i < r.law.num_bias; ++i)
        if (r.law.bias_ids[i] == id) z = z + static_cast<double>(r.law.bias[i]);
    if ((mark & kBanned) != 0) z = static_cast<double>(kNothing);
    const double repetition = r.law.repetition_penalty, times = mark & kTimes;
    if ((mark & kSeen) != 0 && repetition != 1) z = z > 0 ? z / repetition : z * repetition;
    if (times > 0) z = z - times * static_cast<double>(r.law.frequency_penalty) - static_cast<double>(r.law.presence_penalty);
  }
  return z == z ? z + 0.0 : static_cast<double>(kNothing);
}

__device__ void mark_tokens(const Row& r) {
  const SampleRow& law = r.law;
  for (int64_t i = thread_index(); i < r.vocab; i += kThreads) r.mark[i] = 0;
  block_sync();
  for (int64_t i = thread_index(); i < law.num_bias; i += kThreads) set_bits(r.mark + law.bias_ids[i], kBiased);
  for (int64_t i = thread_index(); i < law.num_banned; i += kThreads) set_bits(r.mark + law.banned[i], kBanned);
  for (int64_t i = thread_index(); i < law.prompt_tokens; i += kThreads) set_bits(r.mark + law.prompt[i], kSeen);
  for (int64_t i = thread_index(); i < law.output_tokens; i += kThreads) {
    set_bits(r.mark + law.output[i], kSeen);
    add_to(r.mark + law.output[i], 1);
  }
  block_sync();
}

/// Rank of a logit: smaller is better.
__device__ uint64_t rank_of(double z) {
  const uint64_t bits = std::bit_cast<uint64_t>(z), sign = uint64_t{1} << 63;
  return (bits & sign) != 0 ? bits : ~(bits | sign);
}

__device__ double distance_of(const Row& r, double z) { return (r.top - z) / static_cast<double>(r.law.temperature); }
__device__ int bin_of(double distance) { return distance * kBinsANat < kBins - 1 ? static_cast<int>(distance * kBinsANat) : kBins - 1; }
/// exp(−distance) as a whole number of 1 / r.one; false if min-p excludes it.
__device__ bool weight_of(const Row& r, double distance, uint64_t& weight) {
  const double w = exp(-distance);
  weight = static_cast<uint64_t>(w * r.one + 0.5);
  return !(w < static_cast<double>(r.law.min_p));
}

// ---- the full law: histograms ---------------------------------------------------------------------------------------------------------------

/// Counts and weights of each bin, and its token where it has one alone (else the bits of several).
struct Bins {
  uint32_t* count;
  uint32_t* low;  // of the weight
  uint32_t* high;
  uint32_t* token;

  __device__ uint64_t weight(int bin) const { return uint64_t{high[bin]} << 32 | low[bin]; }
  __device__ void set(int bin, uint64_t n, uint64_t w) const {
    count[bin] = static_cast<uint32_t>(n);
    low[bin] = static_cast<uint32_t>(w);
    high[bin] = static_cast<uint32_t>(w >> 32);
    token[bin] = 0;
  }
};

struct Amount {
  uint64_t count, weight;
};

/// What a search found: the bin, what lies before it, what is in it.
struct Found {
  int bin;
  Amount before, inside;
};

struct Shared {
  Bins distances, digits;
  Amount* warp_sums;  // [kWarps]
  Best<double>* bests;
  Found* found;
  uint32_t* listed;
};

__device__ Shared shared_of() {
  uint32_t* at = reinterpret_cast<uint32_t*>(shared_memory());
  Shared s;
  s.distances = {at, at + kBins, at + 2 * kBins, at + 3 * kBins};
  at += 4 * kBins;
  s.digits = {at, at + kBins, at + 2 * kBins, at + 3 * kBins};
  s.warp_sums = reinterpret_cast<Amount*>(at + 4 * kBins);
  s.bests = reinterpret_cast<Best<double>*>(s.warp_sums + kWarps);
  s.found = reinterpret_cast<Found*>(s.bests + kWarps);
  s.listed = reinterpret_cast<uint32_t*>(s.found + 1);
  return s;
}
static_assert(sizeof(Amount) + sizeof(Best<double>) <= 32 && sizeof(Found) + 4 <= 128);

/// A thread's additions to bins; neighbours in the same bin share one.
struct Adder {
  const Bins bins;
  int bin = -1;
  uint32_t count = 0, token = 0;
  uint64_t weight = 0;

  __device__ void add(int to, uint64_t w, int64_t id) {
    if (to != bin) flush();
    bin = to;
    count += 1;
    weight += w;
    token = static_cast<uint32_t>(id);
  }
  __device__ void flush() {
    if (count > 0) {
      add_to(bins.count + bin, count);
      const uint32_t low = static_cast<uint32_t>(weight), old = add_to(bins.low + bin, low);
      add_to(bins.high + bin, static_cast<uint32_t>(weight >> 32) + (old + low < old ? 1u : 0u));
      set_bits(bins.token + bin, token);
    }
    count = 0;
    weight = 0;
  }
};

/// Inclusive sums over 32 threads; `total` is that of all of them.
__device__ uint64_t running_sum(uint64_t x, uint64_t& total) {
  const int lane = thread_index() % kLanes;
  uint64_t sum = x;
  total = x;
  for (int mask = 1; mask < kLanes; mask *= 2) {
    const uint64_t other = shuffle_xor(total, mask);
    if ((lane & mask) != 0) sum += other;
    total += other;
  }
  return sum;
}

/// Everything in the bins before thread t's own, and in its own. Every thread of the block calls it.
struct Position {
  Amount before, own, all;
};
__device__ Position scan(const Shared& s, const Bins& bins) {
  const int thread = thread_index();
  Position p;
  p.own = {bins.count[thread], bins.weight(thread)};
  Amount total;
  const Amount sum = {running_sum(p.own.count, total.count), running_sum(p.own.weight, total.weight)};
  if (thread % kLanes == 0) s.warp_sums[thread / kLanes] = total;
  block_sync();
  p.before = {sum.count - p.own.count, sum.weight - p.own.weight};
  p.all = {0, 0};
  for (int w = 0; w < kWarps; ++w) {
    const Amount a = s.warp_sums[w];
    if (w < thread / kLanes) p.before.count += a.count, p.before.weight += a.weight;
    p.all.count += a.count;
    p.all.weight += a.weight;
  }
  block_sync();
  return p;
}

/// The bin in which the count (or the weight) reaches `target`, 1 ≤ target ≤ all.
__device__ Found find(const Shared& s, const Bins& bins, bool by_weight, uint64_t target) {
  const Position p = scan(s, bins);
  const uint64_t before = by_weight ? p.before.weight : p.before.count, own = by_weight ? p.own.weight : p.own.count;
  if (before < target && target - before <= own) *s.found = {thread_index(), p.before, p.own};
  block_sync();
  const Found f = *s.found;
  block_sync();
  return f;
}

// ---- the full law: which token --------------------------------------------------------------------------------------------------------------

/// The last token that is kept, and what is kept with it.
struct Cut {
  uint64_t rank;
  int64_t id;
  Amount kept;
};

__device__ bool within(const Cut& cut, uint64_t rank, int64_t id) { return rank < cut.rank || (rank == cut.rank && id <= cut.id); }

/// Puts the kept tokens of one bin of distances into the row's list.
__device__ uint32_t list_bin(const Row& r, const Shared& s, int bin, const Cut& cut) {
  if (thread_index() == 0) *s.listed = 0;
  block_sync();
  for (int64_t id = thread_index(); id < r.vocab; id += kThreads) {
    const double z = logit_of(r, id), distance = distance_of(r, z);
    uint64_t weight;
    if (bin_of(distance) == bin && within(cut, rank_of(z), id) && weight_of(r, distance, weight))
      r.list[add_to(s.listed, 1)] = static_cast<uint32_t>(id);
  }
  block_sync();
  return *s.listed;
}

/// Bits of (rank, id) that are settled.
struct Prefix {
  uint64_t rank = 0, rank_mask = 0;
  uint32_t id = 0, id_mask = 0;
};

/// One level: a histogram of the next digit over the list's tokens with this prefix.
__device__ Found search_digit(const Row& r, const Shared& s, uint32_t listed, const Prefix& p, bool of_rank, int shift, bool by_weight,
                              uint64_t target) {
  s.digits.set(thread_index(), 0, 0);
  block_sync();
  Adder adder{s.digits};
  for (uint32_t i = static_cast<uint32_t>(thread_index()); i < listed; i += kThreads) {
    const uint32_t id = r.list[i];
    const double z = logit_of(r, id);
    const uint64_t rank = rank_of(z);
    if ((rank & p.rank_mask) != p.rank || (id & p.id_mask) != p.id) continue;
    uint64_t weight;
    weight_of(r, distance_of(r, z), weight);
    adder.add(static_cast<int>((of_rank ? rank >> shift : id >> shift) & (kBins - 1)), weight, id);
  }
  adder.flush();
  block_sync();
  return find(s, s.digits, by_weight, target);
}

/// The token at which the count (or the weight) of the kept tokens reaches `target`.
__device__ Cut select(const Row& r, const Shared& s, const Cut& cut, bool by_weight, uint64_t target) {
  Found f = find(s, s.distances, by_weight, target);
  Amount before = f.before;
  const uint32_t listed = list_bin(r, s, f.bin, cut);
  Prefix p;
  const auto left = [&] { return target - (by_weight ? before.weight : before.count); };
  const auto descend = [&](bool of_rank, int shift) {
    f = search_digit(r, s, listed, p, of_rank, shift, by_weight, left());
    before.count += f.before.count;
    before.weight += f.before.weight;
  };
  // A digit overlaps the one before where the bits do not divide evenly: its upper bits are settled then.
  for (int shift = 54; f.inside.count > 1 || shift == 54; shift = shift > kDigit ? shift - kDigit : 0) {
    descend(true, shift);
    p.rank |= static_cast<uint64_t>(f.bin) << shift;
    p.rank_mask = ~uint64_t{0} << shift;
    if (shift == 0) break;
  }
  for (int shift = 14; f.inside.count > 1; shift = shift > kDigit ? shift - kDigit : 0) {
    descend(false, shift);
    p.id |= static_cast<uint32_t>(f.bin) << shift;
    p.id_mask = ~0u << shift;
    if (shift == 0) break;
  }
  const int64_t id = s.digits.token[f.bin];
  return {rank_of(logit_of(r, id)), id, {before.count + f.inside.count, before.weight + f.inside.weight}};
}

/// Takes what lies behind the cut out of the histogram.
__device__ void trim(const Shared& s, const Cut& cut) {
  const Position p = scan(s, s.distances);
  const Amount& kept = cut.kept;
  const uint64_t count = p.before.count >= kept.count ? 0 : kept.count - p.before.count,
                 weight = p.before.weight >= kept.weight ? 0 : kept.weight - p.before.weight;
  s.distances.set(thread_index(), count < p.own.count ? count : p.own.count, weight < p.own.weight ? weight : p.own.weight);
  block_sync();
}

/// The largest logit and the lowest id that has it.
__device__ Best<double> best_of_row(const Row& r, const Shared& s) {
  Best<double> best{static_cast<double>(kNothing), kNoId};
  for (int64_t id = thread_index(); id < r.vocab; id += kThreads) {
    const double z = logit_of(r, id);
    if (z > best.value) best = {z, static_cast<int32_t>(id)};
  }
  best = best_over_lanes(best);
  if (thread_index() % kLanes == 0) s.bests[thread_index() / kLanes] = best;
  block_sync();
  for (int w = 0; w < kWarps; ++w) best = better(best, s.bests[w]);
  block_sync();
  return best;
}

__device__ void fill_distances(const Row& r, const Shared& s) {
  s.distances.set(thread_index(), 0, 0);
  block_sync();
  Adder adder{s.distances};
  for (int64_t id = thread_index(); id < r.vocab; id += kThreads) {
    const double distance = distance_of(r, logit_of(r, id));
    uint64_t weight;
    if (weight_of(r, distance, weight)) adder.add(bin_of(distance), weight, id);
  }
  adder.flush();
  block_sync();
}

/// min-p and temperature are in the weights; top-k, then top-p, then the draw.
__device__ int32_t draw(const Row& r, const Shared& s) {
  fill_distances(r, s);
  Cut cut{~uint64_t{0}, INT64_MAX, scan(s, s.distances).all};
  if (r.law.top_k > 0 && static_cast<uint64_t>(r.law.top_k) < cut.kept.count) {
    cut = select(r, s, cut, false, static_cast<uint64_t>(r.law.top_k));
    trim(s, cut);
  }
  const auto clamped = [&](uint64_t target) { return target < 1 ? 1 : target < cut.kept.weight ? target : cut.kept.weight; };
  if (r.law.top_p < 1) {
    const double share = static_cast<double>(r.law.top_p) * static_cast<double>(cut.kept.weight);
    const uint64_t whole = share > 0 ? static_cast<uint64_t>(share) : 0;
    cut = select(r, s, cut, true, clamped(static_cast<double>(whole) < share ? whole + 1 : whole));
    trim(s, cut);
  }
  const double drawn = uniform(r.law.seed, r.law.sample_index, r.law.position, Draw::sample) * static_cast<double>(cut.kept.weight);
  return static_cast<int32_t>(select(r, s, cut, true, clamped(static_cast<uint64_t>(drawn) + 1)).id);
}

__global__ void __launch_bounds__(kThreads) choose(const Call c) {
  take_turn();
  const Shared s = shared_of();
  for (int64_t index = block_index(); index < c.params.rows; index += block_count()) {
    Row r;
    r.law = c.params.row[index];
    r.logits = c.params.logits + index * c.desc.vocab;
    r.vocab = c.desc.vocab;
    r.mark = c.scratch + block_index() * 2 * r.vocab;
    r.list = r.mark + r.vocab;
    r.one = c.one;
    const bool penalties = r.law.repetition_penalty != 1 || r.law.presence_penalty != 0 || r.law.frequency_penalty != 0;
    r.changed = penalties || r.law.num_bias > 0 || r.law.num_banned > 0;
    if (r.changed) mark_tokens(r);
    const Best<double> best = best_of_row(r, s);
    r.top = best.value;
    const bool finite = best.value > static_cast<double>(kNothing) && best.value < -static_cast<double>(kNothing);
    int32_t token = best.id == kNoId ? 0 : best.id;
    if (r.law.temperature > 0 && finite && !(r.law.min_p > 1)) token = draw(r, s);
    if (thread_index() < kLanes && c.params.logprob != nullptr) {
      const RowTotal t = join_chunks(c, index);
      if (thread_index() == 0) write_logprob(c, index, t, token);
    }
    if (thread_index() == 0) c.params.token[index] = token;
    block_sync();
  }
}

// ---- the host's side ------------------------------------------------------------------------------------------------------------------------

void expect_launched(const char* error) {
  if (error != nullptr) launch_failed("gpu.sample.rows", error);
}

/// The power of two that stands for a weight of 1: sums over the vocabulary stay below 2⁶².
double one_of_vocab(int64_t vocab) {
  uint64_t one = uint64_t{1} << 62;
  for (int64_t reach = 1; reach < vocab; reach *= 2) one /= 2;
  return static_cast<double>(one);
}

}  // namespace

template <>
void sample_rows<kDevice>(const ExecContext& ctx, const SampleDesc& desc, const SampleParams& params) {
  if (params.rows == 0) return;
  const int64_t partial_bytes = sample_partial_bytes(desc.vocab, params.rows);
  Call c = {desc, params, sample_chunks(desc.vocab), static_cast<SamplePartial*>(ctx.workspace.data), nullptr, one_of_vocab(desc.vocab), false};
  c.scratch = reinterpret_cast<uint32_t*>(static_cast<unsigned char*>(ctx.workspace.data) + partial_bytes);
  c.aligned = fours_are_aligned(params.logits, DType::f32, desc.vocab);
  if (desc.greedy_only || params.logprob != nullptr) {
    expect_launched(launch(reduce_chunks, blocks_for(params.rows * c.chunks), kReduceThreads, kSampleReduceBytes, ctx.stream, c));
  }
  if (desc.greedy_only)
    return expect_launched(launch(join_rows, blocks_for((params.rows + kJoinRows - 1) / kJoinRows), kJoinThreads, 0, ctx.stream, c));
  const int64_t fitting = (static_cast<int64_t>(ctx.workspace.bytes) - partial_bytes) / sample_row_bytes(desc.vocab);
  expect_launched(launch(choose, fitting < params.rows ? fitting : params.rows, kThreads, kSampleLawBytes, ctx.stream, c));
}

}  // namespace attune::gpu
