#!/bin/bash
# Compiles the portable GPU kernels for sm_90a (nvcc), gfx90a and gfx942 (clang-19 as HIP). A compiler that is absent costs one line, an error fails.
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
includes=(-Iinclude -Isrc)
failed=0

compile() {  # compile ARCH COMMAND…: one object a source file
  local arch=$1 source object
  shift
  for source in "${sources[@]}"; do
    object="$out/$(basename "${source%.cu}").$arch.o"
    if "$@" -std=c++20 -O3 "${includes[@]}" -c "$source" -o "$object"; then
      echo "ok   gpu: $source compiled for $arch"
    else
      echo "FAIL gpu: $source for $arch"
      failed=1
    fi
  done
}

nvcc=$(command -v nvcc || { [ -x /usr/local/cuda/bin/nvcc ] && echo /usr/local/cuda/bin/nvcc; })
if [ -n "$nvcc" ]; then
  compile sm_90a "$nvcc" -arch=sm_90a --expt-relaxed-constexpr --fmad=false -Werror=all-warnings -Xcompiler=-Wall,-Wextra,-Wshadow,-Werror
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
