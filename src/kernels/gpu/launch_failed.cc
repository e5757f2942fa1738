#include "core/error.h"
#include "kernels/gpu/kernels.h"

namespace attune::gpu {

void launch_failed(std::string_view kernel, const char* text) { fail(ErrorCode::device_error, kernel, "a launch that the runtime accepts", text); }

}  // namespace attune::gpu
