#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kv/kv_cache.h"
#include "loader/model_config.h"
#include "models/batch.h"

namespace attune {

class ModelBuilder;

/// A loaded decoder. `forward` runs the layers over a batch and keeps the final, normalised rows of batch.logits_rows; `logits` turns
/// these into logits, a slice at a time, so that a long prompt's never exist at once.
class Model {
 public:
  virtual ~Model() = default;
  virtual void forward(const ExecContext& ctx, const Batch& batch, KvCache& kv) = 0;
  /// Rows [first, first + rows) of the last forward's logits_rows: f32 (rows, vocab_size).
  virtual void logits(const ExecContext& ctx, int64_t first, int64_t rows, float* out) = 0;
  /// Geometry of the KV cache's layers, before the cache is made.
  virtual std::vector<KvLayer> kv_layers() const = 0;
};

/// A model family: the architectures it loads, and how.
struct ModelFamily {
  std::string_view architecture;
  std::unique_ptr<Model> (*make)(ModelBuilder& builder);
};

/// Every supported architecture. To add a model: one file and one line here (registry.cc).
const std::vector<ModelFamily>& model_families();
std::vector<std::string_view> supported_architectures();

/// NotSupported, listing the supported ones, if the architecture is unknown.
std::unique_ptr<Model> make_model(ModelBuilder& builder);

}  // namespace attune
