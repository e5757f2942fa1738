#include "loader/generation_config.h"

#include <limits>
#include <system_error>

#include "loader/json_file.h"

namespace attune {

GenerationConfig GenerationConfig::parse(const nlohmann::json& object, const std::string& where) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  const JsonFields fields(object, where);
  GenerationConfig c;
  c.do_sample = fields.boolean("do_sample");
  c.temperature = fields.number("temperature", 0, 1e6);
  c.top_k = fields.integer("top_k", -1, kMax);
  c.top_p = fields.number("top_p", 0, 1);
  c.min_p = fields.number("min_p", 0, 1);
  c.repetition_penalty = fields.number("repetition_penalty", 1e-6, 1e6);
  c.max_new_tokens = fields.integer("max_new_tokens", 1, kMax);
  c.min_new_tokens = fields.integer("min_new_tokens", 0, kMax);
  c.bos_token_id = fields.integer("bos_token_id", 0, kMax);
  c.eos_token_ids = fields.integers("eos_token_id", 0, kMax).value_or(std::vector<int64_t>{});
  return c;
}

GenerationConfig GenerationConfig::load(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "generation_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  return parse(read_json_file(path, {.bytes = size_t{4} << 20}));
}

}  // namespace attune
