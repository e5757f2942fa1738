#!/usr/bin/env python3
"""Limits on the program with the CUDA backend: few kernels an op and phase, a small file, few libraries.

A kernel counts in every phase that can launch it: decode and verify can launch every form of an entry of attention that takes the phase, prefill of
cuda.attention.wgmma_split_kv those for 64 rows (rows_of() in attention_call.h); other ops know no phase. The limit is on an op's kernels in a phase.

Usage: scripts/check_cuda_program.py PROGRAM      (python3 standard library, nm, readelf and strip; needs no GPU)
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

MOST_KERNELS, MOST_BYTES = 60, 30_000_000  # of an op in a phase; of the stripped program
SYSTEM = re.compile(r"(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|ld-linux-x86-64)\.so\.\d+")
ATTEND = re.compile(r"N6attune4cuda(7prefill)?6attendI")  # attune::cuda::attend<Form<…>> and attune::cuda::prefill::attend<Form<…>>
FEW_ROWS = re.compile(r"4FormI\w+?Lb[01]ELi\d+ELi(8|16)E")  # of type, f8, head_dim, rows, …
PLACE = re.compile(r"N6attune\d([a-z]+?)(\d+)_GLOBAL__N__[0-9a-f]+_\d+_(\w+?)_cu_")  # backend, length of the unnamed namespace's name, source file
ENTRIES = {"cuda.attention.counters": "cuda.attention.wgmma_split_kv", "cuda.attention.prefill_bf16": "cuda.attention.wgmma_prefill"}
PHASES = {"cuda.attention.wgmma_prefill": ["prefill"], "cuda.attention.cudnn": ["decode"]}  # of the others: all


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def kernels(program):
    """Mangled names of the __global__ functions, from the host's stubs (a symbol gives its length before its name)."""
    names = {name[15 : int(length)] for length, name in re.findall(r"(\d+)(__device_stub__\w+)", run("nm", program))}
    if not names:
        raise SystemExit(f"{program}: expected a program with symbols and kernels; got none (built without CUDA, or stripped?)")
    return names


def place_of(name):
    """(entry of the catalogue, whether it is an instantiated template): by the form of attention, or the source file that the name carries."""
    attend = ATTEND.search(name)
    if attend:
        return ("cuda.attention.wgmma_prefill" if attend[1] else "cuda.attention.wgmma_split_kv", True)
    place = PLACE.search(name)
    if not place:
        raise SystemExit(f"{name}: expected a source file or attention's form in a kernel's name; got neither")
    function = name[place.end(2) + int(place[2]) :]  # length, name, and arguments of a template
    length = re.match(r"\d+", function)[0]
    op, technique = place[3].split("_", 1)
    if place[3].startswith(("kv_write", "rope_kv_write")):
        op, technique = place[3].rsplit("_", 1)
    entry = f"{place[1]}.{op}.{technique}"
    return (ENTRIES.get(entry, entry), function[len(length) + int(length)] == "I")


def phases_of(entry, name):
    """Phases that can launch a kernel of an entry."""
    if entry == "cuda.attention.wgmma_split_kv" and FEW_ROWS.search(name):
        return ["decode", "verify"]
    return PHASES.get(entry, ["decode", "verify", "prefill"] if entry.split(".")[1] == "attention" else ["any phase"])


def count_kernels(names):
    """Prints what each op has in each phase, and returns what is over the limit."""
    counts = Counter()
    for name in names:
        entry, template = place_of(name)
        for phase in phases_of(entry, name):
            counts[entry.split(".")[1], phase, entry, template] += 1
    problems, lines, sums = [], {}, Counter()
    for (op, phase, entry, template), count in sorted(counts.items()):
        sums[op, phase] += count
        lines.setdefault((op, phase), []).append(f"{entry} {count}{'' if template else ' plain'}")
    for (op, phase), count in sorted(sums.items()):
        print(f"{op}, {phase}: {count} kernels ({', '.join(lines[op, phase])})")
        if count > MOST_KERNELS:
            problems.append(f"{op}, {phase}: expected at most {MOST_KERNELS} kernels; got {count}")
    return problems


def main():
    program = Path(sys.argv[1])
    problems = count_kernels(kernels(program))
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
