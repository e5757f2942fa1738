#pragma once

#include <cstddef>
#include <cstdint>

namespace attune::emulated {

/// A launch as the emulator gets it: a kernel of an AMD code object on memory of this process. `arguments` point to the kernel's parameters.
/// Returns 0 if the kernel ran to its end.
using Execute = int (*)(const uint8_t* code_object, uint64_t bytes, const char* kernel, const uint32_t* blocks, const uint32_t* threads,
                        void* const* arguments, uint64_t shared_bytes);

/// From now on launches go to `execute`, with the code objects for `architecture` ("gfx942").
void launch_by(Execute execute, const char* architecture);

/// Launches so far.
int64_t launches();

}  // namespace attune::emulated
