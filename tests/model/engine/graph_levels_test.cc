// A step is captured only if every kernel that it launches declares that it can be in a graph.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../conformance/device/twin_device.h"
#include "attune/log.h"
#include "engine/model_runner.h"
#include "models/kernel_binder.h"

namespace attune::device_test {
namespace {

using testing::HasSubstr;

constexpr int64_t kVocab = 7, kHidden = 3;
int64_t runs = 0;  // of the kernel

void embed_on_twin(const ExecContext& ctx, const EmbedDesc& d, const EmbedParams& p) {
  static_cast<TwinStream*>(ctx.stream)->run([d, p] {
    ++runs;
    embed_ref({}, d, p);
  });
}

/// A kernel of the twin under a name and a level.
EmbedKernel kernel_of(std::string_view name, GraphLevel level, DeviceKind kind = DeviceKind::cuda) {
  EmbedKernel k = *catalogue().kernels<Embed>().back();
  k.info.name = name, k.info.device.kind = kind, k.info.graph = level, k.launch = embed_on_twin;
  return k;
}

/// Looks its tokens up by one kernel where they are few and by another where they are more.
class Lookup final : public Model {
 public:
  Lookup(Device& device, const EmbedKernel& one, const EmbedKernel& more)
      : embed_{.role = "tokens", .variants = {{"one", desc(), &one}, {"more", desc(), &more}}},
        table_(device.allocate(kVocab * kHidden * sizeof(float), "table")),
        out_(device.allocate(64 * kHidden * sizeof(float), "out")) {
    std::fill_n(table_.as<float>(), kVocab * kHidden, 1.0f);
  }
  void forward(const ExecContext& ctx, const Batch& b, KvCache&) override {
    embed_(ctx, {.ids = b.ids, .table = table_.data(), .out = out_.data(), .tokens = b.num_tokens, .vocab = kVocab}, b.num_tokens == 1 ? 0 : 1);
  }
  void logits(const ExecContext&, int64_t, int64_t, float*) override {}
  std::vector<KvLayer> kv_layers() const override { return {}; }

 private:
  static EmbedDesc desc() { return {.w_dtype = DType::f32, .out_dtype = DType::f32, .hidden = kHidden}; }
  Bound<Embed> embed_;
  Buffer table_, out_;
};

struct GraphLevels : testing::Test {
  void SetUp() override {
    runs = 0;
    set_log_sink([this](LogLevel level, std::string_view line) { log += (level == LogLevel::warning ? std::string(line) + "\n" : ""); });
  }
  void TearDown() override { set_log_sink({}); }

  int64_t graphs(const EmbedKernel& one, const EmbedKernel& more) {
    TwinDevice device;
    const Stream stream = device.make_stream();
    Lookup model(device, one, more);
    KvCache kv(device, {}, DType::bf16, Scales::none, 4, 16);
    ModelRunner runner(device, stream, model, kv, {.tokens = 16, .sequences = 8, .longest_kv = 32, .logits_rows = 8, .vocab = kVocab});
    ExecContext ctx;
    ctx.stream = stream.get();
    std::vector<Selection> chosen(2);
    chosen[0].chosen = &one.info, chosen[1].chosen = &more.info;
    return runner.capture_graphs(ctx, chosen);
  }

  std::string log;
};

TEST_F(GraphLevels, StepsOfKernelsThatDeclareOneAreCaptured) {
  EXPECT_EQ(graphs(kernel_of("twin.one", GraphLevel::uniform), kernel_of("twin.more", GraphLevel::mixed)), 4) << "1, 2, 4 and 8 sequences";
  EXPECT_EQ(log, "");
  EXPECT_EQ(runs, 4) << "each once before it is captured";
}

TEST_F(GraphLevels, AKernelThatDeclaresNoneIsNotCaptured) {
  EXPECT_EQ(graphs(kernel_of("twin.one", GraphLevel::mixed), kernel_of("twin.more", GraphLevel::none)), 1);
  for (const int n : {2, 4, 8})
    EXPECT_THAT(log, HasSubstr("decode steps of " + std::to_string(n) + " sequences are not captured: twin.more declares graph level none\n"));
  EXPECT_EQ(graphs(kernel_of("twin.one", GraphLevel::none), kernel_of("twin.more", GraphLevel::none)), 0);
}

TEST_F(GraphLevels, OnlyStepsThatLaunchItAreRefused) {
  EXPECT_EQ(graphs(kernel_of("twin.one", GraphLevel::none), kernel_of("twin.more", GraphLevel::mixed)), 3);
  EXPECT_EQ(log, "graphs: decode steps of 1 sequences are not captured: twin.one declares graph level none\n");
}

/// Levels are of the device's kind of kernel: the CPU's kernels have none, and stand in no graph but a test's.
TEST_F(GraphLevels, KernelsOfTheCpuHaveNoLevel) {
  const EmbedKernel host = kernel_of("cpu.embed", GraphLevel::none, DeviceKind::cpu);
  EXPECT_EQ(graphs(host, host), 4);
}

/// What stands in the catalogue for GPUs can be in a graph: every model's decode steps are captured.
TEST_F(GraphLevels, EveryKernelOfAGpuDeclaresOne) {
  for_each_op([]<class Op>() {
    for (const Kernel<Op>* k : catalogue().kernels<Op>())
      if (k->info.device.kind != DeviceKind::cpu) EXPECT_NE(k->info.graph, GraphLevel::none) << k->info.name;
  });
}

}  // namespace
}  // namespace attune::device_test
