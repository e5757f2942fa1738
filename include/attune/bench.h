#pragma once

#include <cstdint>
#include <string>

namespace attune {

/// What `attune bench attention` and `attune bench matmul` are asked.
struct BenchQuery {
  std::string op;          ///< attention or matmul
  std::string desc;        ///< desc text; empty: the op's defaults
  int64_t batch = 1;       ///< attention: sequences
  int64_t context = 2048;  ///< attention: keys of each sequence
  int64_t q_len = 1;       ///< attention: query tokens of each sequence; sets the phase unless desc names one
  int64_t rows = 1;        ///< matmul: rows of x; the desc's rows unless it names them
  int threads = 0;         ///< 0: physical cores
  int iterations = 25;     ///< timed launches of each kernel
  bool cold = true;        ///< walk through copies of the tensors larger than the caches
};

/// Times every eligible kernel of this machine, best tier first: one JSON object with the case, its bytes and operations, the read bandwidth
/// measured before and after, and for each kernel median_us, gb_per_s, gflop_per_s and its speed relative to the plainest one.
std::string bench_json(const BenchQuery& query);

/// Bandwidth in GB/s at which `threads` (0: physical cores) read memory larger than the caches.
double read_bandwidth(int threads);

}  // namespace attune
