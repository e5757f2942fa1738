#pragma once

// A golden model whose checkpoint also stores scales of 8-bit keys and values.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attune::test {

/// An f32 tensor: a scalar if it holds one value, else a vector.
struct ScaleTensor {
  std::string name;
  std::vector<float> values;
};

/// A safetensors file: what `header` and `data` hold already, and the tensors.
inline void write_with(const std::filesystem::path& file, nlohmann::json header, std::string data, const std::vector<ScaleTensor>& tensors) {
  for (const ScaleTensor& t : tensors) {
    const size_t begin = data.size(), size = t.values.size() * sizeof(float);
    data.append(reinterpret_cast<const char*>(t.values.data()), size);
    const auto shape = t.values.size() == 1 ? nlohmann::json::array() : nlohmann::json::array({t.values.size()});
    header[t.name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, begin + size}}};
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << text << data;
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Copies the folder of a model to `to` and adds the tensors to its model.safetensors, or as a shard more.
inline void copy_with_scales(const std::filesystem::path& from, const std::filesystem::path& to, const std::vector<ScaleTensor>& tensors) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to);
  if (const auto index_file = to / "model.safetensors.index.json"; std::filesystem::exists(index_file)) {
    auto index = nlohmann::json::parse(bytes_of(index_file));
    for (const ScaleTensor& t : tensors) index["weight_map"][t.name] = "scales.safetensors";
    std::ofstream(index_file) << index;
    return write_with(to / "scales.safetensors", nlohmann::json::object(), "", tensors);
  }
  const std::string bytes = bytes_of(from / "model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  write_with(to / "model.safetensors", nlohmann::json::parse(bytes.substr(sizeof length, length)), bytes.substr(sizeof length + length), tensors);
}

/// Scales that differ from layer to layer and, with `heads` above 1, from head to head.
inline std::vector<ScaleTensor> some_scales(int layers, size_t heads) {
  std::vector<ScaleTensor> out;
  for (int layer = 0; layer < layers; ++layer)
    for (const std::string side : {"k", "v"}) {
      ScaleTensor t{"model.layers." + std::to_string(layer) + ".self_attn." + side + "_scale", {}};
      for (size_t h = 0; h < heads; ++h)
        t.values.push_back((side == "k" ? 0.0067f : 0.0011f) * static_cast<float>(1 + layer) / static_cast<float>(h + 1));
      out.push_back(t);
    }
  return out;
}

}  // namespace attune::test
