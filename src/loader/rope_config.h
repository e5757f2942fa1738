#pragma once

#include "loader/json_file.h"
#include "loader/model_config.h"

namespace attune {

/// Reads the position embedding of a config in either spelling: `rope_theta` beside `rope_scaling`, or `rope_parameters`, which may hold
/// one object a kind of layer if these agree. `layer_kinds` are the kinds that the layers have ("full_attention", …).
RopeConfig parse_rope(const JsonFields& fields, int64_t max_position_embeddings, std::span<const std::string> layer_kinds);

}  // namespace attune
