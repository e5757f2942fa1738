#!/usr/bin/env python3
"""Times attune's matmul and attention kernels beside PyTorch's on the same shapes, threads and machine.

    python3 bench/peers/ops.py                                   # all rows
    python3 bench/peers/ops.py --rows sdpa-prefill-1024 --rounds 5

PyTorch's weights and caches take turns among copies that leave the caches, as `attune bench` does; products of many
rows repeat on one copy. The engines take turns; a ratio belongs to one round, the table gives medians.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

import run

ROWS = {  # name: (what, arguments of the peer)
    "matmul-2048": ("matmul", {"rows": 2048, "n": 2048, "k": 2048}),
    "matmul-512-gate-up": ("matmul", {"rows": 512, "n": 6144, "k": 1024}),
    "matmul-512-down": ("matmul", {"rows": 512, "n": 1024, "k": 3072}),
    "matmul-1-gate-up": ("matmul", {"rows": 1, "n": 6144, "k": 1024}),
    "matmul-8-gate-up": ("matmul", {"rows": 8, "n": 6144, "k": 1024}),
    "matmul-8-down": ("matmul", {"rows": 8, "n": 1024, "k": 3072}),
    "sdpa-decode-8k": ("attention", {"q_len": 1, "context": 8192, "heads": 16, "kv_heads": 8, "head_dim": 128}),
    "sdpa-prefill-512": ("attention", {"q_len": 512, "context": 512, "heads": 16, "kv_heads": 8, "head_dim": 128}),
    "sdpa-prefill-1024": ("attention", {"q_len": 1024, "context": 1024, "heads": 16, "kv_heads": 8, "head_dim": 128}),
    "sdpa-prefill-2048": ("attention", {"q_len": 2048, "context": 2048, "heads": 16, "kv_heads": 8, "head_dim": 128}),
}


def attune_command(binary, threads, what, shape):
    command = [binary, "bench", what, "--json", "--threads", threads, "--kernel", "cpu.*"]  # the reference takes minutes
    if what == "matmul":
        desc = f"x=bf16 w=bf16 out=bf16 n={shape['n']} k={shape['k']}"
        command += ["--rows", shape["rows"]] + (["--warm-cache"] if shape["rows"] > 64 else [])
    else:
        desc = f"q=bf16 kv=bf16 heads={shape['heads']}:{shape['kv_heads']} head_dim={shape['head_dim']} block=16 mask=causal"
        command += ["--q-len", shape["q_len"], "--input-len", shape["context"]]
        command += ["--warm-cache"] if shape["q_len"] > 1 else []
    return [str(x) for x in command + ["--desc", desc]]


def attune(binary, threads, what, shape):
    """The first kernel of the selection, as JSON of `attune bench`."""
    out = subprocess.run(attune_command(binary, threads, what, shape), check=True, capture_output=True, text=True).stdout
    result = json.loads(out.strip().splitlines()[-1])
    return result, result["kernels"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--attune", type=pathlib.Path, default=run.ROOT / "build" / "release" / "bin" / "attune")
    parser.add_argument("--venv", type=pathlib.Path, default=run.ROOT / "build" / "peers-venv")
    args = parser.parse_args()
    unknown = set(args.rows.split(",")) - set(ROWS)
    if unknown:
        raise SystemExit(f"--rows: expected some of {', '.join(ROWS)}; got {', '.join(unknown)}")
    peer = run.Peer([run.make_venv(args.venv), run.HERE / "peer_ops.py"], args.threads)
    print(f"{args.threads} threads, {args.rounds} rounds\n")
    print("| row | kernel | attune µs | GFLOP/s | GB/s | of read | PyTorch µs | PyTorch / attune |")
    print("|---|---|---|---|---|---|---|---|")
    for row in args.rows.split(","):
        what, shape = ROWS[row]
        rounds = []
        for _ in range(args.rounds):
            result, kernel = attune(args.attune, args.threads, what, shape)
            rounds.append((kernel, 1e6 * peer.ask(do=what, **shape)["seconds"]))
        median = lambda value: statistics.median(value(k, us) for k, us in rounds)
        print(f"| {row} | `{rounds[0][0]['kernel']}` | {median(lambda k, _: k['median_us']):.1f} "
              f"| {median(lambda k, _: k['gflop_per_s']):.0f} | {median(lambda k, _: k['gb_per_s']):.1f} "
              f"| {100 * median(lambda k, _: k['share_of_read']):.0f} % | {median(lambda _, us: us):.1f} "
              f"| {median(lambda k, us: us / k['median_us']):.2f} |", flush=True)


if __name__ == "__main__":
    main()
