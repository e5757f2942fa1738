#pragma once

#include <string>

namespace attune::device_test {

/// Prints what a matmul takes on the layers of Qwen3-8B beside its goal and beside the vendor's library, each the median over
/// replays of a captured graph whose weights rotate past the L2 cache. `what`: skinny, layer, rows (the ops between matmuls), wide, or empty
/// for all.
void time_matmul(const std::string& what, bool with_library);

}  // namespace attune::device_test
