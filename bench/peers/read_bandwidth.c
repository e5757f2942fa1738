/* Prints the read bandwidth of N threads over a buffer in transparent huge pages: read_bandwidth THREADS [MIB] */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { kMaxThreads = 256, kPasses = 7 };

static const uint64_t* data;
static size_t words_per_thread;
static pthread_barrier_t barrier;
static volatile uint64_t sink;

static void* read_part(void* index) {
  const uint64_t* p = data + (size_t)index * words_per_thread;
  for (int pass = 0; pass < kPasses; ++pass) {
    uint64_t sum[32] = {0}; /* independent sums: the compiler keeps them in vector registers */
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i + 32 <= words_per_thread; i += 32)
      for (int j = 0; j < 32; ++j) sum[j] += p[i + j];
    for (int j = 0; j < 32; ++j) sink += sum[j];
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  size_t threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 2;
  size_t bytes = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1024) << 20;
  pthread_t ids[kMaxThreads];
  double gb_per_s[kPasses];
  if (threads < 1 || threads > kMaxThreads || bytes == 0) return 2;
  void* p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return 1;
  madvise(p, bytes, MADV_HUGEPAGE);
  memset(p, 1, bytes);
  data = p;
  words_per_thread = bytes / 8 / threads;
  pthread_barrier_init(&barrier, NULL, threads + 1);
  for (size_t i = 0; i < threads; ++i) pthread_create(&ids[i], NULL, read_part, (void*)i);
  for (int pass = 0; pass < kPasses; ++pass) {
    pthread_barrier_wait(&barrier);
    double start = now();
    pthread_barrier_wait(&barrier);
    gb_per_s[pass] = threads * words_per_thread * 8 / (now() - start) * 1e-9;
  }
  for (size_t i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  qsort(gb_per_s, kPasses, sizeof gb_per_s[0], by_value);
  printf("%.2f\n", gb_per_s[kPasses / 2]);
  return 0;
}
