#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace attune {

/// A byte-level tokenizer: ids 0..255 are the bytes, 256.. the merges. Its pre-tokenizer is that of GPT-2.
inline nlohmann::json byte_level_json(const std::vector<std::pair<std::string, std::string>>& merges) {
  nlohmann::json vocab;
  int id = 0;
  for (int b = 0; b < 256; ++b) {
    const bool shown = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
    const int c = shown ? b : b <= 32 ? 256 + b : b <= 160 ? 289 + b - 127 : 323;
    std::string character;
    if (c < 128) {
      character += static_cast<char>(c);
    } else {
      character += static_cast<char>(0xc0 | c >> 6);
      character += static_cast<char>(0x80 | (c & 63));
    }
    vocab[character] = b;
    id = b + 1;
  }
  nlohmann::json pairs = nlohmann::json::array();
  for (const auto& [left, right] : merges) {
    pairs.push_back({left, right});
    vocab[left + right] = id++;
  }
  return {{"version", "1.0"},
          {"added_tokens", nlohmann::json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
          {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"vocab", vocab}, {"merges", pairs}}}};
}

/// A SentencePiece-style tokenizer as Llama 2 has it: <unk> <s> </s>, 256 byte tokens (id 3 + byte), then `pieces`.
inline nlohmann::json sentencepiece_json(const std::vector<std::string>& pieces, const std::vector<std::pair<std::string, std::string>>& merges) {
  nlohmann::json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  int id = 3;
  for (int b = 0; b < 256; ++b) {
    const char* digits = "0123456789ABCDEF";
    vocab[std::string("<0x") + digits[b / 16] + digits[b % 16] + ">"] = id++;
  }
  for (const std::string& p : pieces) vocab[p] = id++;
  nlohmann::json lines = nlohmann::json::array();
  for (const auto& [left, right] : merges) lines.push_back(left + " " + right);
  nlohmann::json added = nlohmann::json::array();
  for (const char* name : {"<unk>", "<s>", "</s>"}) {
    added.push_back({{"id", vocab[name]},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const nlohmann::json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  const nlohmann::json back = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
  const nlohmann::json special = {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}};
  const nlohmann::json single = {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
  return {{"added_tokens", added},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", "▁"}}, replace}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", {{"type", "TemplateProcessing"}, {"single", single}, {"pair", single}, {"special_tokens", special}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders", {back, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model", {{"type", "BPE"}, {"unk_token", "<unk>"}, {"fuse_unk", true}, {"byte_fallback", true}, {"vocab", vocab}, {"merges", lines}}}};
}

}  // namespace attune
