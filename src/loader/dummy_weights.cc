#include "loader/dummy_weights.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "loader/anonymous_memory.h"

namespace attune {

namespace {

/// FNV-1a: a stable hash, so that a name's weights are the same everywhere.
uint64_t hash_name(std::string_view name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

struct Fill {
  uint64_t seed, name;
  float center, half_width;  ///< values are uniform around the center
};

/// One counter of the generator gives eight values of 16 random bits each.
constexpr int64_t kPerCounter = 8;

template <class T, class Convert>
void fill_range(T* out, int64_t begin, int64_t end, const Fill& fill, Convert convert) {
  const std::array<uint32_t, 2> key{static_cast<uint32_t>(fill.seed ^ fill.name), static_cast<uint32_t>((fill.seed ^ fill.name) >> 32)};
  const auto kind = static_cast<uint32_t>(Draw::fill);
  const auto salt = static_cast<uint32_t>(fill.name >> 17);
  const float step = fill.half_width / 32768.0f, low = fill.center - fill.half_width + step / 2;
  for (int64_t i = begin; i < end; i += kPerCounter) {
    const auto counter = static_cast<uint64_t>(i / kPerCounter);
    const auto r = philox({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), salt, kind}, key);
    T eight[kPerCounter];
    for (int j = 0; j < 4; ++j) {
      eight[2 * j] = convert(low + step * static_cast<float>(r[static_cast<size_t>(j)] & 0xffff));
      eight[2 * j + 1] = convert(low + step * static_cast<float>(r[static_cast<size_t>(j)] >> 16));
    }
    std::copy_n(eight, std::min(kPerCounter, end - i), out + i);
  }
}

void fill_any(void* out, DType dtype, int64_t begin, int64_t end, const Fill& fill) {
  switch (dtype) {
    case DType::f32: return fill_range(static_cast<float*>(out), begin, end, fill, [](float x) { return x; });
    case DType::f16: return fill_range(static_cast<f16_t*>(out), begin, end, fill, [](float x) { return to_f16(x); });
    case DType::bf16: return fill_range(static_cast<bf16_t*>(out), begin, end, fill, [](float x) { return to_bf16(x); });
    case DType::f8_e4m3: return fill_range(static_cast<f8_e4m3_t*>(out), begin, end, fill, [](float x) { return to_f8_e4m3(x); });
    default: fail(ErrorCode::not_supported, "dummy weights", "f32, f16, bf16 or f8_e4m3", to_text(dtype));
  }
}

/// Each thread fills one contiguous share; a value depends on its index alone, so the number of threads does not show.
void fill_all(void* out, DType dtype, int64_t count, const Fill& fill) {
  constexpr int64_t kWorthAThread = int64_t{1} << 20;
  const int64_t threads = std::clamp<int64_t>(count / kWorthAThread, 1, std::min(available_cores(), 16));
  const int64_t share = (count / threads + kPerCounter) / kPerCounter * kPerCounter;
  std::vector<std::jthread> workers;
  for (int64_t t = 1; t < threads; ++t)
    workers.emplace_back([=] { fill_any(out, dtype, std::min(t * share, count), std::min((t + 1) * share, count), fill); });
  fill_any(out, dtype, 0, std::min(share, count), fill);
}

class DummyWeights final : public WeightSource {
 public:
  DummyWeights(DType dtype, uint64_t seed) : dtype_(dtype), seed_(seed) {}

  std::optional<TensorView> find(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    const auto it = made_.find(name);
    return it == made_.end() ? std::nullopt : std::optional(it->second.first);
  }

  std::optional<TensorView> get(const std::string& name, const Shape& shape) override {
    const std::lock_guard lock(mutex_);
    if (const auto it = made_.find(name); it != made_.end()) return it->second.first;
    TensorView view{nullptr, dtype_, shape};
    AnonymousMemory memory(static_cast<size_t>(view.bytes()));
    view.data = memory.data();
    const bool norm = name.find("norm") != std::string::npos && name.ends_with("weight");
    // A uniform distribution of this width has a standard deviation of 0.02.
    fill_all(memory.data(), dtype_, shape.count(), {seed_, hash_name(name), norm ? 1.0f : 0.0f, 0.02f * std::sqrt(3.0f)});
    made_.emplace(name, std::pair(view, std::move(memory)));
    return view;
  }

  std::vector<std::string> names() const override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [name, tensor] : made_) out.push_back(name);
    return out;
  }

  int64_t total_bytes() const override {
    const std::lock_guard lock(mutex_);
    int64_t total = 0;
    for (const auto& [name, tensor] : made_) total += tensor.first.bytes();
    return total;
  }

  void release(const TensorView& view) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(made_, [&](const auto& entry) { return entry.second.first.data == view.data; });
  }

  std::string title() const override { return "the dummy weights"; }

 private:
  DType dtype_;
  uint64_t seed_;
  mutable std::mutex mutex_;
  std::map<std::string, std::pair<TensorView, AnonymousMemory>> made_;
};

}  // namespace

std::unique_ptr<WeightSource> make_dummy_weights(DType dtype, uint64_t seed) {
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16 && dtype != DType::f8_e4m3)
    fail(ErrorCode::not_supported, "dummy weights", "f32, f16, bf16 or f8_e4m3", to_text(dtype));
  return std::make_unique<DummyWeights>(dtype, seed);
}

}  // namespace attune
