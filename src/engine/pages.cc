// The pages of docs/generated that stand on the catalogue: what each kernel can do, and which one is chosen where.
#include <fmt/format.h>

#include <algorithm>

#include "attune/kernels.h"
#include "ops/catalogue.h"
#include "select/select.h"

namespace attune {
namespace {

/// A decoder as attention and matmul see it.
struct ModelShape {
  std::string_view name;
  int64_t heads, kv_heads, head_dim, window;
  double softcap;
};

constexpr ModelShape kShapes[] = {{"abacus", 4, 2, 64, 0, 0},
                                  {"qwen3-0.6b", 16, 8, 128, 0, 0},
                                  {"qwen3-8b", 32, 8, 128, 0, 0},
                                  {"llama3-8b", 32, 8, 128, 0, 0},
                                  {"mistral-7b", 32, 8, 128, 4096, 0},
                                  {"gemma2-9b, full layers", 16, 8, 256, 0, 50},
                                  {"gemma2-9b, window layers", 16, 8, 256, 4096, 50}};

struct MatmulShape {
  std::string_view role;
  int64_t n, k, segments;
};

constexpr MatmulShape kQwen3[] = {
    {"qkv", 6144, 4096, 3}, {"o_proj", 4096, 4096, 1}, {"gate_up", 24576, 4096, 2}, {"down", 4096, 12288, 1}, {"lm_head", 151936, 4096, 1}};

/// "`a` > `b`": chosen first, then the other eligible ones.
std::string ranked(const Selection& s) {
  std::string out;
  if (s.chosen) out = fmt::format("`{}`", s.chosen->name);
  for (const auto& e : s.eligible)
    if (e.kernel != s.chosen) out += fmt::format(" > `{}`", e.kernel->name);
  return out.empty() ? "nothing is eligible" : out;
}

/// Table rows without their first cells: one for each distinct ranking, naming the devices that share it, in the order of the records.
template <class Op>
std::vector<std::string> rankings(const typename Op::Desc& desc, const Bucket& bucket) {
  std::vector<std::pair<std::string, std::string>> groups;  // ranking, devices
  for (const DeviceProps& device : invented_devices()) {
    const std::string ranking = ranked(select<Op>(catalogue().kernels<Op>(), device, desc, "", bucket, {}, {}));
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == ranking; });
    if (same == groups.end())
      groups.emplace_back(ranking, device.name);
    else
      same->second += ", " + device.name;
  }
  std::vector<std::string> out;
  for (const auto& [ranking, devices] : groups) out.push_back(fmt::format("{} | {} |", devices, ranking));
  return out;
}

/// Cases with the same rankings share their rows.
struct Section {
  std::vector<std::pair<std::vector<std::string>, std::string>> parts;  // rankings, cases

  void add(std::vector<std::string> rows, const std::string& name) {
    const auto same = std::find_if(parts.begin(), parts.end(), [&](const auto& p) { return p.first == rows; });
    if (same == parts.end())
      parts.emplace_back(std::move(rows), name);
    else
      same->second += ", " + name;
  }

  std::string text() const {
    std::string out;
    for (const auto& [rows, names] : parts)
      for (const std::string& row : rows) out += fmt::format("| {} | {}\n", names, row);
    return out;
  }
};

AttentionDesc attention_desc(const ModelShape& m, Phase phase, DType kv) {
  AttentionDesc d;
  d.kv_dtype = kv, d.kv_scale = is_f8(kv) ? Scales::token_head : Scales::none;
  d.num_kv_heads = m.kv_heads, d.gqa_group = m.heads / m.kv_heads, d.head_dim = m.head_dim;
  d.phase = phase, d.window = m.window, d.softcap = m.softcap;
  return d;
}

std::string attention_section(const ModelShape& m) {
  Section section;
  for (const DType kv : {DType::bf16, DType::f8_e4m3})
    for (const Phase phase : {Phase::decode, Phase::verify, Phase::prefill})
      section.add(rankings<Attention>(attention_desc(m, phase, kv), {1, 1024, 1}), fmt::format("{} {}", to_text(phase), to_text(kv)));
  return fmt::format("### {}\n\n`{}`\n\n| phase and KV | devices | kernels, best first |\n|---|---|---|\n{}\n", m.name,
                     to_text(attention_desc(m, Phase::decode, DType::bf16)), section.text());
}

std::string matmul_section() {
  Section section;
  for (const MatmulShape& s : kQwen3) {
    for (const int64_t m : {1, 64, 512}) {
      MatmulDesc d;
      d.n = s.n, d.k = s.k, d.rows = m, d.segments = s.segments;
      section.add(rankings<Matmul>(d, {1, 1024, m}), fmt::format("{} n={} k={} rows={}", s.role, s.n, s.k, m));
    }
  }
  return "| use | devices | kernels, best first |\n|---|---|---|\n" + section.text();
}

}  // namespace

std::string kernels_page() {
  return "# Kernels\n\nWritten by `attune docs` from the declarations that selection reads: one row a kernel, best first, one column a field of the\n"
         "desc. A cell is the set of values the kernel admits; \"only X\" means the field must keep its default X. Rules are conditions over\n"
         "several fields. \"built\" says which build holds the kernel's code; mark says what has been done with that code: compiled,\n"
         "emulated (with the number of cases; see docs/design/hip.md), run.\n\nA desc text names fields as `key=value`; what is left out has its "
         "default.\n\n" +
         kernels_markdown("");
}

std::string decisions_page() {
  std::string out =
      "# Decisions\n\nWritten by `attune docs`: for each invented device the kernels that are eligible, the chosen one first, without measurements, "
      "as\n"
      "if every backend were built. Devices with the same ranking share a row. A change of order shows here.\n\n## attention\n\n";
  for (const ModelShape& m : kShapes) out += attention_section(m);
  return out + "## matmul, qwen3-8b\n\n" + matmul_section();
}

}  // namespace attune
