#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

/// How `Tokenizer::encode` treats its input.
struct EncodeOptions {
  bool add_special_tokens = true;  ///< apply the folder's template, such as a leading <s>
  bool parse_special = true;       ///< recognise special tokens written in the text; false reads them as ordinary text
  bool lossy = false;              ///< replace broken UTF-8 by U+FFFD instead of refusing it
};

/// Text to token ids and back, as the `tokenizer.json` of a Hugging Face folder says. Immutable; safe to share between threads.
class Tokenizer {
 public:
  /// Reads `tokenizer.json` and, where present, `tokenizer_config.json` of a model folder.
  static std::shared_ptr<const Tokenizer> load(const std::filesystem::path& folder);
  /// The same from the text of the two files; the second may be empty.
  static std::shared_ptr<const Tokenizer> from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json = {});
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Token ids of `text`. Broken UTF-8 is an InvalidArgument error that names the byte and its offset.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens) const;
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options) const;

  /// Text of `ids`, always valid UTF-8. Ids that name no token give nothing; a negative id is an InvalidArgument error.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  /// One more than the largest id (an embedding needs at least this many rows).
  int32_t vocab_size() const;
  /// The token as it stands in the file ("Ġthe", "<0x0A>"); empty if `id` names none.
  const std::string& token(int32_t id) const;
  /// The id of a token as it stands in the file.
  std::optional<int32_t> id(std::string_view token) const;
  /// True for the tokens that `skip_special_tokens` leaves out.
  bool is_special(int32_t id) const;

  /// Tokens that `tokenizer_config.json` names; empty where it names none.
  const std::string& bos_token() const;
  const std::string& eos_token() const;
  const std::string& unk_token() const;
  const std::string& pad_token() const;

 private:
  friend class StreamDecoder;
  struct Parts;
  explicit Tokenizer(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

/// Detokenises one id after another. The pieces that `push` and `flush` return, joined, equal `decode()` of all the ids, and
/// each is valid UTF-8: a character whose bytes are still to come is held back.
class StreamDecoder {
 public:
  StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens);
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();

  /// The text that is certain once `id` has come, often empty or more than one token's.
  std::string push(int32_t id);
  /// What was held back; an unfinished character becomes U+FFFD. The decoder is then as new.
  std::string flush();

 private:
  struct State;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<State> state_;
  bool skip_special_tokens_;
};

}  // namespace attune
