#include "loader/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

#include "core/error.h"

namespace attune {

namespace {

constexpr std::array<std::pair<std::string_view, DType>, 13> kViewable{{{"F32", DType::f32},
                                                                        {"F16", DType::f16},
                                                                        {"BF16", DType::bf16},
                                                                        {"F8_E4M3", DType::f8_e4m3},
                                                                        {"F8_E4M3FNUZ", DType::f8_e4m3fnuz},
                                                                        {"F8_E5M2", DType::f8_e5m2},
                                                                        {"I8", DType::i8},
                                                                        {"U8", DType::u8},
                                                                        {"I16", DType::i16},
                                                                        {"I32", DType::i32},
                                                                        {"I64", DType::i64},
                                                                        {"F64", DType::f64},
                                                                        {"BOOL", DType::boolean}}};

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors opened;
  opened.where_ = printable(path.filename().string());
  opened.file_ = MappedFile::open(path);
  opened.header_ = parse_safetensors(opened.file_.bytes(), opened.where_);
  const auto& entries = opened.header_.entries;
  for (const auto& [name, entry] : entries) opened.names_.push_back(name);
  std::sort(opened.names_.begin(), opened.names_.end(), [&](const std::string& a, const std::string& b) {
    const uint64_t at_a = entries.at(a).begin, at_b = entries.at(b).begin;
    return std::tie(at_a, a) < std::tie(at_b, b);
  });
  return opened;
}

std::optional<TensorView> Safetensors::find(const std::string& name) const {
  const auto it = header_.entries.find(name);
  if (it == header_.entries.end()) return std::nullopt;
  const SafetensorsEntry& entry = it->second;
  const auto place = [&] { return fmt::format("{}: {}", where_, printable(name, 200)); };
  const auto type = std::find_if(kViewable.begin(), kViewable.end(), [&](const auto& known) { return known.first == entry.dtype; });
  if (type == kViewable.end()) fail(ErrorCode::not_supported, place(), "a dtype of this program", entry.dtype);
  TensorView view;
  view.dtype = type->second;
  if (entry.shape.size() > view.shape.dims.size())
    fail(ErrorCode::not_supported, place(), "at most 4 dimensions", fmt::format("{}", entry.shape.size()));
  for (uint64_t extent : entry.shape) {
    if (extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      fail(ErrorCode::not_supported, place(), "63-bit extents", fmt::format("{}", extent));
    view.shape.dims[static_cast<size_t>(view.shape.rank++)] = static_cast<int64_t>(extent);
  }
  view.data = file_.bytes().data() + header_.data_offset + entry.begin;
  return view;
}

}  // namespace attune
