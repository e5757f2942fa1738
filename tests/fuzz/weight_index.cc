// model.safetensors.index.json: which file holds a tensor.
#include "loader/weight_index.h"

#include <filesystem>

#include "harness.h"

namespace attune::fuzz {

void check(std::string_view input) {
  std::map<std::string, std::string> shard_of;
  if (!accepted([&] { shard_of = parse_weight_index(parse_json(input, kWeightIndex, kWeightIndexLimits)); })) return;
  const std::filesystem::path folder = "/models/m";
  for (const auto& [name, shard] : shard_of) {
    const std::filesystem::path path = (folder / shard).lexically_normal();
    promise(path.parent_path() == folder && path.extension() == ".safetensors", "a shard lies in the folder", shard);
    promise(path.string().size() == std::char_traits<char>::length(path.c_str()), "a shard's name is a whole C string", shard);
  }
  const std::string text = nlohmann::json{{"weight_map", shard_of}}.dump();
  promise(parse_weight_index(parse_json(text, kWeightIndex, kWeightIndexLimits)) == shard_of, "an index written anew reads the same", text);
}

}  // namespace attune::fuzz
