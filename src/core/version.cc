#include "attune/version.h"

#include <fmt/format.h>

#include "build_info.h"

namespace attune {

const char* version() { return build::kVersion; }

std::string build_info_json() {
  return fmt::format(
      R"({{"name":"attune","version":"{}","commit":"{}","compiler":"{}","build_type":"{}","sanitize":"{}","backends":{{"cpu":true,"x86_kernels":{},"cuda":{},"rocm":{}}}}})",
      build::kVersion, build::kCommit, build::kCompiler, build::kBuildType, build::kSanitize, build::kWithX86, build::kWithCuda, build::kWithRocm);
}

}  // namespace attune
