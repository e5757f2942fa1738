#include "engine/stop_rules.h"

#include <algorithm>

namespace attune {
namespace {

/// Cuts the text at the first stop string that lies past `from`; true if there is one.
bool cut_at_stop(Sequence& s, size_t from) {
  const SamplingParams& p = s.request->sampling();
  size_t best = std::string::npos;
  const std::string* found = nullptr;
  for (const std::string& stop : p.stop) {
    const size_t start = from >= stop.size() - 1 ? from - (stop.size() - 1) : 0;
    const size_t at = s.completion.text.find(stop, start);
    if (at < best) best = at, found = &stop;
  }
  if (!found) return false;
  s.completion.text.resize(best + (p.include_stop_str_in_output ? found->size() : 0));
  s.completion.finish_reason = FinishReason::stop;
  s.completion.stop_reason = *found;
  return true;
}

/// Length of the longest end of the text that is the beginning of a stop string.
size_t held_back(const Sequence& s) {
  const std::string_view text = s.completion.text;
  size_t held = 0;
  for (const std::string& stop : s.request->sampling().stop) {
    for (size_t n = std::min(stop.size() - 1, text.size()); n > held; --n) {
      if (text.substr(text.size() - n) != std::string_view(stop).substr(0, n)) continue;
      held = n;
      break;
    }
  }
  return held;
}

}  // namespace

void StopRules::append(Sequence& s, int32_t token) const {
  const SamplingParams& p = s.request->sampling();
  s.tokens.push_back(token);
  s.completion.token_ids.push_back(token);
  const int64_t produced = s.length() - s.request->prompt_tokens;
  const bool is_eos = !p.ignore_eos && std::find(eos_ids.begin(), eos_ids.end(), token) != eos_ids.end();
  const bool is_stop = std::find(p.stop_token_ids.begin(), p.stop_token_ids.end(), token) != p.stop_token_ids.end();
  const bool may_stop = produced >= p.min_tokens;
  if (s.decoder) {
    const size_t before = s.completion.text.size();
    s.completion.text += s.decoder->push(token);
    const bool last = (may_stop && (is_eos || is_stop)) || produced >= p.max_tokens || s.length() >= max_model_len;
    if (last) s.completion.text += s.decoder->flush();
    if (!p.stop.empty() && may_stop && cut_at_stop(s, before)) return;
  }
  if (may_stop && (is_eos || is_stop)) {
    s.completion.finish_reason = FinishReason::stop;
    if (is_stop) s.completion.stop_reason = std::to_string(token);
  } else if (produced >= p.max_tokens || s.length() >= max_model_len) {
    s.completion.finish_reason = FinishReason::length;
  }
}

std::string_view StopRules::take_certain_text(Sequence& s) {
  const size_t held = s.finished() ? 0 : held_back(s);
  size_t certain = s.completion.text.size() - held;
  // A stop string may begin inside a character: never hand out half of one.
  while (certain > s.emitted && certain < s.completion.text.size() && (static_cast<unsigned char>(s.completion.text[certain]) & 0xc0) == 0x80)
    --certain;
  if (certain <= s.emitted) return {};
  const std::string_view out = std::string_view(s.completion.text).substr(s.emitted, certain - s.emitted);
  s.emitted = certain;
  return out;
}

}  // namespace attune
