// A vendor library in miniature: what it has, the build says.
#include <cstddef>

extern "C" {
#ifdef FAKE_VERSION
size_t fakeGetVersion() { return FAKE_VERSION; }
#endif
int fakeCreate() { return 0; }
#ifdef FAKE_MATMUL
int fakeMatmul() { return 7; }
#endif
}
