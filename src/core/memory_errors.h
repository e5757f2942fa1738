#pragma once

#include <new>
#include <stdexcept>

#include "core/error.h"

namespace attune {

/// Calls `f`; memory that runs out in it becomes an OutOfMemory error of `where`.
template <class F>
decltype(auto) with_memory_errors(std::string_view where, F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, where, "memory", "none left");
  } catch (const std::length_error&) {
    fail(ErrorCode::out_of_memory, where, "a size that fits the address space", "a larger one");
  }
}

}  // namespace attune
