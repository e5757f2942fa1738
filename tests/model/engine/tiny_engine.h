#pragma once

// What the engine's tests share: options of an engine over a tiny golden model, and prompts within its vocabulary.
#include <string>
#include <vector>

#include "attune/engine.h"

namespace attune {

/// Two threads, token ids in and out, no probes.
inline EngineOptions tiny_engine(const std::string& golden, int64_t max_num_seqs, int64_t kv_bytes) {
  EngineOptions o;
  o.model = std::string(ATTUNE_SOURCE_DIR) + "/tests/model/goldens/" + golden;
  o.tokenizer = false;
  o.threads = 2;
  o.probe = false;
  o.max_num_seqs = max_num_seqs;
  o.kv_cache_memory_bytes = kv_bytes;
  return o;
}

inline std::vector<int32_t> prompt(int length, int salt = 0) {
  std::vector<int32_t> ids;
  for (int i = 0; i < length; ++i) ids.push_back((i * 37 + salt * 11 + i * i) % 90);
  return ids;
}

}  // namespace attune
