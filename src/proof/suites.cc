#include "proof/suites.h"

#include <array>

#include "core/error.h"

namespace attune {
namespace {

constexpr int64_t kPool = 2048;
constexpr Tolerance kWide = {1.5e-2, 1e-2}, kEight = {0.15, 0.15};

struct Batch {
  std::string_view name, lengths;
  Phase phase;
};

constexpr std::array<Batch, 3> kMixed = {{{"mixed 1", "q_lens=1,5,129 kv_lens=128,18,463", Phase::prefill},
                                          {"mixed 2", "q_lens=10,5,32 kv_lens=256,64,128", Phase::prefill},
                                          {"mixed 3", "q_lens=1,5,129 kv_lens=1024,18,1328", Phase::prefill}}};
constexpr std::array<Batch, 2> kDecode = {
    {{"decode 1", "q_lens=1*4 kv_lens=128,256,384,512", Phase::decode}, {"decode 2", "q_lens=1*3 kv_lens=1024,1536,2048", Phase::decode}}};
constexpr std::array<Batch, 3> kPrefill = {{{"prefill 1", "q_lens=256,128 kv_lens=256,512", Phase::prefill},
                                            {"prefill 2", "q_lens=64,32,16 kv_lens=128,256,512", Phase::prefill},
                                            {"prefill 3", "q_lens=256,128 kv_lens=1024,2048", Phase::prefill}}};

class Suite {
 public:
  void add(const Batch& batch, std::string_view types, int64_t head_dim, int64_t block, Tolerance tolerance) {
    const std::string text = fmt::format("{} heads=8:8 head_dim={} block={} phase={} {} pool={} contents=report seed={}", types, head_dim, block,
                                         to_text(batch.phase), batch.lengths, kPool, cases.size() + 1);
    cases.push_back({fmt::format("{}, {}, head_dim {}, block {}", batch.name, types, head_dim, block), parse_case<Attention>(text), tolerance});
  }

  std::vector<SuiteCase> cases;
};

}  // namespace

std::vector<SuiteCase> seed_suite() {
  constexpr std::string_view kBf16 = "q=bf16 kv=bf16", kF16 = "q=f16 kv=f16 out=f16";
  Suite s;
  for (const Batch& b : kMixed)
    for (const int64_t head_dim : {128, 256})
      for (const int64_t block : {16, 64})
        for (const auto types : {kBf16, kF16}) s.add(b, types, head_dim, block, kWide);
  for (const Batch& b : kDecode)
    for (const int64_t head_dim : {128, 256})
      for (const int64_t block : {16, 64}) s.add(b, kBf16, head_dim, block, kWide);
  for (const Batch& b : kPrefill) s.add(b, kBf16, 128, 16, kWide);
  for (const std::string_view types :
       {"q=bf16 kv=f8_e4m3 kv_scale=seq_head", "q=f8_e4m3 kv=bf16 q_scale=seq_head", "q=f8_e4m3 kv=f8_e4m3 q_scale=seq_head kv_scale=seq_head"})
    for (const int64_t block : {16, 64}) {
      for (const Batch& b : kMixed) s.add(b, types, 128, block, kEight);
      for (const Batch& b : kDecode) s.add(b, types, 128, block, kEight);
    }
  return s.cases;
}

}  // namespace attune
