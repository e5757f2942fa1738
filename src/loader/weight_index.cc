#include "loader/weight_index.h"

#include "core/error.h"

namespace attune {
namespace {

void check_shard_name(const std::string& name) {
  const bool plain =
      name.size() > 12 && name.size() <= 255 && name.ends_with(".safetensors") && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
  if (!plain) invalid(kWeightIndex, "shards named by plain file names that end in .safetensors", "'" + printable(name) + "'");
}

}  // namespace

std::map<std::string, std::string> parse_weight_index(const nlohmann::json& index) {
  const nlohmann::json* map = JsonFields(index, kWeightIndex).find("weight_map");
  if (!map || !map->is_object()) invalid(kWeightIndex, "weight_map, an object of tensor names and shards", map ? printable_json(*map) : "nothing");
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, value] : map->items()) {
    if (!value.is_string()) invalid(fmt::format("{}: {}", kWeightIndex, printable(name, 200)), "the file name of a shard", printable_json(value));
    check_shard_name(value.get_ref<const std::string&>());
    shard_of.emplace(name, value.get<std::string>());
  }
  return shard_of;
}

}  // namespace attune
