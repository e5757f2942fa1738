#!/bin/bash
# Compiles the portable GPU kernels for sm_90a (nvcc), gfx90a and gfx942 (clang-19 as HIP), and where nvcc is present a file of the CUDA backend and
# its device. A compiler that is absent costs one line, an error fails.
set -u
cd "$(dirname "$0")/.."
out=${1:-build/gpu}
mkdir -p "$out"
shopt -s nullglob
sources=(src/kernels/gpu/*.cu)
if [ ${#sources[@]} -eq 0 ]; then
  echo "FAIL gpu: expected src/kernels/gpu/*.cu; got none"
  exit 1
fi
cuda_sources=(src/kernels/cuda/attention_counters.cu src/kernels/cuda/attention_cudnn.cu)  # the quick ones
flags=(-std=c++20 -O3 -Iinclude -Isrc)
failed=0

compile_one() {  # compile_one ARCH SOURCE COMMAND…
  local arch=$1 source=$2 name=${2#src/}
  shift 2
  if "$@" "${flags[@]}" -c "$source" -o "$out/${name//\//.}.$arch.o"; then
    echo "ok   gpu: $source compiled for $arch"
  else
    echo "FAIL gpu: $source for $arch"
    failed=1
  fi
}

compile() {  # compile ARCH COMMAND…: one object a portable source file
  local arch=$1 source
  shift
  for source in "${sources[@]}"; do compile_one "$arch" "$source" "$@"; done
}

nvcc=$(command -v nvcc || { [ -x /usr/local/cuda/bin/nvcc ] && echo /usr/local/cuda/bin/nvcc; })
if [ -n "$nvcc" ]; then
  for_hopper=("$nvcc" -arch=sm_90a --expt-relaxed-constexpr --fmad=false -Werror=all-warnings -Xcompiler=-Wall,-Wextra,-Wshadow,-Werror)
  compile sm_90a "${for_hopper[@]}"
  for source in "${cuda_sources[@]}"; do compile_one sm_90a "$source" "${for_hopper[@]}"; done
  compile_one host src/device/cuda.cc "${CXX:-c++}" -Wall -Wextra -Wshadow -Werror -isystem "$(dirname "$(dirname "$(realpath "$nvcc")")")/include"
else
  echo "absent: nvcc, so nothing is compiled for sm_90a"
fi

if command -v clang++-19 >/dev/null && [ -f /usr/include/hip/hip_runtime.h ] && scripts/rocm_device_libs.sh "$out/device-libs"; then
  for arch in gfx90a gfx942; do
    compile "$arch" clang++-19 -x hip --offload-arch="$arch" --rocm-device-lib-path="$out/device-libs" -ffp-contract=off -Wall -Wextra -Wshadow -Werror
  done
else
  echo "absent: clang-19 with HIP headers and device libraries (section gpu of scripts/packages.txt), so nothing is compiled for gfx90a and gfx942"
fi
exit $failed
