#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/tensor_view.h"
#include "loader/mapped_file.h"

namespace attune {

/// One entry of a header: what the file says, before anybody asks for a view.
struct SafetensorsEntry {
  std::string_view dtype;       ///< the format's name: "BF16"
  std::vector<uint64_t> shape;  ///< any rank
  uint64_t begin = 0;           ///< bytes from the start of the data, behind the header
  uint64_t end = 0;
};

/// A checked header. Every entry lies inside the file, entries do not overlap and leave no hole.
struct SafetensorsHeader {
  std::unordered_map<std::string, SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
  size_t data_offset = 0;  ///< where the data begin in the file
};

/// Reads and checks the header of a whole file in memory. The verdict is that of the `safetensors` package, which takes the last
/// of tensors or metadata keys of one name. InvalidArgument names the rule that was broken.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, std::string_view where);

/// A safetensors file in memory by mapping.
class Safetensors {
 public:
  static Safetensors open(const std::filesystem::path& path);

  /// The tensor as it lies in the mapping, or nothing if the file has none of that name. A dtype that this program has no type for
  /// and a rank over 4 are errors only here. The data may start at an odd address if the header's length is odd.
  std::optional<TensorView> find(const std::string& name) const;
  /// Names in the order of the data.
  const std::vector<std::string>& names() const { return names_; }
  const SafetensorsHeader& header() const { return header_; }
  const MappedFile& file() const { return file_; }

 private:
  MappedFile file_;
  std::string where_;
  SafetensorsHeader header_;
  std::vector<std::string> names_;
};

}  // namespace attune
