#include "attune/tokenizer.h"

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/bpe.h"
#include "loader/detokenize.h"
#include "loader/pretokenize.h"
#include "loader/tokenizer_added.h"
#include "loader/tokenizer_normalize.h"
#include "loader/tokenizer_template.h"
#include "loader/tokenizer_unicode.h"

namespace attune {
namespace {

const nlohmann::json kNull;

JsonNode component(const nlohmann::json& root, const char* key) {
  const auto it = root.find(key);
  return {it != root.end() ? *it : kNull, fmt::format("tokenizer.json: {}", key)};
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) fail(ErrorCode::io_error, path.string(), "a readable file", error.message());
  if (size > kMaxTokenizerBytes) invalid(path.string(), fmt::format("at most {} bytes", kMaxTokenizerBytes), std::to_string(size));
  std::string text(size, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(text.data(), static_cast<std::streamsize>(size));
  if (!in) fail(ErrorCode::io_error, path.string(), fmt::format("{} readable bytes", size), std::to_string(in.gcount()));
  return text;
}

Bpe read_model(TokenizerFile&& file) {
  const JsonNode model = component(file.root, "model");
  if (!model.is_object()) invalid(model.path(), "an object", "none");
  if (model.has("type") && model.at("type").text() != "BPE") unknown_component(model, "BPE");
  return {file, model};
}

/// A token's name in tokenizer_config.json: text, or an object with its content.
std::string named_token(const nlohmann::json& config, const char* key) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null()) return {};
  const JsonNode node(*it, fmt::format("tokenizer_config.json: {}", key));
  return node.is_object() ? node.at("content").text() : node.text();
}

}  // namespace

struct Tokenizer::Parts {
  Parts(TokenizerFile&& file, const nlohmann::json& config)
      : normalizer(make_normalizer(component(file.root, "normalizer"))),
        pre_tokenizer(make_pre_tokenizer(component(file.root, "pre_tokenizer"))),
        post(component(file.root, "post_processor")),
        decoder(component(file.root, "decoder")),
        added(read_added(file.root, normalizer.get())),
        bpe(read_model(std::move(file))),
        bos(named_token(config, "bos_token")),
        eos(named_token(config, "eos_token")),
        unk(named_token(config, "unk_token")),
        pad(named_token(config, "pad_token")) {
    tokens = bpe.tokens();
    shown = tokens;
    special.resize(tokens.size());
    for (const AddedToken& t : added.tokens()) add(t);
    if (tokens.empty()) invalid("tokenizer.json", "at least one token", "none");
    post.check(static_cast<int32_t>(tokens.size()));
  }

  static AddedTokens read_added(const nlohmann::json& root, const Normalizer* normalizer) {
    const JsonNode list = component(root, "added_tokens");
    return list.is_null() ? AddedTokens() : AddedTokens(list, normalizer);
  }

  void add(const AddedToken& t) {
    const auto i = static_cast<size_t>(t.id);
    const std::string where = fmt::format("tokenizer.json: added_tokens \"{}\"", printable(t.content));
    if (i >= tokens.size()) {
      const size_t known = bpe.tokens().size() + added.tokens().size();
      if (t.id > largest_token_id(known)) invalid(where, fmt::format("an id of at most {}", largest_token_id(known)), std::to_string(t.id));
      tokens.resize(i + 1);
      shown.resize(i + 1);
      special.resize(i + 1);
    }
    const auto in_model = bpe.find(t.content);
    if (in_model && *in_model != t.id) invalid(where, fmt::format("id {}, as in the vocabulary", *in_model), std::to_string(t.id));
    if (!tokens[i].empty() && tokens[i] != t.content) {
      invalid(where, "an id of its own", fmt::format("{}, the id of \"{}\"", t.id, printable(tokens[i])));
    }
    const auto [entry, fresh] = added_ids.emplace(t.content, t.id);
    if (!fresh && entry->second != t.id) invalid(where, "one id", fmt::format("{} and {}", entry->second, t.id));
    tokens[i] = t.content;
    shown[i] = t.shown;
    special[i] = t.special;
  }

