#include "core/dtype.h"

#include <array>
#include <utility>

namespace attune {

std::optional<DType> parse_dtype(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(DType::boolean); ++i)
    if (to_text(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  constexpr std::array<std::pair<std::string_view, DType>, 12> kAliases{{{"float32", DType::f32},
                                                                         {"float", DType::f32},
                                                                         {"float16", DType::f16},
                                                                         {"half", DType::f16},
                                                                         {"bfloat16", DType::bf16},
                                                                         {"fp8", DType::f8_e4m3},
                                                                         {"fp8_e4m3", DType::f8_e4m3},
                                                                         {"float8_e4m3fn", DType::f8_e4m3},
                                                                         {"float8_e4m3fnuz", DType::f8_e4m3fnuz},
                                                                         {"float8_e5m2", DType::f8_e5m2},
                                                                         {"fp8_e5m2", DType::f8_e5m2},
                                                                         {"float64", DType::f64}}};
  for (const auto& [alias, dtype] : kAliases)
    if (alias == name) return dtype;
  return std::nullopt;
}

float load_as_float(const void* data, DType t, int64_t i) {
  switch (t) {
    case DType::f32: return static_cast<const float*>(data)[i];
    case DType::f64: return static_cast<float>(static_cast<const double*>(data)[i]);
    case DType::f16: return to_float(static_cast<const f16_t*>(data)[i]);
    case DType::bf16: return to_float(static_cast<const bf16_t*>(data)[i]);
    case DType::f8_e4m3: return to_float(static_cast<const f8_e4m3_t*>(data)[i]);
    case DType::f8_e4m3fnuz: return to_float(static_cast<const f8_e4m3fnuz_t*>(data)[i]);
    case DType::f8_e5m2: return to_float(f16_t{static_cast<uint16_t>(static_cast<const uint8_t*>(data)[i] << 8)});
    case DType::i8: return static_cast<const int8_t*>(data)[i];
    case DType::i16: return static_cast<const int16_t*>(data)[i];
    case DType::i32: return static_cast<float>(static_cast<const int32_t*>(data)[i]);
    case DType::i64: return static_cast<float>(static_cast<const int64_t*>(data)[i]);
    case DType::u8:
    case DType::boolean: return static_cast<const uint8_t*>(data)[i];
  }
  return 0;
}

void store_from_float(void* data, DType t, int64_t i, float value) {
  switch (t) {
    case DType::f32: static_cast<float*>(data)[i] = value; return;
    case DType::f64: static_cast<double*>(data)[i] = value; return;
    case DType::f16: static_cast<f16_t*>(data)[i] = to_f16(value); return;
    case DType::bf16: static_cast<bf16_t*>(data)[i] = to_bf16(value); return;
    case DType::f8_e4m3: static_cast<f8_e4m3_t*>(data)[i] = to_f8_e4m3(value); return;
    case DType::f8_e4m3fnuz: static_cast<f8_e4m3fnuz_t*>(data)[i] = to_f8_e4m3fnuz(value); return;
    default: return;
  }
}

}  // namespace attune
