#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "attune/kernels.h"

namespace attune {

/// What `attune bench attention` and `attune bench matmul` are asked.
struct BenchQuery {
  std::string op;          ///< attention or matmul
  std::string desc;        ///< desc text or case text, whose lengths and rows stand before those below; empty: the op's defaults
  int64_t batch = 1;       ///< attention: sequences
  int64_t context = 2048;  ///< attention: keys of each sequence
  int64_t q_len = 1;       ///< attention: query tokens of each sequence; sets the phase unless desc names one
  int64_t rows = 0;        ///< rows of a call; of a matmul also the desc's unless it names them. 0: as many as the desc names, else 1
  int threads = 0;         ///< 0: physical cores
  int iterations = 25;     ///< timed launches of each kernel
  bool cold = true;        ///< walk through copies of the tensors larger than the caches
  bool ceilings = true;    ///< measure what the machine can do at most, and time the reference, too; false: the times that decide, alone
  std::string device = "cpu";
  std::vector<std::string> kernels;  ///< globs; empty: every eligible one
  std::string plant;                 ///< a planted kernel that stands before the others (test builds only)
  std::string save;                  ///< the tuning table that remembers the times of kernels which pass their probe; empty: none
};

/// Times every eligible kernel of this machine, best tier first: one JSON object with the case, its bytes and operations, the read bandwidth
/// measured before and after (on a GPU: what it copies at), the rate of multiplication, and for each kernel median_us, min_us, spread (distance of
/// the quartiles over the median), gb_per_s, gflop_per_s, its share of the ceiling that bytes and operations set, its speed relative to the plainest
/// one and to each other. On a GPU launches are timed in replayed graphs, where the kernel declares that it can be in one.
std::string bench_json(const BenchQuery& query);

/// What `attune bench attention --anchors` is asked.
struct AnchorQuery {
  std::string device = "cpu";
  std::string row;                   ///< only rows whose name contains it
  std::vector<std::string> kernels;  ///< globs; empty: the specialized ones, else the default
  std::string plant;
  int threads = 0;
  int iterations = 60;  ///< at most, of rounds; fewer where they take too long
  bool cold = true;
};

/// Times attention at the shapes that goals are set for, on a GPU in replayed graphs: random values, permuted block tables, caches that alternate
/// so that none stays near. One JSON object for each row and kernel as it comes: row, kernel, desc, median_us, spread, samples, gb_per_s (K and V
/// once), tflop_per_s, share_of_plain, goal, met, peer, device, threads, cold, graph. The goals and peers are those of an NVIDIA H200; the rows of a
/// CPU have none.
void bench_anchors(const AnchorQuery& query, const std::function<void(const std::string& json)>& on_row);

/// The attention and matmul calls that a model asks kernels for at load, as benchmarks of the same descs and buckets.
std::vector<BenchQuery> bench_queries(const ExplainQuery& model);

/// The file of measured times: attune/tuning.json in $XDG_CACHE_HOME or ~/.cache; empty if neither is known.
std::string tuning_table_file();

/// Bandwidth in GB/s at which `threads` (0: physical cores) read memory larger than the caches; of a GPU, at which it copies, both directions
/// counted.
double read_bandwidth(int threads, const std::string& device = "cpu");

}  // namespace attune
