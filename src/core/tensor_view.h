#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/dtype.h"

namespace attune {

/// Up to four extents, outermost first. Unused ones are absent, not 1.
struct Shape {
  std::array<int64_t, 4> dims{};
  int rank = 0;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<int64_t> d) {
    for (int64_t x : d) dims[static_cast<size_t>(rank++)] = x;
  }
  constexpr int64_t operator[](int i) const { return dims[static_cast<size_t>(i)]; }
  constexpr int64_t count() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[static_cast<size_t>(i)];
    return n;
  }
  constexpr bool operator==(const Shape& o) const = default;
};

/// "[3, 4]"
std::string to_text(const Shape& shape);

/// A typed window on memory somebody else owns; row-major and contiguous. `data` may be aligned to 2 bytes only.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  int64_t bytes() const { return shape.count() * static_cast<int64_t>(size_of(dtype)); }
  bool empty() const { return data == nullptr; }
};

}  // namespace attune
