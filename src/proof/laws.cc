#include "proof/laws.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "proof/call.h"
#include "proof/fill.h"
#include "proof/sample_law.h"

namespace attune {
namespace {

constexpr int64_t kVocab = 61;
constexpr int64_t kRowsACall = 4096;

struct Law {
  std::string_view name;
  SampleRow row;
};

/// What the laws have in common: the logits, the lists that rows point to, and the tensors of a call.
struct Setting {
  explicit Setting(uint64_t seed) {
    Fill fill(seed ^ 0x1a35);
    logits.resize(kVocab);
    fill.values(logits.data(), DType::f32, 0, kVocab, 3);
    // Tokens of the lists below that come often, so that a penalty of one of them shows: in the output thrice, twice and once; in the prompt.
    logits[3] = 4, logits[7] = 3.5f, logits[11] = 3, logits[2] = 3;
    params.logits = memory.add<float>("logits", DType::f32, kRowsACall * kVocab);
    params.token = memory.add<int32_t>("token", DType::i32, kRowsACall);
  }
  template <class T>
  T* keep(const char* name, DType dtype, std::initializer_list<T> values) {
    T* list = memory.add<T>(name, dtype, static_cast<int64_t>(values.size()));
    std::copy(values.begin(), values.end(), list);
    return list;
  }
  Memory memory{Guard::slack};
  SampleParams params;
  std::vector<float> logits;
  const int32_t* prompt = keep<int32_t>("prompt", DType::i32, {1, 2, 3, 5, 8, 13, 21, 34, 55, 2});
  const int32_t* output = keep<int32_t>("output", DType::i32, {3, 3, 3, 7, 11, 60, 0, 7});
  const int32_t* bias_ids = keep<int32_t>("bias_ids", DType::i32, {4, 9, 17});
  const int32_t* banned = keep<int32_t>("banned", DType::i32, {6, 10});
  const float* bias = keep<float>("bias", DType::f32, {2.5f, -3, 1});
};

std::vector<Law> laws_of(const Setting& s) {
  SampleRow plain;
  plain.temperature = 1;
  SampleRow penalties = plain;
  penalties.prompt = s.prompt, penalties.prompt_tokens = 10;
  penalties.output = s.output, penalties.output_tokens = 8;
  SampleRow repetition = penalties, presence = penalties, frequency = penalties;
  repetition.repetition_penalty = 1.4f, presence.presence_penalty = 0.8f, frequency.frequency_penalty = 0.5f;
  SampleRow biased = plain;
  biased.bias_ids = s.bias_ids, biased.bias = s.bias, biased.num_bias = 3;
  biased.banned = s.banned, biased.num_banned = 2;
  SampleRow all = repetition;
  all.presence_penalty = 0.4f, all.frequency_penalty = 0.2f, all.temperature = 1.3f, all.top_k = 25, all.top_p = 0.9f, all.min_p = 0.03f;
  all.bias_ids = biased.bias_ids, all.bias = biased.bias, all.num_bias = biased.num_bias;
  all.banned = biased.banned, all.num_banned = biased.num_banned;
  std::vector<Law> out = {{"temperature 1", plain}, {"temperature 0.6", plain}, {"temperature 2", plain}, {"top_k 7", plain},
                          {"top_k 1", plain},       {"top_p 0.8", plain},       {"top_p 0.3", plain},     {"min_p 0.1", plain}};
  out[1].row.temperature = 0.6f, out[2].row.temperature = 2, out[3].row.top_k = 7, out[4].row.top_k = 1;
  out[5].row.top_p = 0.8f, out[6].row.top_p = 0.3f, out[7].row.min_p = 0.1f;
  for (const auto& [name, row] : {Law{"repetition penalty 1.4", repetition}, Law{"presence penalty 0.8", presence},
                                  Law{"frequency penalty 0.5", frequency}, Law{"bias and bans", biased}, Law{"all together", all}})
    out.push_back({name, row});
  return out;
}

/// The probability of each token.
std::vector<double> exact_law(const std::vector<float>& logits, const SampleRow& r) {
  const SampleLaw law = sample_law(logits, r);
  std::vector<double> out(logits.size(), 0);
  for (const auto& [token, weight] : law.kept) out[static_cast<size_t>(token)] = weight / law.total;
  return out;
}

/// Counts of `draws` tokens whose keys differ in position, every fourth call in sample index, every fifth in seed.
std::vector<int64_t> draw_counts(const SampleKernel& kernel, Setting& s, const SampleRow& law, int64_t draws, uint64_t seed, const LaunchSite& site) {
  const SampleDesc desc{.vocab = kVocab, .greedy_only = false};
  std::vector<SampleRow> rows(static_cast<size_t>(kRowsACall), law);
  const Limits limits{.tokens = kRowsACall, .sequences = kRowsACall};
  std::unique_ptr<DeviceTwin> twin;
  if (site.device) twin = std::make_unique<DeviceTwin>(*site.device, s.memory);
  DeviceTwin* const twins[] = {twin.get()};
  std::vector<int64_t> counts(static_cast<size_t>(kVocab) + 1, 0);
  for (int64_t done = 0, call = 0; done < draws; ++call) {
    const int64_t count = std::min(kRowsACall, draws - done);
    for (int64_t i = 0; i < count; ++i) {
      std::copy(s.logits.begin(), s.logits.end(), s.params.logits + i * kVocab);
      SampleRow& row = rows[static_cast<size_t>(i)];
      row.seed = seed, row.sample_index = 0, row.position = static_cast<uint64_t>(done);
      if (call % 4 == 1)
        row.sample_index = static_cast<uint32_t>(i);
      else if (call % 5 == 2)
        row.seed = seed + static_cast<uint64_t>(i) + 1;
      else
        row.position = static_cast<uint64_t>(done + i);
    }
    s.params.rows = count, s.params.row = rows.data();
    if (twin) twin->upload();
    Call<Sample>(kernel, desc, s.params, limits, site, std::span(twins, twin ? 1 : 0)).launch(0xff);
    if (twin) twin->download();
    for (int64_t i = 0; i < count; ++i) {
      const int32_t id = s.params.token[i];
      ++counts[static_cast<size_t>(id >= 0 && id < kVocab ? id : kVocab)];
    }
    done += count;
  }
  return counts;
}

LawResult judge(std::string_view name, const std::vector<double>& law, const std::vector<int64_t>& counts, int64_t draws) {
  constexpr double kLeastExpected = 8;  // rarer outcomes share a cell
  LawResult out{.law = std::string(name), .draws = draws};
  if (counts.back() > 0) out.text = fmt::format("{} draws gave ids outside the vocabulary", counts.back());
  double rare_expected = 0, rare_seen = 0, cells = 0;
  const auto add_cell = [&](double expected, double seen) { out.chi_square += (seen - expected) * (seen - expected) / expected, ++cells; };
  for (size_t id = 0; id < law.size(); ++id) {
    const double expected = law[id] * static_cast<double>(draws), seen = static_cast<double>(counts[id]);
    out.outcomes += law[id] > 0;
    if (law[id] == 0 && counts[id] > 0) out.text = fmt::format("token {} came {} times, the law excludes it", id, counts[id]);
    if (expected >= kLeastExpected)
      add_cell(expected, seen);
    else
      rare_expected += expected, rare_seen += seen;
  }
  if (rare_expected > 0.5) add_cell(rare_expected, rare_seen);
  out.limit = chi_square_limit(std::max(cells - 1, 1.0));
  if (out.text.empty() && !(out.chi_square <= out.limit))
    out.text = fmt::format("chi-square {:.1f} over {} cells, expected at most {:.1f}", out.chi_square, cells, out.limit);
  return out;
}

}  // namespace

double chi_square_limit(double freedom) {
  constexpr double kQuantile = 5.997807;  // of the normal law at 1 − 10⁻⁹
  const double a = 2 / (9 * freedom), root = 1 - a + kQuantile * std::sqrt(a);
  return freedom * root * root * root;
}

std::vector<LawResult> check_laws(const SampleKernel& kernel, int64_t draws, uint64_t seed, const LaunchSite& site) {
  Setting setting(seed);
  std::vector<LawResult> out;
  for (const Law& law : laws_of(setting))
    out.push_back(judge(law.name, exact_law(setting.logits, law.row), draw_counts(kernel, setting, law.row, draws, seed, site), draws));
  return out;
}

}  // namespace attune