  /// Encodes text that holds no added token but those looked for after normalisation.
  void encode_part(std::string_view text, bool at_start, bool parse_special, Bpe::Encoder& encoder, std::vector<int32_t>& out) const {
    NormalText normal{std::string(text), at_start};
    if (normalizer) normalizer->apply(normal);
    for (const AddedTokens::Part& part : added.split(normal.text, true, parse_special)) {
      if (part.id >= 0) {
        out.push_back(part.id);
        continue;
      }
      Pieces pieces;
      pieces.list.push_back({std::string_view(normal.text).substr(part.begin, part.end - part.begin), normal.at_start && part.begin == 0});
      if (pre_tokenizer) pre_tokenizer->apply(pieces);
      for (const Piece& piece : pieces.list) encoder.encode(piece.text, out);
    }
  }

  /// The text that `id` contributes to a decoding; null if it contributes none.
  const std::string* shown_token(int32_t id, bool skip_special) const {
    if (id < 0) invalid("tokenizer: decode", "ids from 0", std::to_string(id));
    const auto i = static_cast<size_t>(id);
    return i >= shown.size() || shown[i].empty() || (skip_special && special[i]) ? nullptr : &shown[i];
  }

  std::unique_ptr<const Normalizer> normalizer;
  std::unique_ptr<const PreTokenizer> pre_tokenizer;
  TokenTemplate post;
  Decoder decoder;
  AddedTokens added;
  Bpe bpe;
  std::string bos, eos, unk, pad;
  std::vector<std::string> tokens;  // by id; empty where an id names no token
  std::vector<std::string> shown;   // the same as decoding shows them
  std::vector<bool> special;
  std::unordered_map<std::string, int32_t> added_ids;
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::filesystem::path& folder) {
  const auto config = folder / "tokenizer_config.json";
  std::error_code unreadable;  // then read_file says why
  const bool has_config = std::filesystem::exists(config, unreadable) || unreadable;
  return from_json(read_file(folder / "tokenizer.json"), has_config ? read_file(config) : std::string());
}

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json) {
  const nlohmann::json config =
      tokenizer_config_json.empty() ? nlohmann::json::object() : parse_json_tree(tokenizer_config_json, "tokenizer_config.json");
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::make_unique<const Parts>(parse_tokenizer_file(tokenizer_json), config)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  return encode(text, EncodeOptions{.add_special_tokens = add_special_tokens});
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::string repaired;
  if (const size_t good = utf8_valid_prefix(text); good != text.size()) {
    if (!options.lossy) {
      invalid("tokenizer", "UTF-8", fmt::format("byte 0x{:02x} at offset {}", static_cast<unsigned char>(text[good]), good));
    }
    repaired = utf8_repaired(text);
    text = repaired;
  }
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 4 + 8);
  Bpe::Encoder encoder(parts_->bpe);
  for (const AddedTokens::Part& part : parts_->added.split(text, false, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      parts_->encode_part(text.substr(part.begin, part.end - part.begin), part.begin == 0, options.parse_special, encoder, ids);
    }
  }
  return options.add_special_tokens ? parts_->post.apply(std::move(ids)) : ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  DecodeChain chain(parts_->decoder);
  std::string out;
  for (const int32_t id : ids) {
    if (const std::string* token = parts_->shown_token(id, skip_special_tokens)) chain.push(*token, out);
  }
  chain.finish(out);
  return out;
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(parts_->tokens.size()); }

const std::string& Tokenizer::token(int32_t id) const {
  static const std::string kNone;
  return id >= 0 && id < vocab_size() ? parts_->tokens[static_cast<size_t>(id)] : kNone;
}

std::optional<int32_t> Tokenizer::id(std::string_view token) const {
  const auto it = parts_->added_ids.find(std::string(token));
  return it != parts_->added_ids.end() ? std::optional(it->second) : parts_->bpe.find(token);
}

bool Tokenizer::is_special(int32_t id) const { return id >= 0 && id < vocab_size() && parts_->special[static_cast<size_t>(id)]; }

const std::string& Tokenizer::bos_token() const { return parts_->bos; }
const std::string& Tokenizer::eos_token() const { return parts_->eos; }
const std::string& Tokenizer::unk_token() const { return parts_->unk; }
const std::string& Tokenizer::pad_token() const { return parts_->pad; }

struct StreamDecoder::State {
  explicit State(const Decoder& decoder) : chain(decoder) {}
  DecodeChain chain;
};

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), state_(std::make_unique<State>(tokenizer_->parts_->decoder)), skip_special_tokens_(skip_special_tokens) {}

StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::push(int32_t id) {
  std::string out;
  if (const std::string* token = tokenizer_->parts_->shown_token(id, skip_special_tokens_)) state_->chain.push(*token, out);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  state_->chain.finish(out);
  return out;
}

}  // namespace attune
