#!/usr/bin/env python3
"""What docs/design/design.md promises of the program with the CUDA backend: few kernels an op and phase, a small file, few libraries.

Usage: scripts/check_cuda_program.py PROGRAM      (python3 standard library, nm, readelf and strip; needs no GPU)
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

MOST_KERNELS, MOST_BYTES = 60, 30_000_000  # __global__ functions an op and phase; of the stripped program
SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|ld-linux-x86-64)\.so\.\d+")
ATTEND = re.compile(r"attendINS0_4FormI.+?ELi\d+ELi(\d+)E")  # Form<type, 8-bit keys, head dimension, rows, …>
PREFILL = "7prefill6attendI"  # attune::cuda::prefill::attend<Form<…>>


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def kernels(program):
    """Mangled names of the __global__ functions, from the host's stubs (a symbol gives its length before its name)."""
    names = {name[15 : int(length)] for length, name in re.findall(r"(\d+)(__device_stub__\w+)", run("nm", program))}
    if not names:
        raise SystemExit(f"{program}: expected a program with symbols and kernels; got none (built without CUDA, or stripped?)")
    return names


def phase_of(name):
    """(op, phase) by the source file that a name carries; forms of attention with up to 16 rows serve decode, the others verify and prefill."""
    source = re.search(r"_GLOBAL__N__[0-9a-f]+_\d+_(\w+?)_cu_", name)
    attend = ATTEND.search(name)
    if PREFILL in name:
        return ("attention", "prefill")
    if attend:
        return ("attention", "decode" if int(attend[1]) <= 16 else "verify and prefill")
    if not source:
        raise SystemExit(f"{name}: expected a source file or attention's form in a kernel's name; got neither")
    op, form = source[1].split("_")[:2]
    return (op, {"skinny": "few rows", "wgmma": "many rows"}.get(form, "any"))


def main():
    program = Path(sys.argv[1])
    problems = []
    counts = Counter(phase_of(name) for name in kernels(program))
    for (op, phase), count in sorted(counts.items()):
        print(f"{op}, {phase}: {count} kernels")
        if count > MOST_KERNELS:
            problems.append(f"{op}, {phase}: expected at most {MOST_KERNELS} kernels; got {count}")
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "program"
        run("strip", "-o", str(stripped), str(program))
        size = stripped.stat().st_size
    print(f"stripped: {size} bytes")
    if size > MOST_BYTES:
        problems.append(f"{program}: expected at most {MOST_BYTES} bytes stripped; got {size}")
    dynamic = run("readelf", "-d", str(program))
    beside = [n for n in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) if not SYSTEM.fullmatch(n)]
    for name in beside:
        print(f"beside it: {name}")
        if not (program.parent / name).exists() or "$ORIGIN" not in dynamic:
            problems.append(f"{program}: expected {name} beside it, found by $ORIGIN; got neither")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
