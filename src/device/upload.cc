#include "device/upload.h"

#include <algorithm>
#include <cstring>

#include "core/thread_pool.h"

namespace attune {
namespace {

constexpr size_t kStage = size_t{32} << 20;
constexpr size_t kStages = 3;                // one is written, one is on its way, one waits
constexpr size_t kPart = size_t{512} << 10;  // of one thread at a time: pages of a file come at different speeds

}  // namespace

void Upload::write_parts(void* to, size_t first, size_t bytes, const Write& write) {
  const auto part = [&](int64_t i) {
    const size_t at = static_cast<size_t>(i) * kPart;
    write(static_cast<char*>(to) + at, first + at, std::min(kPart, bytes - at));
  };
  const auto parts = static_cast<int64_t>((bytes + kPart - 1) / kPart);
  if (pool_ != nullptr && parts > 1) return pool_->parallel_for(parts, [&](int64_t i, int) { part(i); });
  for (int64_t i = 0; i < parts; ++i) part(i);
}

Upload::Stage& Upload::next_stage() {
  if (stages_.empty()) {
    stream_ = device_.make_stream();
    for (size_t i = 0; i < kStages; ++i) stages_.push_back({device_.allocate_pinned(kStage, "memory of the upload"), device_.make_event()});
  }
  Stage& stage = stages_[turn_++ % kStages];
  if (stage.on_its_way) device_.wait(stage.sent);
  stage.on_its_way = false;
  return stage;
}

void Upload::send(void* to, size_t bytes, const Write& write) {
  if (device_.props().kind == DeviceKind::cpu) return write_parts(to, 0, bytes, write);
  for (size_t first = 0; first < bytes; first += kStage) {
    Stage& stage = next_stage();
    const size_t some = std::min(kStage, bytes - first);
    write_parts(stage.memory.data(), first, some, write);
    device_.copy(static_cast<char*>(to) + first, stage.memory.data(), some, stream_);
    device_.record(stage.sent, stream_);
    stage.on_its_way = true;
  }
}

void Upload::send(void* to, const void* from, size_t bytes) {
  send(to, bytes, [from](void* part, size_t first, size_t n) { std::memcpy(part, static_cast<const char*>(from) + first, n); });
}

void Upload::finish() {
  if (stages_.empty()) return;
  device_.synchronize(stream_);
  stages_.clear();
}

}  // namespace attune
