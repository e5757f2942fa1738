#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "proof/cases.h"
#include "select/desc_text.h"

namespace attune {
namespace {

std::string list_text(const std::vector<int64_t>& values) {
  std::string out;
  for (size_t i = 0; i < values.size();) {
    size_t same = i;
    while (same < values.size() && values[same] == values[i]) ++same;
    out += (out.empty() ? "" : ",") + std::to_string(values[i]) + (same - i > 1 ? fmt::format("*{}", same - i) : "");
    i = same;
  }
  return out;
}

std::vector<int64_t> parse_list(std::string_view key, std::string_view text) {
  constexpr size_t kMostSequences = 65536;
  constexpr int64_t kLongest = int64_t{1} << 24;
  std::vector<int64_t> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    std::string_view item = text.substr(at, comma - at);
    int64_t value = 0, times = 1;
    if (const size_t star = item.find('*'); star != std::string_view::npos) {
      parse_value(key, item.substr(star + 1), times);
      item = item.substr(0, star);
    }
    parse_value(key, item, value);
    if (value < 0 || value > kLongest) bad_value(key, fmt::format("lengths of 0..{}", kLongest), item);
    if (times < 1 || out.size() + static_cast<size_t>(times) > kMostSequences) bad_value(key, fmt::format("1..{} sequences", kMostSequences), text);
    out.insert(out.end(), static_cast<size_t>(times), value);
    at = comma + 1;
  }
  return out;
}

constexpr int64_t kLargestPool = 65536;

constexpr std::string_view rows_key(std::string_view op) { return op == "matmul" ? "m" : "rows"; }

uint64_t parse_seed(std::string_view text) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc{} || end != text.data() + text.size()) bad_value("seed", "0..18446744073709551615", text);
  return seed;
}

}  // namespace

template <class Op>
std::string to_text(const Case<Op>& c) {
  if constexpr (std::is_same_v<Op, Attention>)
    return fmt::format("{} q_lens={} kv_lens={}{}{} seed={}", to_text(c.desc), list_text(c.q_lens), list_text(c.kv_lens),
                       c.pool > 0 ? fmt::format(" pool={}", c.pool) : "", c.contents == Contents::report ? " contents=report" : "", c.seed);
  else
    return fmt::format("{} {}={}{} seed={}", to_text(c.desc), rows_key(Op::kName), c.rows, c.pool > 0 ? fmt::format(" pool={}", c.pool) : "", c.seed);
}

void check_phase(const Case<Attention>& c, std::string_view where) {
  const int64_t longest = *std::max_element(c.q_lens.begin(), c.q_lens.end()), most = c.desc.phase == Phase::decode ? 1 : 32;
  if (c.desc.phase != Phase::prefill && longest > most)
    bad_value(where, fmt::format("at most {} in phase={}", most, to_text(c.desc.phase)), std::to_string(longest));
}

template <class Op>
Case<Op> parse_case(std::string_view text) {
  Case<Op> c;
  std::string desc;
  for (const auto& word : split_desc("case", text)) {
    if (word.key == "seed") {
      c.seed = parse_seed(word.value);
    } else if (std::is_same_v<Op, Attention> && word.key == "q_lens") {
      c.q_lens = parse_list(word.key, word.value);
    } else if (std::is_same_v<Op, Attention> && word.key == "kv_lens") {
      c.kv_lens = parse_list(word.key, word.value);
    } else if (kHasPool<Op> && word.key == "pool") {
      parse_value(word.key, word.value, c.pool);
      if (c.pool < 0 || c.pool > kLargestPool) bad_value(word.key, fmt::format("0..{}", kLargestPool), word.value);
    } else if (std::is_same_v<Op, Attention> && word.key == "contents") {
      if (word.value != "report" && word.value != "varied") bad_value(word.key, "one of {varied, report}", word.value);
      c.contents = word.value == "report" ? Contents::report : Contents::varied;
    } else if (!std::is_same_v<Op, Attention> && word.key == rows_key(Op::kName)) {
      parse_value(word.key, word.value, c.rows);
      if (c.rows < 0 || c.rows > int64_t{1} << 20) bad_value(word.key, "0..1048576", word.value);
    } else {
      desc += (desc.empty() ? "" : " ") + word.key + "=" + word.value;
    }
  }
  c.desc = parse_desc<Op>(desc);
  if constexpr (std::is_same_v<Op, Attention>) {
    if (c.q_lens.empty()) c.q_lens.assign(std::max<size_t>(c.kv_lens.size(), 1), 1);
    if (c.kv_lens.empty()) c.kv_lens = c.q_lens;
    if (c.q_lens.size() != c.kv_lens.size())
      bad_value("kv_lens", fmt::format("as many as q_lens ({})", c.q_lens.size()), std::to_string(c.kv_lens.size()));
    check_phase(c, "q_lens");
  }
  return c;
}

template std::string to_text(const Case<Attention>&);
template Case<Attention> parse_case<Attention>(std::string_view);
template std::string to_text(const Case<KvWrite>&);
template Case<KvWrite> parse_case<KvWrite>(std::string_view);
template std::string to_text(const Case<Matmul>&);
template Case<Matmul> parse_case<Matmul>(std::string_view);
template std::string to_text(const Case<Norm>&);
template Case<Norm> parse_case<Norm>(std::string_view);
template std::string to_text(const Case<Rope>&);
template Case<Rope> parse_case<Rope>(std::string_view);
template std::string to_text(const Case<RopeKvWrite>&);
template Case<RopeKvWrite> parse_case<RopeKvWrite>(std::string_view);
template std::string to_text(const Case<ActivationOp>&);
template Case<ActivationOp> parse_case<ActivationOp>(std::string_view);
template std::string to_text(const Case<Embed>&);
template Case<Embed> parse_case<Embed>(std::string_view);
template std::string to_text(const Case<Sample>&);
template Case<Sample> parse_case<Sample>(std::string_view);

}  // namespace attune
