#include "loader/rope_config.h"

#include <cmath>

#include "core/error.h"

namespace attune {

namespace {

using nlohmann::json;

constexpr double kTiny = 1e-6, kHuge = 1e12;
constexpr int64_t kMaxPosition = int64_t{1} << 30;

double required_number(const JsonFields& fields, const char* key, double lo, double hi) {
  const auto value = fields.number(key, lo, hi);
  if (!value) fields.refuse(key, "a number");
  return *value;
}

/// The factor on cosine and sine that the YaRN paper recommends for a context `scale` times as long.
double yarn_mscale(double scale, double mscale) { return scale <= 1 ? 1 : 0.1 * mscale * std::log(scale) + 1; }

void parse_llama3(const JsonFields& fields, RopeConfig& rope) {
  rope.factor = required_number(fields, "factor", kTiny, kHuge);
  rope.low_freq_factor = required_number(fields, "low_freq_factor", kTiny, kHuge);
  rope.high_freq_factor = required_number(fields, "high_freq_factor", kTiny, kHuge);
  if (rope.high_freq_factor <= rope.low_freq_factor)
    fields.refuse("high_freq_factor", fmt::format("more than low_freq_factor, {}", rope.low_freq_factor));
}

void parse_yarn(const JsonFields& fields, int64_t max_position_embeddings, RopeConfig& rope) {
  const double ratio = static_cast<double>(max_position_embeddings) / static_cast<double>(rope.original_max_position_embeddings);
  rope.factor = fields.number("factor", kTiny, kHuge).value_or(ratio);
  rope.beta_fast = fields.number("beta_fast", 0, kHuge).value_or(0);
  rope.beta_slow = fields.number("beta_slow", 0, kHuge).value_or(0);
  if (rope.beta_fast == 0) rope.beta_fast = 32;
  if (rope.beta_slow == 0) rope.beta_slow = 1;
  if (rope.beta_fast < rope.beta_slow) fields.refuse("beta_fast", fmt::format("at least beta_slow, {}", rope.beta_slow));
  rope.truncate = fields.boolean("truncate").value_or(true);
  const double mscale = fields.number("mscale", 0, kHuge).value_or(0);
  const double all_dim = fields.number("mscale_all_dim", 0, kHuge).value_or(0);
  const double recommended =
      mscale != 0 && all_dim != 0 ? yarn_mscale(rope.factor, mscale) / yarn_mscale(rope.factor, all_dim) : yarn_mscale(rope.factor, 1);
  rope.attention_factor = fields.number("attention_factor", 0, kHuge).value_or(recommended);
}

/// One object of parameters; what it leaves out stands at the top of the config.
RopeConfig parse_parameters(const JsonFields& top, const JsonFields& fields, int64_t max_position_embeddings) {
  RopeConfig rope;
  rope.theta = fields.number("rope_theta", kTiny, kHuge).value_or(top.number("rope_theta", kTiny, kHuge).value_or(10000));
  const double partial = fields.number("partial_rotary_factor", 0, 1).value_or(top.number("partial_rotary_factor", 0, 1).value_or(1));
  if (partial != 1) fail(ErrorCode::not_supported, fields.where() + ": partial_rotary_factor", "1", fmt::format("{}", partial));
  const char* type_key = fields.has("rope_type") ? "rope_type" : "type";
  const std::string type = fields.string(type_key).value_or("default");
  if (type == "llama3" || type == "yarn") {
    const char* key = "original_max_position_embeddings";
    const auto inner = fields.integer(key, 1, kMaxPosition);
    rope.original_max_position_embeddings = top.integer(key, 1, kMaxPosition).value_or(inner.value_or(max_position_embeddings));
  }
  if (type == "default") return rope;
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
    rope.factor = required_number(fields, "factor", kTiny, kHuge);
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::llama3;
    parse_llama3(fields, rope);
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    parse_yarn(fields, max_position_embeddings, rope);
  } else {
    fail(ErrorCode::not_supported, fmt::format("{}: {}", fields.where(), type_key), "default, linear, llama3 or yarn", printable(type));
  }
  return rope;
}

}  // namespace

RopeConfig parse_rope(const JsonFields& fields, int64_t max_position_embeddings, std::span<const std::string> layer_kinds) {
  static const json kNothing = json::object();
  const json* scaling = fields.find("rope_scaling");
  const bool old_spelling = scaling && !(scaling->is_object() && scaling->empty());
  const char* key = old_spelling ? "rope_scaling" : "rope_parameters";
  const json* parameters = old_spelling ? scaling : fields.find("rope_parameters");
  const JsonFields flat(parameters ? *parameters : kNothing, fmt::format("{}: {}", fields.where(), key));
  std::optional<RopeConfig> common;
  for (const std::string& kind : layer_kinds) {
    const json* nested = parameters && parameters->contains(kind) ? &(*parameters)[kind] : nullptr;
    const RopeConfig rope = nested ? parse_parameters(fields, JsonFields(*nested, fmt::format("{}.{}", flat.where(), kind)), max_position_embeddings)
                                   : parse_parameters(fields, flat, max_position_embeddings);
    if (common && rope != *common) fail(ErrorCode::not_supported, flat.where(), "the same parameters for every kind of layer", "different ones");
    common = rope;
  }
  return common ? *common : parse_parameters(fields, flat, max_position_embeddings);
}

}  // namespace attune
