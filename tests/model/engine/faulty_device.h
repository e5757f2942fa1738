#pragma once

#include <cstdlib>
#include <map>
#include <string>

#include "core/error.h"
#include "device/runtime.h"

namespace attune::engine_test {

/// The call that fails: the `at`-th (from 1) of the kind `call` ("" any of the kinds) from the moment that a plan is made.
struct FaultPlan {
  ErrorCode code = ErrorCode::device_error;
  std::string call;
  int64_t at = 0;        // 0: none
  bool forever = false;  // all later ones, too: the device is lost
};

/// The CPU, calling itself a GPU: the engine then keeps copies of a step's inputs, reads tokens late, captures graphs. It fails at a chosen call. Its
/// graphs hold nothing: a replay computes nothing.
class FaultyDevice final : public Device {
 public:
  /// From now on devices have so many bytes (0: as many as the machine), and count what is taken of them.
  static void bound_memory(int64_t bytes) { bound_ = bytes, taken_ = 0; }
  static int64_t taken() { return taken_; }
  static void plan(const FaultPlan& p) { plan_ = p, calls_.clear(), unknown_ = false, copies_into_the_unknown_ = 0; }
  /// Calls of a kind since the last plan.
  static int64_t calls(const std::string& kind) { return calls_[kind]; }
  /// Copies after a failure and before somebody waited for the streams, since the last plan.
  static int64_t copies_into_the_unknown() { return copies_into_the_unknown_; }
  static std::unique_ptr<Device> wrap(std::unique_ptr<Device> inner) { return std::make_unique<FaultyDevice>(std::move(inner)); }

  explicit FaultyDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)), props_(inner_->props()) {
    props_.kind = DeviceKind::cuda;
    if (bound_ > 0) props_.memory = bound_;
  }

  const DeviceProps& props() const override { return props_; }
  Buffer allocate(size_t bytes, const char* what) override {
    count("allocate", what);
    if (bound_ == 0 || bytes == 0) return inner_->allocate(bytes, what);
    need_memory(*this, bytes, what);
    taken_ += static_cast<int64_t>(bytes);
    return Buffer(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096), bytes, [](void* p, size_t n) {
      taken_ -= static_cast<int64_t>(n);
      std::free(p);
    });
  }
  Buffer allocate_pinned(size_t bytes, const char* what) override {
    if (plan_.code == ErrorCode::out_of_memory) {
      if (fails("pinned")) host_memory_is_short(what, bytes);
    } else {
      count("pinned", what);
    }
    return inner_->allocate_pinned(bytes, what);
  }
  size_t free_memory() override { return bound_ > 0 ? static_cast<size_t>(bound_ - taken_) : inner_->free_memory(); }
  Stream make_stream() override { return count("stream", "stream"), inner_->make_stream(); }
  Event make_event() override { return count("event", "event"), inner_->make_event(); }
  Event make_timer() override { return count("event", "event"), inner_->make_timer(); }
  void copy(void* to, const void* from, size_t bytes, const Stream& s) override {
    copies_into_the_unknown_ += unknown_;
    count("copy", "copy"), inner_->copy(to, from, bytes, s);
  }
  void fill(void* to, uint8_t byte, size_t bytes, const Stream& s) override { count("fill", "fill"), inner_->fill(to, byte, bytes, s); }
  void synchronize(const Stream& s) override { count("wait", "device"), unknown_ = false, inner_->synchronize(s); }
  void record(const Event& e, const Stream& s) override { count("record", "event"), inner_->record(e, s); }
  void wait(const Event& e) override { count("wait", "device"), inner_->wait(e); }
  void wait(const Stream& s, const Event& e) override { count("order", "event"), inner_->wait(s, e); }
  double elapsed_us(const Event& a, const Event& b) override { return inner_->elapsed_us(a, b); }
  void begin_capture(const Stream&) override { count("capture", "graph capture"); }
  Graph end_capture(const Stream&) override {
    count("graph", "graph");
    return Graph(new int(0), [](void* p) { delete static_cast<int*>(p); });
  }
  void replay(const Graph&, const Stream&) override { count("replay", "graph launch"); }

 private:
  static bool fails(const std::string& kind) {
    const int64_t of_kind = ++calls_[kind], of_all = ++calls_[""];
    const int64_t n = plan_.call.empty() ? of_all : plan_.call == kind ? of_kind : 0;
    if (plan_.at == 0 || n == 0 || (plan_.forever ? n < plan_.at : n != plan_.at)) return false;
    return unknown_ = true;
  }
  static void count(const std::string& kind, const char* what) {
    if (!fails(kind)) return;
    if (plan_.code == ErrorCode::out_of_memory) fail(plan_.code, what, "64 bytes of memory on faulty", "0 free, 64 missing");
    fail(plan_.code, what, "success", "a planned failure");
  }
  static inline FaultPlan plan_;
  static inline std::map<std::string, int64_t> calls_;
  static inline int64_t bound_ = 0, taken_ = 0;
  static inline bool unknown_ = false;  // a call failed: what was launched before it may run still
  static inline int64_t copies_into_the_unknown_ = 0;

  std::unique_ptr<Device> inner_;
  DeviceProps props_;
};

}  // namespace attune::engine_test
