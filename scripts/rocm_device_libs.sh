#!/bin/sh
# rocm_device_libs.sh FOLDER: makes FOLDER usable as --rocm-device-lib-path for gfx90a and gfx942 (why: docs/design/hip.md).
set -eu
folder=${1:?expected a folder}
clang=${CLANG:-clang-19}

bitcode=""
for candidate in /opt/rocm/amdgcn/bitcode /usr/lib/x86_64-linux-gnu/amdgcn/bitcode /usr/lib/amdgcn/bitcode; do
  if [ -f "$candidate/ocml.bc" ]; then bitcode=$candidate; break; fi
done
if [ -z "$bitcode" ]; then
  echo "rocm_device_libs.sh: expected the device library (package rocm-device-libs); got none" >&2
  exit 1
fi

mkdir -p "$folder"
ln -sf "$bitcode"/*.bc "$folder"/
# The library tells a kernel its chip through one constant; where the file for gfx942 is missing, two lines stand in for it.
if [ ! -e "$bitcode/oclc_isa_version_942.bc" ]; then
  printf '%s\n' 'target triple = "amdgcn-amd-amdhsa"' \
    '@__oclc_ISA_version = linkonce_odr protected local_unnamed_addr addrspace(4) constant i32 9402, align 4' |
    "$clang" --target=amdgcn-amd-amdhsa -nogpulib -x ir -emit-llvm -c - -o "$folder/oclc_isa_version_942.bc"
fi
