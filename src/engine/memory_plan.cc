#include "engine/memory_plan.h"

#include <algorithm>

#include "loader/shapes_only.h"

namespace attune {
namespace {

constexpr int64_t kCpuLogitRows = 32;                   // that exist at once
constexpr int64_t kDriverReserve = int64_t{256} << 20;  // code of kernels, libraries, laws of rows: made while it runs
constexpr int64_t kGraphReserve = int64_t{256} << 20;

/// The tensors of a checkpoint without their content.
class ShapesOf final : public WeightSource {
 public:
  explicit ShapesOf(const Weights& weights) : weights_(weights) {}
  std::optional<TensorView> find(const std::string&) override { return std::nullopt; }
  std::optional<TensorView> get(const std::string& name, const Shape& shape) override {
    TensorView view = weights_.get(name, shape);
    weights_.release(view);  // one that stands at an odd address in its file was copied
    view.data = nullptr;
    return view;
  }
  std::vector<std::string> names() const override { return {}; }
  int64_t total_bytes() const override { return 0; }
  void release(const TensorView&) override {}
  std::string title() const override { return "weights"; }

 private:
  const Weights& weights_;
};

}  // namespace

ModelRunner::Limits runner_limits(const EngineOptions& o, DeviceKind device, int64_t max_model_len, int64_t vocab) {
  return {.tokens = o.max_num_batched_tokens,
          .sequences = o.max_num_seqs,
          .longest_kv = max_model_len,
          .logits_rows = device == DeviceKind::cpu ? kCpuLogitRows : std::max(kCpuLogitRows, o.max_num_seqs),
          .vocab = vocab};
}

int64_t stored_weight_bytes(const ModelConfig& config, const Weights& weights, bool dummy, DType dummy_dtype, const LoadOptions& options) {
  std::unique_ptr<WeightSource> shapes = std::make_unique<ShapesOf>(weights);
  if (dummy) shapes = std::make_unique<ShapesOnly>(dummy_dtype);
  const Weights without(std::move(shapes));
  KernelBinder binder({.device = find_device("cpu"), .runtime = open_device(find_device("cpu")), .probe = false, .choose = false, .required = false});
  LoadOptions l = options;
  l.copy_weights = true, l.kv_dtype = DType::f32, l.block_size = 0, l.max_tokens = 1;
  ModelBuilder builder(config, without, binder, l);
  make_model(builder);
  builder.take_memory();  // what was sent to it has arrived
  return builder.weight_bytes();
}

PageMemory page_memory(const EngineOptions& o, Device& device, int64_t scratch, int64_t needed) {
  if (o.kv_cache_memory_bytes > 0) return {o.kv_cache_memory_bytes, "", "--kv-cache-memory-bytes"};
  const int64_t memory = device.props().memory;
  if (device.props().kind == DeviceKind::cpu) return {memory / 4, "", "--kv-cache-memory-bytes"};
  const auto budget = static_cast<int64_t>(o.gpu_memory_utilization * static_cast<double>(memory));
  const int64_t taken = memory - static_cast<int64_t>(device.free_memory());
  return {.bytes = budget - taken - scratch,
          .reckoned =
              fmt::format(" ({} by --gpu-memory-utilization {}, less {} taken and {} for scratch)", budget, o.gpu_memory_utilization, taken, scratch),
          .raise = memory - taken - scratch >= needed ? "--gpu-memory-utilization" : ""};
}

int64_t scratch_bytes(const ModelRunner::Limits& limits, int64_t block_size, int64_t workspace, bool graphs) {
  return ModelRunner::device_bytes(limits, block_size) + workspace + kDriverReserve + (graphs ? kGraphReserve : 0);
}

}  // namespace attune
