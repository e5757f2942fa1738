// The few functions of the HIP runtime that the launches of portable kernels call, in place of the runtime: they hand each launch to a function.
#include "hip_launches.h"

#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace attune::emulated {
namespace {

struct Dim3 {
  uint32_t x, y, z;
};

/// What clang registers of an object file: a bundle of code objects, one an architecture.
struct FatBinary {
  uint32_t magic, version;
  const uint8_t* bundle;
  void* unused;
};

struct Kernel {
  const uint8_t* bundle;
  std::string name;
};

struct Runtime {
  Execute execute = nullptr;
  std::string architecture;
  std::map<const void*, Kernel> kernels;  // by the address of their host function
  Dim3 blocks{}, threads{};
  size_t shared_bytes = 0;
  int last_error = 0;
  int64_t launches = 0;
};

Runtime& runtime() {
  static Runtime r;
  return r;
}

template <class T>
T read(const uint8_t*& at) {
  T x;
  std::memcpy(&x, at, sizeof x);
  at += sizeof x;
  return x;
}

/// The code object for an architecture in a clang offload bundle: magic, count, then offset, size, length of the target's name and that name.
std::pair<const uint8_t*, uint64_t> code_object(const uint8_t* bundle, const std::string& architecture) {
  constexpr std::string_view kMagic = "__CLANG_OFFLOAD_BUNDLE__";
  if (std::memcmp(bundle, kMagic.data(), kMagic.size()) != 0) return {nullptr, 0};
  const uint8_t* at = bundle + kMagic.size();
  for (auto left = read<uint64_t>(at); left > 0; --left) {
    const auto offset = read<uint64_t>(at), size = read<uint64_t>(at), length = read<uint64_t>(at);
    const std::string_view target(reinterpret_cast<const char*>(at), length);
    at += length;
    if (target.ends_with("--" + architecture)) return {bundle + offset, size};
  }
  return {nullptr, 0};
}

}  // namespace

void launch_by(Execute execute, const char* architecture) { runtime().execute = execute, runtime().architecture = architecture; }

int64_t launches() { return runtime().launches; }

extern "C" {

void** __hipRegisterFatBinary(const void* data) {
  return reinterpret_cast<void**>(const_cast<uint8_t*>(static_cast<const FatBinary*>(data)->bundle));
}

void __hipUnregisterFatBinary(void**) {}

void __hipRegisterFunction(void** modules, const void* host, char*, const char* name, unsigned, void*, void*, Dim3*, Dim3*, int*) {
  runtime().kernels[host] = {reinterpret_cast<const uint8_t*>(modules), name};
}

void __hipRegisterVar(void**, void*, char*, const char*, int, size_t, int, int) {}

int __hipPushCallConfiguration(Dim3 blocks, Dim3 threads, size_t shared_bytes, void*) {
  runtime().blocks = blocks, runtime().threads = threads, runtime().shared_bytes = shared_bytes;
  return 0;
}

int __hipPopCallConfiguration(Dim3* blocks, Dim3* threads, size_t* shared_bytes, void** stream) {
  *blocks = runtime().blocks, *threads = runtime().threads, *shared_bytes = runtime().shared_bytes, *stream = nullptr;
  return 0;
}

int hipLaunchKernel(const void* host, Dim3 blocks, Dim3 threads, void** arguments, size_t shared_bytes, void*) {
  Runtime& r = runtime();
  const auto kernel = r.kernels.find(host);
  const auto [code, size] =
      kernel == r.kernels.end() ? std::pair<const uint8_t*, uint64_t>{nullptr, 0} : code_object(kernel->second.bundle, r.architecture);
  ++r.launches;
  r.last_error = code && r.execute ? r.execute(code, size, kernel->second.name.c_str(), &blocks.x, &threads.x, arguments, shared_bytes) : 98;
  return r.last_error;
}

int hipGetLastError() { return std::exchange(runtime().last_error, 0); }

const char* hipGetErrorString(int error) { return error == 98 ? "no such kernel for this architecture" : "the emulator could not run it"; }

}  // extern "C"

}  // namespace attune::emulated
