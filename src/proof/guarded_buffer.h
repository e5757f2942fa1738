#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/dtype.h"

namespace attune {

/// Where the forbidden memory stands: a PROT_NONE page right after the data, right before it, or (for a probe, which must not end the
/// process) no page but poisoned slack on both sides.
enum class Guard : uint8_t { after, before, slack };

/// The byte that makes every element of a type a NaN (an integer: −1).
constexpr uint8_t poison_byte(DType t) { return t == DType::f8_e4m3fnuz ? 0x80 : 0xff; }

/// Memory filled with poison whose neighbourhood shows whether it was written.
class GuardedBuffer {
 public:
  /// `align` is a power of two ≤ 4096: the data start at a multiple of it, so up to align − 1 poisoned bytes stand before a guard page.
  /// A sparse buffer has address space only: its data are zero and cost nothing until they are written; guard pages stand on both sides.
  GuardedBuffer(size_t bytes, size_t align, Guard guard, uint8_t poison, bool sparse = false);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  /// Fills the data with one byte.
  void fill(uint8_t byte);

  /// True if every accessible byte around the data still holds poison.
  bool surroundings_untouched() const;

 private:
  uint8_t* mapping_ = nullptr;  // guard page, accessible pages, guard page
  size_t mapped_ = 0;
  std::unique_ptr<uint8_t[]> slack_;
  uint8_t* first_ = nullptr;  // accessible bytes: [first_, last_)
  uint8_t* last_ = nullptr;
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
  uint8_t poison_ = 0;
};

}  // namespace attune
