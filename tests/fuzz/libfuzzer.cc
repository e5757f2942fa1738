// What libFuzzer calls.
#include <cstddef>
#include <cstdint>

#include "harness.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
