#include "kernels/cuda/cudnn_graph.h"

#include <array>
#include <string>

#include "core/error.h"
#include "device/shared_library.h"
#include "kernels/cuda/current_device.h"

namespace attune::cuda::cudnn {
namespace {

constexpr std::string_view kName = "cuda.attention.cudnn";

/// The library's functions.
struct Library {
  const char* (*error_text)(int) = nullptr;
  void (*last_error)(char*, size_t) = nullptr;
  int (*create)(int, void**) = nullptr;
  int (*destroy)(void*) = nullptr;
  int (*set)(void*, int, int, int64_t, const void*) = nullptr;
  int (*get)(void*, int, int, int64_t, int64_t*, void*) = nullptr;
  int (*finish)(void*) = nullptr;
  int (*execute)(void*, void*, void*) = nullptr;
  int (*set_stream)(void*, void*) = nullptr;
  int (*open)(void**) = nullptr;

  explicit Library(const SharedLibrary& from) {
    const auto find = [&]<class F>(F*& to, const char* name) {
      to = from.function<F>(name);
      if (to == nullptr) fail(ErrorCode::device_error, kName, std::string("a library with ") + name, from.file());
    };
    find(error_text, "cudnnGetErrorString"), find(last_error, "cudnnGetLastErrorString");
    find(create, "cudnnBackendCreateDescriptor"), find(destroy, "cudnnBackendDestroyDescriptor");
    find(set, "cudnnBackendSetAttribute"), find(get, "cudnnBackendGetAttribute"), find(finish, "cudnnBackendFinalize");
    find(execute, "cudnnBackendExecute"), find(set_stream, "cudnnSetStream");
    find(open, "cudnnCreate");
  }
};

const Library& library() {
  static const Library loaded = [] {
    const auto found = SharedLibrary::find(cudnn_recipe());
    if (!found) fail(ErrorCode::device_error, kName, "libcudnn", "none");
    return Library(*found);
  }();
  return loaded;
}

/// A handle knows the device on which it was made.
void* const& handle_here() {
  static PerDevice<void*> handles;
  return handles.of(current_device(kName), [] {
    void* handle = nullptr;
    if (const int status = library().open(&handle); status != 0)
      fail(ErrorCode::device_error, kName, "cudnnCreate to succeed", library().error_text(status));
    return handle;
  });
}

/// What the library cannot do is no fault of the device: another kernel may take the call.
void check(int status, std::string_view what) {
  constexpr int kSuccess = 0, kFirstOfExecution = 5000;
  if (status == kSuccess) return;
  std::array<char, 1024> why{};
  library().last_error(why.data(), why.size());
  fail(status >= kFirstOfExecution ? ErrorCode::device_error : ErrorCode::not_supported, kName, std::string(what) + " to succeed",
       fmt::format("{}: {}", library().error_text(status), why.data()));
}

int64_t number_of(const Descriptor& d, Name name) {
  int64_t value = 0, count = 0;
  check(library().get(d.get(), static_cast<int>(name), static_cast<int>(Type::int64), 1, &count, &value),
        fmt::format("reading attribute {}", static_cast<int>(name)));
  return value;
}

}  // namespace

Descriptor::Descriptor(Kind kind) {
  check(library().create(static_cast<int>(kind), &at_), fmt::format("a descriptor of kind {}", static_cast<int>(kind)));
}

Descriptor::~Descriptor() {
  if (at_ != nullptr) library().destroy(at_);
}

Descriptor& Descriptor::set(Name name, Type type, int64_t count, const void* values) {
  check(library().set(at_, static_cast<int>(name), static_cast<int>(type), count, values), fmt::format("attribute {}", static_cast<int>(name)));
  return *this;
}

Descriptor& Descriptor::set_handle(Name name) { return set(name, Type::handle, 1, &handle_here()); }

Descriptor& Descriptor::finish() {
  check(library().finish(at_), "a descriptor");
  return *this;
}

Descriptor described(const Tensor& t) {
  const bool yes = true;
  Descriptor d(Kind::tensor);
  d.set(Name::tensor_id, t.id).set(Name::tensor_type, Type::data_type, 1, &t.type).set(Name::tensor_alignment, t.alignment);
  d.set(Name::tensor_sizes, std::span(t.sizes.begin(), t.sizes.size())).set(Name::tensor_strides, std::span(t.strides.begin(), t.strides.size()));
  if (t.by_value) d.set(Name::tensor_by_value, Type::boolean, 1, &yes);
  d.finish();
  return d;
}

namespace {

Descriptor plan_of(const Descriptor& graph, int64_t engine_index, int64_t kernel) {
  constexpr Knob kKnob = Knob::kernel;
  Descriptor engine(Kind::engine), knob(Kind::knob), config(Kind::engine_config), plan(Kind::plan);
  engine.set(Name::engine_graph, graph).set(Name::engine_index, engine_index).finish();
  knob.set(Name::knob_type, Type::knob, 1, &kKnob).set(Name::knob_value, kernel).finish();
  config.set(Name::config_engine, engine).set(Name::config_knobs, knob).finish();
  plan.set_handle(Name::plan_handle).set(Name::plan_config, config).finish();
  return plan;
}

/// Of the engines that the library has for graphs, one or two know this one.
Descriptor first_plan(const Descriptor& operation, int64_t kernel, size_t room) {
  void* operations[] = {operation.get()};
  Descriptor graph(Kind::graph);
  graph.set_handle(Name::graph_handle).set(Name::graph_ops, Type::descriptor, 1, operations).finish();
  std::string why = "none";
  const int64_t engines = number_of(graph, Name::graph_engines);
  for (int64_t i = 0; i < engines; ++i) try {
      Descriptor plan = plan_of(graph, i, kernel);
      const int64_t bytes = number_of(plan, Name::plan_workspace);
      if (static_cast<size_t>(bytes) <= room) return plan;
      why = fmt::format("one of {} bytes", bytes);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::device_error) throw;
      why = e.what();
    }
  fail(ErrorCode::not_supported, kName, fmt::format("an engine with kernel {} and a workspace of at most {} bytes", kernel, room), why);
}

}  // namespace

Plan::Plan(const Descriptor& operation, int64_t kernel, size_t room) : plan_(first_plan(operation, kernel, room)) {}

void Plan::run(std::span<const int64_t> ids, std::span<void* const> pointers, void* workspace, void* stream) const {
  Descriptor arguments(Kind::arguments);
  arguments.set(Name::arguments_ids, ids).set(Name::arguments_pointers, Type::pointer, static_cast<int64_t>(pointers.size()), pointers.data());
  arguments.set(Name::arguments_workspace, Type::pointer, 1, &workspace).finish();
  check(library().set_stream(handle_here(), stream), "cudnnSetStream");
  check(library().execute(handle_here(), plan_.get(), arguments.get()), "cudnnBackendExecute");
}

}  // namespace attune::cuda::cudnn
