#!/usr/bin/env python3
"""What the program with the ROCm backend must hold: each portable kernel's code for gfx90a and gfx942, and catalogue entries that know it.

Usage: scripts/check_rocm_program.py PROGRAM      (python3 standard library and readelf; needs no GPU)
"""

import re
import subprocess
import sys
from pathlib import Path

ARCHITECTURES = (b"gfx90a", b"gfx942")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def section(program, name):
    """The bytes of an ELF section."""
    found = re.search(rf"\s{re.escape(name)}\s+\S+\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)", run("readelf", "--sections", "--wide", program))
    if not found:
        raise SystemExit(f"{program}: expected a section {name}; got none (built without ROCm?)")
    start, size = int(found[1], 16), int(found[2], 16)
    return Path(program).read_bytes()[start : start + size]


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    program, wrong = sys.argv[1], []
    bundles = section(program, ".hip_fatbin")
    sources = sorted(p.stem for p in (Path(__file__).parent.parent / "src/kernels/gpu").glob("*.cu"))
    for arch in ARCHITECTURES:
        count = bundles.count(b"hipv4-amdgcn-amd-amdhsa--" + arch)  # the bundle's entry; the code object names its target again
        print(f"{arch.decode()}: {count} code objects")
        if count != len(sources):
            wrong.append(f"{arch.decode()}: expected one code object for each of {len(sources)} files; got {count}")
    listed = run(program, "verify", "--list", "--kernel", "gpu.*")
    for line in listed.splitlines():
        if "needs hip" in line and "built without" in line:
            wrong.append(f"expected an entry that is built; got {line.strip()}")
    if "needs hip" not in listed:
        wrong.append("expected entries for hip in verify --list; got none")
    for text in wrong:
        print(f"FAIL {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
