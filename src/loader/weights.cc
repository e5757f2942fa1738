#include "loader/weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <unordered_map>

#include "core/error.h"
#include "loader/anonymous_memory.h"
#include "loader/dummy_weights.h"
#include "loader/safetensors.h"
#include "loader/weight_index.h"

namespace attune {

namespace {

constexpr const char* kSingle = "model.safetensors";

class FileWeights final : public WeightSource {
 public:
  FileWeights(std::vector<Safetensors> shards, std::unordered_map<std::string, size_t> shard_of, std::string title)
      : shards_(std::move(shards)), shard_of_(std::move(shard_of)), title_(std::move(title)) {
    for (const auto& [name, shard] : shard_of_) {
      const SafetensorsEntry& entry = shards_[shard].header().entries.at(name);
      total_bytes_ += static_cast<int64_t>(entry.end - entry.begin);
    }
  }

  std::optional<TensorView> find(const std::string& name) override {
    const auto it = shard_of_.find(name);
    if (it == shard_of_.end()) return std::nullopt;
    auto view = shards_[it->second].find(name);
    return view && reinterpret_cast<uintptr_t>(view->data) % 2 != 0 && size_of(view->dtype) > 1 ? aligned_copy(name, *view) : view;
  }

  std::optional<TensorView> get(const std::string& name, const Shape&) override { return find(name); }

  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, shard] : shard_of_) out.push_back(name);
    std::sort(out.begin(), out.end());
    return out;
  }

  int64_t total_bytes() const override { return total_bytes_; }
  std::string title() const override { return title_; }

  void release(const TensorView& view) override {
    for (const Safetensors& shard : shards_) {
      if (!shard.file().contains(view.data)) continue;
      const auto offset = static_cast<size_t>(static_cast<const std::byte*>(view.data) - shard.file().bytes().data());
      shard.file().release(offset, static_cast<size_t>(view.bytes()));
      return;
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(copies_, [&](const auto& copy) { return copy.second.data() == view.data; });
  }

 private:
  /// Kernels may count on 2-byte alignment, which a header of odd length breaks.
  TensorView aligned_copy(const std::string& name, TensorView view) {
    const std::lock_guard lock(mutex_);
    auto it = copies_.find(name);
    if (it == copies_.end()) {
      it = copies_.emplace(name, AnonymousMemory(static_cast<size_t>(view.bytes()))).first;
      std::memcpy(it->second.data(), view.data, static_cast<size_t>(view.bytes()));
    }
    view.data = it->second.data();
    return view;
  }

  std::vector<Safetensors> shards_;
  std::unordered_map<std::string, size_t> shard_of_;
  std::string title_;
  int64_t total_bytes_ = 0;
  std::mutex mutex_;
  std::map<std::string, AnonymousMemory> copies_;
};

bool present(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::unique_ptr<WeightSource> open_single(const std::filesystem::path& folder) {
  std::vector<Safetensors> shards;
  shards.push_back(Safetensors::open(folder / kSingle));
  std::unordered_map<std::string, size_t> shard_of;
  for (const std::string& name : shards[0].names()) shard_of.emplace(name, 0);
  return std::make_unique<FileWeights>(std::move(shards), std::move(shard_of), kSingle);
}

std::unique_ptr<WeightSource> open_shards(const std::filesystem::path& folder) {
  std::vector<Safetensors> shards;
  std::map<std::string, size_t> opened;
  std::unordered_map<std::string, size_t> shard_of;
  for (const auto& [name, shard] : parse_weight_index(read_json_file(folder / kWeightIndex, kWeightIndexLimits))) {
    const auto [it, fresh] = opened.try_emplace(shard, shards.size());
    if (fresh) {
      if (!present(folder / shard))
        fail(ErrorCode::io_error, kWeightIndex, fmt::format("the shard {} beside it", printable(shard, 255)), "no such file");
      shards.push_back(Safetensors::open(folder / shard));
    }
    if (!shards[it->second].header().entries.contains(name))
      invalid(kWeightIndex, fmt::format("{} in {}", printable(name, 200), printable(shard, 255)), "no tensor of that name there");
    shard_of.emplace(name, it->second);
  }
  return std::make_unique<FileWeights>(std::move(shards), std::move(shard_of), kWeightIndex);
}

/// What the folder holds instead of safetensors, for the message.
std::string other_weights(const std::filesystem::path& folder) {
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.safetensors", "tf_model.h5", "flax_model.msgpack"})
    if (present(folder / name)) return name;
  return present(folder) ? "neither" : "no such folder";
}

}  // namespace

Weights Weights::open(const std::filesystem::path& folder) {
  if (present(folder / kSingle)) return Weights(open_single(folder));
  if (present(folder / kWeightIndex)) return Weights(open_shards(folder));
  fail(ErrorCode::io_error, printable(folder.string(), 512), fmt::format("{} or {}", kSingle, kWeightIndex), other_weights(folder));
}

bool Weights::in(const std::filesystem::path& folder) { return present(folder / kSingle) || present(folder / kWeightIndex); }

Weights Weights::dummy(DType dtype, uint64_t seed) { return Weights(make_dummy_weights(dtype, seed)); }

TensorView Weights::get(const std::string& name, const Shape& shape) const {
  const auto view = source_->get(name, shape);
  if (!view) invalid("weights", fmt::format("{} of shape {}", printable(name, 200), to_text(shape)), "no such tensor in " + source_->title());
  if (view->shape != shape) invalid("weights", fmt::format("{} of shape {}", printable(name, 200), to_text(shape)), to_text(view->shape));
  return *view;
}

}  // namespace attune
