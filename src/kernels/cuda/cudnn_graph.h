#pragma once

// cuDNN's graph interface, opened at run time: the few descriptors that attention is written with. The numbers are the library's binary interface,
// so that building needs none of its headers; cudnn_numbers.cc compares them with the vendor's header where there is one.

#include <cstdint>
#include <initializer_list>
#include <span>

namespace attune::cuda::cudnn {

enum class Kind : int { engine = 2, engine_config = 3, plan = 5, knob = 7, graph = 15, arguments = 16, tensor = 17, attention = 41 };

enum class Name : int {
  config_engine = 300,
  config_knobs = 302,
  plan_handle = 400,
  plan_config = 401,
  plan_workspace = 402,
  knob_type = 600,
  knob_value = 601,
  graph_handle = 800,
  graph_ops = 801,
  graph_engines = 802,
  tensor_alignment = 900,
  tensor_type = 901,
  tensor_sizes = 902,
  tensor_strides = 903,
  tensor_id = 906,
  tensor_by_value = 908,
  arguments_ids = 1000,
  arguments_pointers = 1001,
  arguments_workspace = 1003,
  engine_graph = 1300,
  engine_index = 1301,
  attention_q = 2800,
  attention_k = 2801,
  attention_v = 2802,
  attention_out = 2803,
  attention_lse = 2804,
  attention_scale = 2805,
  attention_k_table = 2807,
  attention_v_table = 2808,
  attention_q_lens = 2809,
  attention_kv_lens = 2810,
};

enum class Type : int { handle = 0, data_type = 1, boolean = 2, int64 = 3, pointer = 6, knob = 9, descriptor = 15 };
enum class Data : int { f32 = 0, f16 = 2, i32 = 4, bf16 = 9 };
enum class Knob : int { kernel = 24 };

/// A descriptor of the library: attributes are set, then it is finished. What the library refuses is NotSupported with its own words.
class Descriptor {
 public:
  explicit Descriptor(Kind kind);
  Descriptor(Descriptor&& o) noexcept : at_(o.at_) { o.at_ = nullptr; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  Descriptor& set(Name name, Type type, int64_t count, const void* values);
  Descriptor& set(Name name, const Descriptor& value) { return set(name, Type::descriptor, 1, &value.at_); }
  Descriptor& set(Name name, int64_t value) { return set(name, Type::int64, 1, &value); }
  Descriptor& set(Name name, std::span<const int64_t> values) { return set(name, Type::int64, static_cast<int64_t>(values.size()), values.data()); }
  Descriptor& set_handle(Name name);
  Descriptor& finish();
  void* get() const { return at_; }

 private:
  void* at_ = nullptr;
};

/// A tensor in device memory, or a number of the host's. `id` is what a run names its pointer by.
struct Tensor {
  int64_t id;
  Data type;
  std::initializer_list<int64_t> sizes, strides;  // in elements
  int64_t alignment = 16;                         // of its address, in bytes
  bool by_value = false;
};
Descriptor described(const Tensor& t);

/// A plan for one operation: the first of the library's engines that knows it, with one of its kernels as it counts them, if that can do with so
/// much workspace. The library compiles the kernel unless it has met it before.
class Plan {
 public:
  Plan(const Descriptor& operation, int64_t kernel, size_t room);
  /// Launches on the stream, as ids say; may be captured.
  void run(std::span<const int64_t> ids, std::span<void* const> pointers, void* workspace, void* stream) const;

 private:
  Descriptor plan_;
};

}  // namespace attune::cuda::cudnn
