// tokenizer.json, zero byte, tokenizer_config.json, zero byte, text. What has no zero byte is tried as text of two fixed tokenizers, too.
#include "attune/tokenizer.h"

#include "../unit/tokenizer/tokenizer_json_text.h"
#include "core/utf8.h"
#include "harness.h"

namespace attune::fuzz {
namespace {

using Loaded = std::shared_ptr<const Tokenizer>;

std::string streamed(const Loaded& t, std::span<const int32_t> ids, bool skip_special) {
  StreamDecoder decoder(t, skip_special);
  std::string out;
  for (const int32_t id : ids) {
    const std::string piece = decoder.push(id);
    promise(utf8_valid(piece), "each piece is UTF-8", piece);
    out += piece;
  }
  return out + decoder.flush();
}

void check_ids(const Loaded& t, std::span<const int32_t> ids) {
  for (const int32_t id : ids) promise(id >= 0 && id < t->vocab_size(), "ids are below vocab_size", std::to_string(id));
  for (const bool skip : {false, true}) {
    const std::string text = t->decode(ids, skip);
    promise(utf8_valid(text), "decoded text is UTF-8", text);
    promise(streamed(t, ids, skip) == text, "pieces joined are the whole", text);
  }
}

void check_text(const Loaded& t, std::string_view text) {
  for (const bool special : {false, true}) {
    std::vector<int32_t> ids;
    const bool taken = accepted([&] { ids = t->encode(text, {.add_special_tokens = special, .parse_special = special}); });
    if (!taken)
      promise(accepted([&] { ids = t->encode(text, {.parse_special = special, .lossy = true}); }) || utf8_valid(text), "lossy takes any bytes");
    check_ids(t, ids);
  }
}

/// A byte-level tokenizer without normaliser gives back what it was given.
void check_fixed(std::string_view text) {
  static const Loaded bytes = Tokenizer::from_json(
      byte_level_json({{"a", "b"}, {"ab", "c"}, {"\xc4\xa0", "a"}, {"1", "2"}, {"t", "h"}, {"th", "e"}, {"\xc4\xa0", "the"}}).dump());
  static const Loaded pieces = Tokenizer::from_json(sentencepiece_json({"▁", "a", "b", "ab", "▁a"}, {{"a", "b"}, {"▁", "a"}}).dump());
  std::vector<int32_t> ids;
  if (accepted([&] { ids = bytes->encode(text, false); })) promise(bytes->decode(ids, false) == text, "decode(encode(x)) == x", text);
  check_text(bytes, text);
  check_text(pieces, text);
}

}  // namespace

void check(std::string_view input) {
  std::string_view text = input;
  const std::string_view json = take_part(text), config = take_part(text);
  if (json.size() == input.size()) return check_fixed(input);
  Loaded t;
  if (!accepted([&] { t = Tokenizer::from_json(json, config); })) return;
  check_text(t, text);
  const int32_t last = t->vocab_size() - 1;
  const std::vector<int32_t> some = {0, 1, last, last / 2, 2, 0};
  check_ids(t, std::span(some).first(last >= 2 ? 6 : 0));
  for (const int32_t id : {0, last, last / 2}) {
    if (id < 0 || t->token(id).empty()) continue;
    const auto found = t->id(t->token(id));
    promise(found && t->token(*found) == t->token(id), "a token is found by its name", t->token(id));
  }
}

}  // namespace attune::fuzz
