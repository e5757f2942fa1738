#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor_view.h"

namespace attune {

/// Where weights come from: files, or numbers made up on demand.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual std::optional<TensorView> find(const std::string& name) = 0;
  /// The tensor, which a dummy makes at this call. Nothing if a file has none.
  virtual std::optional<TensorView> get(const std::string& name, const Shape& shape) = 0;
  virtual std::vector<std::string> names() const = 0;
  virtual int64_t total_bytes() const = 0;
  virtual void release(const TensorView& view) = 0;
  /// What a message calls this source: "model.safetensors".
  virtual std::string title() const = 0;
};

/// The named tensors of a checkpoint. Views stay valid until they are released or the object dies. All functions may be called from
/// several threads.
class Weights {
 public:
  /// Opens `folder`/model.safetensors, else the shards that `folder`/model.safetensors.index.json lists. Every header is checked, and so is
  /// that each listed tensor stands in its shard.
  static Weights open(const std::filesystem::path& folder);
  /// Whether open() has a file to open.
  static bool in(const std::filesystem::path& folder);
  /// Random weights from a seed: get() makes a tensor of `dtype`, with a standard deviation of 0.02, and around 1 where the name says that
  /// it is the weight of a norm. The same seed, name and shape give the same bits on every machine.
  static Weights dummy(DType dtype, uint64_t seed = 0);
  explicit Weights(std::unique_ptr<WeightSource> source) : source_(std::move(source)) {}

  /// Nothing if there is no such tensor (of a dummy: if get() has not made it). Rank and dtype must be ones that a TensorView can carry.
  std::optional<TensorView> find(const std::string& name) const { return source_->find(name); }
  /// The tensor, which must be there and of this shape: else InvalidArgument `weights: expected NAME of shape [2048, 1024]; got [1024, 1024]`.
  TensorView get(const std::string& name, const Shape& shape) const;
  /// All names, sorted (of a dummy: those made so far).
  std::vector<std::string> names() const { return source_->names(); }
  /// Bytes of all tensors (of a dummy: those made so far).
  int64_t total_bytes() const { return source_->total_bytes(); }
  /// Gives back the memory under a view whose content has been copied elsewhere: resident pages of the file, or the dummy itself. The view
  /// must not be read afterwards; get() brings the same content again.
  void release(const TensorView& view) const { source_->release(view); }

 private:
  std::unique_ptr<WeightSource> source_;
};

}  // namespace attune
