// A case of sampling as tensors: rows with different laws. Tokens must equal the reference's; a draw is keyed, so there is one right answer.
#include <algorithm>
#include <cmath>

#include "proof/problem.h"
#include "proof/sample_law.h"

namespace attune {

Problem<Sample>::Problem(const Case<Sample>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const SampleDesc& d = case_.desc;
  Fill fill(c.seed ^ 0x5a9);
  params.rows = c.rows;
  params.logits = memory.add<float>("logits", DType::f32, params.rows * d.vocab);
  fill.values(params.logits, DType::f32, 0, params.rows * d.vocab, 8);
  // A tie at the top of every third row: the lower id wins.
  for (int64_t r = 1; r < params.rows && d.vocab > 3; r += 3)
    for (int64_t id : {d.vocab - 1, d.vocab / 2, d.vocab / 2 + 1}) params.logits[r * d.vocab + id] = 9;
  logits_.assign(params.logits, params.logits + params.rows * d.vocab);
  if (!d.greedy_only) memory.may_write(params.logits, 0, params.rows * d.vocab);
  for (int64_t r = 0; r < params.rows; ++r) rows_.push_back(draw_law(fill));
  params.row = rows_.data();
  params.token = memory.add<int32_t>("token", DType::i32, params.rows);
  memory.may_write(params.token, 0, params.rows);
  if (fill.one_in(4)) return;
  params.logprob = memory.add<float>("logprob", DType::f32, params.rows);
  memory.may_write(params.logprob, 0, params.rows);
}

SampleRow Problem<Sample>::draw_law(Fill& fill) {
  constexpr int32_t kTopK[] = {0, 1, 5, 50};
  constexpr float kTopP[] = {1, 0.9f, 0.5f}, kMinP[] = {0, 0.05f, 0.3f}, kTemperature[] = {0, 0.7f, 1, 1.5f};
  const SampleDesc& d = case_.desc;
  SampleRow row;
  row.seed = fill.bits();
  row.position = static_cast<uint64_t>(fill.below(5000));
  row.sample_index = static_cast<uint32_t>(fill.below(4));
  if (d.greedy_only) return row;
  const auto ids = [&](const char* name, int64_t count) {
    auto* list = memory.add<int32_t>(name, DType::i32, count);
    for (int64_t i = 0; i < count; ++i) list[i] = static_cast<int32_t>(fill.below(d.vocab));
    return list;
  };
  row.temperature = kTemperature[fill.below(4)];
  row.top_k = kTopK[fill.below(4)];
  row.top_p = kTopP[fill.below(3)];
  row.min_p = kMinP[fill.below(3)];
  row.repetition_penalty = fill.one_in(2) ? 1.0f : 1.3f;
  row.presence_penalty = fill.one_in(2) ? 0.0f : 0.5f;
  row.frequency_penalty = fill.one_in(2) ? 0.0f : 0.25f;
  row.prompt_tokens = fill.below(20);
  row.prompt = ids("prompt", row.prompt_tokens);
  row.output_tokens = fill.below(20);
  row.output = ids("output", row.output_tokens);
  row.num_bias = fill.below(4);
  row.bias_ids = ids("bias_ids", row.num_bias);
  auto* bias = memory.add<float>("bias", DType::f32, row.num_bias);
  fill.scales(bias, row.num_bias, -5, 5);
  row.bias = bias;
  row.num_banned = d.vocab > 8 ? fill.below(3) : 0;
  row.banned = ids("banned", row.num_banned);
  return row;
}

void Problem<Sample>::compare(std::string_view, int64_t, Comparison& out) const {
  const SampleDesc& d = case_.desc;
  std::vector<float> logits = logits_;
  std::vector<int32_t> token(static_cast<size_t>(params.rows), -1);
  SampleParams p = params;
  p.logits = logits.data(), p.token = token.data(), p.logprob = nullptr;
  sample_ref({}, d, p);
  for (int64_t r = 0; r < params.rows; ++r) {
    const auto at = static_cast<size_t>(r);
    // A draw so near to the border of two tokens that rounded weights may fall on either side.
    constexpr double kBorder = 2e-6;
    const SampleRow& law = rows_[at];
    if (!d.greedy_only && law.temperature > 0 && params.token[r] != token[at] &&
        sample_law({logits_.data() + r * d.vocab, static_cast<size_t>(d.vocab)}, law).distance(law, params.token[r]) < kBorder)
      continue;
    out.add(params.token[r], token[at], {}, [&] { return fmt::format("token of row {}", r); });
    if (params.logprob == nullptr || params.token[r] != token[at]) continue;
    const float* z = logits_.data() + r * d.vocab;
    const double top = *std::max_element(z, z + d.vocab);
    double sum = 0;
    for (int64_t i = 0; i < d.vocab; ++i) sum += std::exp(z[i] - top);
    const double want = z[token[at]] - top - std::log(sum);
    // The sum's terms are positive: relative γ_n, typically √n·u where roundings are independent, and eight ulps an exponential, typically two;
    // then the subtractions.
    constexpr double kUlp = 0x1.0p-23;
    const double n = static_cast<double>(d.vocab), ends = kUlp * (std::abs(top) + std::abs(want));
    const double worst = gamma(n) + 8 * kUlp + 2 * ends, typical = std::min(worst, std::sqrt(n) * kUlp / 2 + 2 * kUlp + ends / 2);
    out.add(
        params.logprob[r], want, {worst, typical}, [&] { return fmt::format("log-probability of row {}", r); }, OutputKind::logprobs);
  }
}

}  // namespace attune
