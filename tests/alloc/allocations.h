#pragma once

#include <array>
#include <cstdint>

/// Counts and fails the memory requests of this process: malloc and its kin (hence operator new, the C library and third parties) and mmap.
namespace attune::allocations {

inline constexpr int kFrames = 24;

/// A distinct call stack that asked for memory, and the first request it made.
struct Site {
  uint64_t hash;
  int64_t ordinal;
  int frames;
  std::array<void*, kFrames> stack;
};

/// From now on requests of this thread count from 1, and the `fail_at`-th gets nothing (0: none).
void arm(int64_t fail_at);
/// The same, noting each distinct site in `sites`, of which there is room for `room`.
void arm_and_note(Site* sites, int64_t room);
/// Ends counting.
void disarm();

/// While it lives, requests of this thread do not count: those of the test itself.
class Uncounted {
 public:
  Uncounted();
  ~Uncounted();
  Uncounted(const Uncounted&) = delete;
  Uncounted& operator=(const Uncounted&) = delete;
};

int64_t requests();     ///< since it was armed, of the thread that armed it
int64_t noted();        ///< distinct sites
bool failed();          ///< the request to fail has come
int64_t live_blocks();  ///< blocks and mappings of all threads not given back

}  // namespace attune::allocations
