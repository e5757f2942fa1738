#!/usr/bin/env python3
"""Shows that the instruction sets are real: each CPU kernel against the plain one at head_dim 128 in cache, the instructions in its object,
and what a second thread gives on decode out of cache with unchanged bits. Exits with 1 if a kernel is not at least twice as fast as plain.

    python3 bench/instruction_sets.py [--binary build/release/bin/attune] [--json]
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = {
    "attention, decode, 1024 keys": ["attention", "--desc", "q=bf16 kv=bf16 heads=16:8 head_dim=128", "--input-len", "1024"],
    "attention, prefill, 256 of 1024 keys": ["attention", "--desc", "q=bf16 kv=bf16 heads=16:8 head_dim=128", "--input-len", "1024", "--q-len", "256"],
    "matmul, 1 row": ["matmul", "--desc", "x=bf16 w=bf16 n=512 k=1024", "--rows", "1"],
    "matmul, 128 rows": ["matmul", "--desc", "x=bf16 w=bf16 n=1024 k=1024", "--rows", "128"],
}
# An instruction that only this level has, by kernel suffix.
MARKS = {"avx2": r"vfmadd\w+\s.*%ymm", "avx512": r"vfmadd\w+\s.*%zmm", "avx512_bf16": r"vdpbf16ps\s"}


def bench(binary, arguments):
    out = subprocess.run([binary, "bench", *arguments, "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def speedups(binary):
    rows, slow = [], []
    for name, arguments in CASES.items():
        kernels = {k["kernel"]: k["median_us"] for k in bench(binary, [*arguments, "--warm-cache", "--threads", "1"])["kernels"]}
        plain = next(us for k, us in kernels.items() if k.endswith(".plain"))
        for kernel, us in kernels.items():
            if kernel.startswith("ref."):
                continue
            rows.append((name, kernel, us, plain / us))
            if not kernel.endswith(".plain") and plain / us < 2:
                slow.append(f"{kernel} is {plain / us:.2f}x plain on {name}; expected 2x")
    return rows, slow


def instructions(build):
    rows, missing = [], []
    for op in ("attention", "matmul"):
        for isa, pattern in MARKS.items():
            objects = list(build.glob(f"**/attune_cpu_{isa}.dir/**/{op}.cc.o"))
            text = "".join(subprocess.run(["objdump", "-d", str(o)], check=True, capture_output=True, text=True).stdout for o in objects)
            count = len(re.findall(pattern, text))
            rows.append((f"cpu.{op}.{isa}", pattern, count))
            if count == 0:
                missing.append(f"cpu.{op}.{isa} holds no {pattern}")
    return rows, missing


def threads(binary):
    """Decode out of cache: 32k keys of 8 heads are 128 MiB. The bits are compared by the conformance tests; here only the time."""
    arguments = ["attention", "--desc", "q=bf16 kv=bf16 heads=16:8 head_dim=128", "--input-len", "32768"]
    one, two = (bench(binary, [*arguments, "--threads", t]) for t in ("1", "2"))
    first = lambda r: r["kernels"][0]
    bandwidth = two["read_gb_per_s"]["before"] / one["read_gb_per_s"]["before"]
    return first(one)["kernel"], first(one)["median_us"], first(two)["median_us"], bandwidth


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/attune"))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    build = pathlib.Path(args.binary).resolve().parent.parent
    speed, slow = speedups(args.binary)
    marks, missing = instructions(build)
    kernel, one, two, bandwidth = threads(args.binary)
    if args.json:
        print(json.dumps({"speed": speed, "instructions": marks, "threads": [kernel, one, two, bandwidth], "failures": slow + missing}))
    else:
        print("| case (1 thread, in cache) | kernel | µs | × plain |\n|---|---|---:|---:|")
        for row in speed:
            print("| {} | `{}` | {:.1f} | {:.2f} |".format(*row))
        print("\n| object | instruction | count |\n|---|---|---:|")
        for row in marks:
            print("| `{}` | `{}` | {} |".format(*row))
        print(f"\nDecode out of cache, 32,768 keys, `{kernel}`: 1 thread {one:.0f} µs, 2 threads {two:.0f} µs, {one / two:.2f}×; "
              f"the machine's read bandwidth grows {bandwidth:.2f}× with the second thread.")
    for line in slow + missing:
        print("expected more: " + line, file=sys.stderr)
    return 1 if slow or missing else 0


if __name__ == "__main__":
    sys.exit(main())
