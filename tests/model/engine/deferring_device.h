#pragma once

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "core/error.h"
#include "device/runtime.h"

namespace attune::engine_test {

/// Which of the orders that events allow a device takes.
enum class Order {
  in_order,     ///< of the calls
  first_early,  ///< work of the first stream as early as can be, that of others as late
  first_late,   ///< the other way round
  drawn         ///< whatever a generator draws
};

/// The CPU, calling itself a GPU whose streams are real ones: what is put into a stream is kept, and done only when somebody must be given it, in an
/// order that the events between the streams allow and no other rule makes likely. Launches are not kept, as kernels of the CPU run when they are
/// called: they belong to the first stream that was made, the engine's own, in which a wait for an event goes before every launch.
class DeferringDevice final : public Device {
 public:
  static void choose(Order order, uint64_t seed) { order_ = order, state_ = seed * 2 + 1; }
  static std::unique_ptr<Device> wrap(std::unique_ptr<Device> inner) { return std::make_unique<DeferringDevice>(std::move(inner)); }
  /// Pieces of work that were done when an earlier one of another stream was not.
  static int64_t overtakings() { return overtakings_; }

  explicit DeferringDevice(std::unique_ptr<Device> inner) : inner_(std::move(inner)), props_(inner_->props()) { props_.kind = DeviceKind::cuda; }

  const DeviceProps& props() const override { return props_; }
  Buffer allocate(size_t bytes, const char* what) override { return inner_->allocate(bytes, what); }
  Buffer allocate_pinned(size_t bytes, const char* what) override { return inner_->allocate_pinned(bytes, what); }
  size_t free_memory() override { return inner_->free_memory(); }
  Stream make_stream() override {
    auto* s = new Queue{streams_made_++, {}};
    queues().push_back(s);
    return Stream(s, [](void* p) {
      auto* gone = static_cast<Queue*>(p);
      finish(*gone);
      std::erase(queues(), gone);
      delete gone;
    });
  }
  Event make_event() override {
    return Event(new Point(), [](void* p) { delete static_cast<Point*>(p); });
  }
  Event make_timer() override { return make_event(); }

  void copy(void* to, const void* from, size_t bytes, const Stream& s) override {
    put(s, [=, this] { inner_->copy(to, from, bytes, Stream()); });
  }
  void fill(void* to, uint8_t byte, size_t bytes, const Stream& s) override {
    put(s, [=, this] { inner_->fill(to, byte, bytes, Stream()); });
  }
  void synchronize(const Stream& s) override { finish(queue_of(s)); }
  void record(const Event& e, const Stream& s) override {
    auto mark = std::make_shared<Mark>(Mark{&queue_of(s), false});
    point_of(e).mark = mark;
    put(s, [mark] { mark->past = true; });
  }
  void wait(const Event& e) override {
    const auto mark = point_of(e).mark;
    while (mark && !mark->past) advance(*mark->queue);
  }
  void wait(const Stream& s, const Event& e) override {
    queue_of(s).work.push_back({++clock_, {}, point_of(e).mark});
    linger();
    if (queue_of(s).number == 0) before_launches(queue_of(s));
  }
  double elapsed_us(const Event&, const Event&) override { return 0; }
  void begin_capture(const Stream&) override { fail(ErrorCode::not_supported, "graph", "steps without graphs", "a capture"); }
  Graph end_capture(const Stream&) override { return {}; }
  void replay(const Graph&, const Stream&) override {}

 private:
  struct Queue;
  struct Mark {
    Queue* queue;
    bool past;
  };
  struct Work {
    int64_t when;
    std::function<void()> run;          // or
    std::shared_ptr<const Mark> until;  // what must be past before the rest of the stream goes on
  };
  struct Queue {
    int number;  // of the streams in the order in which they were made
    std::deque<Work> work;
  };
  struct Point {
    std::shared_ptr<Mark> mark;  // null: never recorded, which nobody waits for
  };

  static Queue& queue_of(const Stream& s) { return *static_cast<Queue*>(s.get()); }
  static Point& point_of(const Event& e) { return *static_cast<Point*>(e.get()); }
  static std::vector<Queue*>& queues() {
    static std::vector<Queue*> all;
    return all;
  }
  static bool can_go(const Queue& q) { return !q.work.empty() && (!q.work.front().until || q.work.front().until->past); }

  void put(const Stream& s, std::function<void()> run) {
    queue_of(s).work.push_back({++clock_, std::move(run), nullptr});
    linger();
  }
  /// The first piece of a stream, which can go.
  static void run_first(Queue& q) {
    const Work w = std::move(q.work.front());
    q.work.pop_front();
    for (const Queue* other : queues()) overtakings_ += !other->work.empty() && other->work.front().when < w.when;
    if (w.run) w.run();
  }
  /// One piece of the stream, and what it waits for.
  static void advance(Queue& q) {
    while (!can_go(q)) advance(*q.work.front().until->queue);
    run_first(q);
  }
  static void finish(Queue& q) {
    while (!q.work.empty()) advance(q);
  }
  static void finish_all() {
    for (Queue* q : queues()) finish(*q);
  }
  /// What an order does though nobody asks for it yet.
  static void linger() {
    if (order_ == Order::in_order) return finish_all();
    if (order_ != Order::drawn) return;
    for (Queue* q : queues())
      while (can_go(*q) && draw(2) == 0) run_first(*q);
  }
  /// Launches follow in the first stream: all its work is done, after (late) or before (early) whatever else can go.
  static void before_launches(Queue& first) {
    if (order_ == Order::first_late)
      for (bool some = true; some;) {
        some = false;
        for (Queue* q : queues())
          while (q != &first && can_go(*q)) run_first(*q), some = true;
      }
    finish(first);
  }
  static uint64_t draw(uint64_t below) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % below;
  }

  static inline Order order_ = Order::in_order;
  static inline uint64_t state_ = 1;
  static inline int64_t clock_ = 0, overtakings_ = 0;
  std::unique_ptr<Device> inner_;
  DeviceProps props_;
  int streams_made_ = 0;
};

}  // namespace attune::engine_test
