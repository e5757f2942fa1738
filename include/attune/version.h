#pragma once

#include <string>

namespace attune {

/// Semantic version of the library, such as "0.1.0".
const char* version();

/// One JSON object that names the build: version, commit, compiler, build type, backends built in.
std::string build_info_json();

}  // namespace attune
