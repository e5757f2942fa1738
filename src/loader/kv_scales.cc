#include "loader/kv_scales.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace attune {
namespace {

/// The names that tools give the scale of a `side`, "k" or "v", of a layer's attention.
std::vector<std::string> spellings(const std::string& attention, std::string_view side) {
  return {fmt::format("{}.{}_scale", attention, side), fmt::format("{}.attn.{}_scale", attention, side),
          fmt::format("{0}.{1}_proj.{1}_scale", attention, side), fmt::format("{}.{}_proj.output_scale", attention, side), attention + ".kv_scale"};
}

/// Element `i` of a tensor that need not be aligned.
float element(const TensorView& view, int64_t i) {
  uint32_t bits = 0;
  std::memcpy(&bits, static_cast<const char*>(view.data) + i * static_cast<int64_t>(size_of(view.dtype)), size_of(view.dtype));
  return load_as_float(&bits, view.dtype, 0);
}

std::vector<float> read_scale(const std::string& name, const TensorView& view, int64_t kv_heads) {
  if (view.dtype != DType::f32 && view.dtype != DType::bf16 && view.dtype != DType::f16)
    invalid(name, "a scale in f32, bf16 or f16", std::string(to_text(view.dtype)));
  int rank = view.shape.rank;
  while (rank > 1 && view.shape[rank - 1] == 1) --rank;
  const int64_t count = view.shape.count();
  if (rank > 1 || (count != 1 && count != kv_heads)) invalid(name, fmt::format("a scale of shape [], [1] or [{}]", kv_heads), to_text(view.shape));
  std::vector<float> out;
  for (int64_t i = 0; i < count; ++i) {
    out.push_back(element(view, i));
    if (!std::isfinite(out.back()) || out.back() <= 0) invalid(name, "a positive finite scale", fmt::format("{}", out.back()));
    if (!std::isnormal(out.back())) invalid(name, "a scale of 2^-126 or more", fmt::format("{}", out.back()));
  }
  return out;
}

/// Empty if the layer has none.
std::vector<float> find_scale(const Weights& weights, const std::string& attention, std::string_view side, int64_t kv_heads) {
  std::string found;
  std::vector<float> out;
  for (const std::string& name : spellings(attention, side)) {
    const auto view = weights.find(name);
    if (!view) continue;
    if (!found.empty()) invalid("weights", "one scale for " + found, name + " beside it");
    found = name, out = read_scale(name, *view, kv_heads);
  }
  return out;
}

void repeat_for_heads(std::vector<float>& scales, int64_t kv_heads) {
  if (scales.size() == 1) scales.assign(static_cast<size_t>(kv_heads), scales[0]);
}

}  // namespace

std::vector<LayerKvScales> read_kv_scales(const Weights& weights, int64_t layers, int64_t kv_heads) {
  std::vector<LayerKvScales> out;
  size_t stored = 0, most = 1;
  std::string lacking;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string attention = fmt::format("model.layers.{}.self_attn", layer);
    LayerKvScales& s = out.emplace_back();
    for (const auto& [side, scales] : {std::pair{"k", &s.k}, std::pair{"v", &s.v}}) {
      *scales = find_scale(weights, attention, side, kv_heads);
      stored += scales->empty() ? 0 : 1, most = std::max(most, scales->size());
      if (scales->empty() && lacking.empty()) lacking = fmt::format("{}.{}_scale", attention, side);
    }
  }
  if (stored == 0) return {};
  if (!lacking.empty())
    invalid("weights", fmt::format("scales for the keys and values of all {} layers", layers),
            fmt::format("{} of {}, no {}", stored, 2 * layers, lacking));
  if (most > 1)
    for (LayerKvScales& s : out) repeat_for_heads(s.k, kv_heads), repeat_for_heads(s.v, kv_heads);
  return out;
}

}  // namespace attune
