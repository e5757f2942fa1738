#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proof/guarded_buffer.h"

namespace attune {

/// All tensors of one problem: poisoned when made, watched while a kernel runs.
class Memory {
 public:
  explicit Memory(Guard guard) : guard_(guard) {}

  /// `count` poisoned elements; aligned to their own size unless `align` says more.
  template <class T = void>
  T* add(std::string name, DType dtype, int64_t count, size_t align = 1) {
    return static_cast<T*>(
        add_bytes(std::move(name), dtype, static_cast<size_t>(count) * size_of(dtype), align < size_of(dtype) ? size_of(dtype) : align));
  }

  /// A tensor of which only the ranges given to poison() are watched: the rest is zero and costs no memory.
  template <class T = void>
  T* add_sparse(std::string name, DType dtype, int64_t count, size_t align) {
    return static_cast<T*>(add_bytes(std::move(name), dtype, static_cast<size_t>(count) * size_of(dtype), align, true));
  }

  /// Poisons `count` elements of a sparse tensor from `first` on, and watches them; called with rising `first`, once for each element.
  void poison(const void* data, int64_t first, int64_t count);

  /// Declares that a kernel may write `count` elements from `first` on; called with rising `first`.
  void may_write(const void* data, int64_t first, int64_t count);

  /// Remembers every byte: what is not writable must stay so.
  void freeze();

  /// Puts the remembered bytes back.
  void restore();

  /// What a kernel changed although it may not: "q, byte 17"; empty if nothing.
  std::string damage() const;

  /// All writable bytes, in order: two runs of a kernel must agree on them.
  std::vector<uint8_t> written() const;

  /// The tensor whose data start at `data`, for a message.
  const std::string& name_of(const void* data) const;

  /// Bytes [first, last) of a tensor.
  struct Range {
    size_t first, last;
  };
  /// One tensor.
  struct Piece {
    Piece(std::string n, DType t, size_t bytes, size_t align, Guard guard, bool is_sparse)
        : name(std::move(n)), dtype(t), sparse(is_sparse), buffer(bytes, align, guard, poison_byte(t), is_sparse) {
      if (!sparse) watched.push_back({0, bytes});
    }
    std::string name;
    DType dtype;
    bool sparse;
    GuardedBuffer buffer;
    std::vector<Range> watched, writable;  // rising
    std::vector<uint8_t> before;           // the watched bytes
  };
  const std::vector<std::unique_ptr<Piece>>& pieces() const { return pieces_; }

 private:
  void* add_bytes(std::string name, DType dtype, size_t bytes, size_t align, bool sparse = false);
  const Piece& piece_of(const void* data) const;

  Guard guard_;
  std::vector<std::unique_ptr<Piece>> pieces_;
};

}  // namespace attune
