// The functions below take the place of the C library's in the whole program; its own stand behind them under other names.
#include "allocations.h"

#include <execinfo.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
}

namespace attune::allocations {
namespace {

constexpr int kHashed = 14;  // frames that tell two sites apart; more would count each depth of a recursion

std::atomic<int64_t> live{0};
std::atomic<bool> armed{false};
std::atomic<int> owner{0};  // thread whose requests count
int64_t asked = 0, target = 0, room = 0, found = 0;
Site* sites = nullptr;
thread_local bool inside = false;

void note() {
  Site site{};
  std::array<void*, kFrames + 3> stack{};
  const int all = backtrace(stack.data(), static_cast<int>(stack.size()));
  constexpr int kOwn = 2;  // note, refuse
  uint64_t hash = 1469598103934665603ull;
  for (int i = kOwn; i < all && site.frames < kFrames; ++i) {
    site.stack[static_cast<size_t>(site.frames++)] = stack[static_cast<size_t>(i)];
    if (site.frames > kHashed) continue;
    hash = (hash ^ reinterpret_cast<uintptr_t>(stack[static_cast<size_t>(i)])) * 1099511628211ull;
  }
  site.hash = hash, site.ordinal = asked;
  for (int64_t slot = static_cast<int64_t>(hash % static_cast<uint64_t>(room));; slot = (slot + 1) % room) {
    if (sites[slot].hash == hash) return;
    if (sites[slot].hash != 0) continue;
    if (found >= room / 2) return;
    sites[slot] = site, ++found;
    return;
  }
}

/// True if this request is the one to fail.
__attribute__((noinline)) bool refuse() {
  if (!armed.load(std::memory_order_relaxed) || inside || owner.load(std::memory_order_relaxed) != gettid()) return false;
  inside = true;
  ++asked;
  if (sites) note();
  inside = false;
  return asked == target;
}

void* counted(void* p) {
  if (p) live.fetch_add(1, std::memory_order_relaxed);
  return p;
}

void start(int64_t fail_at, Site* to, int64_t size) {
  void* warm[4];
  backtrace(warm, 4);  // loads the unwinder, which asks for memory
  asked = found = 0, target = fail_at, sites = to, room = size;
  owner = gettid();
  armed = true;
}

}  // namespace

void arm(int64_t fail_at) { start(fail_at, nullptr, 0); }
void arm_and_note(Site* to, int64_t size) { start(0, to, size); }
Uncounted::Uncounted() { inside = true; }
Uncounted::~Uncounted() { inside = false; }
void disarm() { armed = false, sites = nullptr; }
int64_t requests() { return asked; }
int64_t noted() { return found; }
bool failed() { return target > 0 && asked >= target; }
int64_t live_blocks() { return live; }

}  // namespace attune::allocations

using attune::allocations::counted;
using attune::allocations::live;
using attune::allocations::refuse;

namespace {
void* none() {
  errno = ENOMEM;
  return nullptr;
}
}  // namespace

extern "C" {

void* malloc(size_t size) { return refuse() ? none() : counted(__libc_malloc(size)); }
void* calloc(size_t n, size_t size) { return refuse() ? none() : counted(__libc_calloc(n, size)); }
void* memalign(size_t alignment, size_t size) { return refuse() ? none() : counted(__libc_memalign(alignment, size)); }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** out, size_t alignment, size_t size) {
  void* p = memalign(alignment, size);
  if (!p) return ENOMEM;
  *out = p;
  return 0;
}

void* realloc(void* old, size_t size) {
  if (!old) return malloc(size);
  if (size == 0) {
    free(old);
    return nullptr;
  }
  return refuse() ? none() : __libc_realloc(old, size);
}

void free(void* p) {
  if (p) live.fetch_sub(1, std::memory_order_relaxed);
  __libc_free(p);
}

void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (refuse()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  void* p = reinterpret_cast<void*>(syscall(SYS_mmap, at, size, protection, flags, fd, offset));
  if (p != MAP_FAILED) counted(p);
  return p;
}

int munmap(void* at, size_t size) noexcept {
  live.fetch_sub(1, std::memory_order_relaxed);
  return static_cast<int>(syscall(SYS_munmap, at, size));
}

}  // extern "C"
