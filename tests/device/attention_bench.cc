// The rows of the goals for attention on an H200: `device_attention_bench [KERNEL [PART_OF_A_ROW'S_NAME]]`.
#include <fmt/format.h>

#include "attention_times.h"
#include "core/error.h"
#include "ops/catalogue.h"

namespace attune::device_test {
namespace {

struct Row {
  std::string name;
  double goal;
  Work work;
};

std::string count_text(int64_t n) { return n % 1024 == 0 ? fmt::format("{}k", n / 1024) : std::to_string(n); }

Row row(AttentionDesc d, int batch, int context, int q, double goal, std::string extra = "") {
  d.phase = q > 1 ? Phase::verify : Phase::decode;
  const auto n = static_cast<size_t>(batch);
  return {fmt::format("{} {} {}x{} q{} D{} G{} block {} {}", to_text(d.phase), to_text(d.kv_dtype), batch, count_text(context), q, d.head_dim,
                      d.gqa_group, d.block_size, extra),
          goal,
          {d, std::vector<int32_t>(n, q), std::vector<int32_t>(n, context)}};
}

void add_goals(std::vector<Row>& rows, int64_t block) {
  const AttentionDesc bf16{.block_size = block}, f8{.kv_dtype = DType::f8_e4m3, .block_size = block, .kv_scale = Scales::tensor};
  rows.push_back(row(bf16, 1, 8192, 1, 16));
  rows.push_back(row(bf16, 1, 65536, 1, 72));
  rows.push_back(row(bf16, 8, 4096, 1, 40));
  rows.push_back(row(bf16, 32, 4096, 1, 131));
  rows.push_back(row(bf16, 128, 2048, 1, 252));
  rows.push_back(row(bf16, 256, 1024, 1, 253));
  rows.push_back(row(bf16, 64, 16384, 1, 977));
  rows.push_back(row(f8, 8, 4096, 1, 28));
  rows.push_back(row(f8, 32, 4096, 1, 73));
  rows.push_back(row(f8, 256, 1024, 1, 140));
  rows.push_back(row(f8, 64, 16384, 1, 550));
  for (const Mask mask : {Mask::causal, Mask::none}) {
    AttentionDesc b = bf16, f = f8;
    b.mask = f.mask = mask;
    const std::string name(to_text(mask));
    rows.push_back(row(b, 1, 4096, 16, 16, name));
    rows.push_back(row(b, 8, 4096, 16, 43, name));
    rows.push_back(row(b, 32, 4096, 16, 136, name));
    rows.push_back(row(f, 8, 4096, 16, 36, name));
    rows.push_back(row(f, 32, 4096, 16, 85, name));
  }
}

/// Goals are relative to the plain rows: 5 % for extras, 75 % of the share of bandwidth for odd shapes.
void add_others(std::vector<Row>& rows) {
  AttentionDesc d{.block_size = 16};
  d.sinks = true;
  rows.push_back(row(d, 32, 4096, 1, 0, "sinks"));
  d.window = 1024;
  rows.push_back(row(d, 32, 4096, 1, 0, "sinks window 1024"));
  d = {.block_size = 16, .softcap = 50};
  rows.push_back(row(d, 32, 4096, 1, 0, "softcap"));
  d = {.block_size = 16, .alibi = Alibi::plain};
  rows.push_back(row(d, 32, 4096, 1, 0, "alibi"));
  rows.push_back(row({.kv_dtype = DType::f8_e4m3, .block_size = 16, .kv_scale = Scales::token_head}, 32, 4096, 1, 0, "token_head"));
  rows.push_back(row({.head_dim = 80, .block_size = 16}, 32, 4096, 1, 0));
  rows.push_back(row({.head_dim = 96, .block_size = 16}, 32, 4096, 1, 0));
  rows.push_back(row({.gqa_group = 5, .block_size = 16}, 32, 4096, 1, 0));
  rows.push_back(row({.gqa_group = 7, .block_size = 16}, 32, 4096, 1, 0));
  rows.push_back(row({.block_size = 128}, 32, 4096, 1, 0));
  rows.push_back(row({.block_size = 256}, 32, 4096, 1, 0));
  for (const int64_t dim : {64, 192, 256}) rows.push_back(row({.head_dim = dim, .block_size = 16}, 32, 4096, 1, 0));
  Row ragged = row({.block_size = 16}, 32, 4096, 1, 0, "ragged 10..60000");
  for (size_t i = 0; i < 32; ++i) ragged.work.kv_lens[i] = static_cast<int32_t>(i * i * i * i % 13 == 0 ? 60000 - i * 400 : 10 + i * i * 9);
  rows.push_back(ragged);
}

void print(const AttentionKernel& kernel, const Row& r) {
  bool admitted = true;
  const AttentionDesc defaults{};
  Attention::for_each_field(kernel.can, r.work.desc, defaults, [&](FieldName, const auto& can, const auto& value, const auto& fallback, const auto&) {
    admitted = admitted && can.admits(value, fallback);
  });
  if (!admitted) return;
  const Timing t = time_attention(kernel, r.work);
  fmt::print("{:<58} {:8.2f} us ({:.2f} .. {:.2f}) {:6.0f} GB/s {}\n", r.name, t.microseconds, t.fastest, t.slowest,
             t.gigabytes / t.microseconds * 1e6, r.goal == 0 ? "" : fmt::format("goal {} {}", r.goal, t.microseconds <= r.goal ? "met" : "MISSED"));
}

const AttentionKernel& named(std::string_view name) {
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (k->info.name == name && k->info.device.kind == DeviceKind::cuda && k->launch != nullptr) return *k;
  fail(ErrorCode::device_error, "bench", "a kernel of this build", name);
}

void all(int argc, char** argv) {
  const AttentionKernel& kernel = named(argc > 1 ? argv[1] : "cuda.attention.wgmma_split_kv");
  std::vector<Row> rows;
  add_goals(rows, 16), add_goals(rows, 64), add_others(rows);
  for (const Row& r : rows)
    if (argc < 3 || r.name.find(argv[2]) != std::string::npos) print(kernel, r);
}

}  // namespace
}  // namespace attune::device_test

int main(int argc, char** argv) {
  try {
    attune::device_test::all(argc, argv);
  } catch (const std::exception& e) {
    fmt::print("FAIL {}\n", e.what());
    return 1;
  }
}
