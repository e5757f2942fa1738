#pragma once

#include <map>
#include <string>

#include "loader/json_file.h"

namespace attune {

inline constexpr const char* kWeightIndex = "model.safetensors.index.json";
inline constexpr JsonLimits kWeightIndexLimits{.depth = 16, .unique_keys = true};

/// Tensor -> the file that holds it, from the content of a weight index. Each file is named by a plain name that ends in .safetensors: an index
/// must not lead out of its folder.
std::map<std::string, std::string> parse_weight_index(const nlohmann::json& index);

}  // namespace attune
