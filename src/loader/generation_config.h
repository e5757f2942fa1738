#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace attune {

/// What generation_config.json recommends. A member that the file leaves out, or sets to null, is empty.
struct GenerationConfig {
  std::optional<bool> do_sample;
  std::optional<double> temperature;
  std::optional<int64_t> top_k;  ///< 0 or −1: all tokens
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<int64_t> max_new_tokens;
  std::optional<int64_t> min_new_tokens;
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;

  /// Reads the object of the file; a value out of its bounds is InvalidArgument naming the member.
  static GenerationConfig parse(const nlohmann::json& object, const std::string& where = "generation_config.json");
  /// Reads `folder`/generation_config.json; all members are empty if there is no such file.
  static GenerationConfig load(const std::filesystem::path& folder);
};

}  // namespace attune
