#include "core/tensor_view.h"

#include <fmt/format.h>

namespace attune {

std::string to_text(const Shape& shape) {
  std::string out = "[";
  for (int i = 0; i < shape.rank; ++i) out += fmt::format("{}{}", i ? ", " : "", shape[i]);
  return out + "]";
}

}  // namespace attune
