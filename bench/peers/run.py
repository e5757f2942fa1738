#!/usr/bin/env python3
"""Times attune beside llama.cpp, Transformers and PyTorch on the same weights, shape, threads and machine.

    python3 bench/peers/run.py                                  # the qwen3-0.6b shape, all rows, all peers
    python3 bench/peers/run.py --model models/abacus --rows decode-b1-128 --peers llama,plain

Needs a C compiler and, the first time, the network: it makes build/peers-venv (llama.cpp is built from source in a
few minutes), random weights under build/peers and their GGUF copy. Engines take turns row by row, and each
measurement stands between two read-bandwidth measurements: the memory of a shared machine changes its speed, so
only ratios within one round count. The table gives medians over rounds; "read" is the share of the bandwidth
measured around the row that a decode step reached by reading each weight once.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "peers"
PACKAGES = ["numpy", "safetensors", "torch==2.15.0", "transformers==5.23.0", "llama-cpp-python==0.3.36"]
ROWS = {  # name: (kind, context, batch, new tokens)
    "prefill-512": ("prefill", 512, 1, 1),
    "prefill-2048": ("prefill", 2048, 1, 1),
    "decode-b1-128": ("decode", 128, 1, 64),
    "decode-b1-2048": ("decode", 2048, 1, 32),
    "decode-b8-512": ("decode", 512, 8, 32),
}
MAX_DRIFT = 0.15  # brackets further apart than this mark a round as unsteady


def make_venv(folder):
    python = folder / "bin" / "python"
    stamp = folder / "packages.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
        print(f"making {folder} (llama.cpp is compiled: minutes)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        env = dict(os.environ, CMAKE_ARGS=os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=ON -DGGML_OPENMP=ON"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, env=env)
        stamp.write_text("\n".join(PACKAGES))
    return python


class Bandwidth:
    """Read bandwidth of all threads in GB/s, measured by a small program."""

    def __init__(self, threads):
        self.program, self.threads = BUILD / "read_bandwidth", threads
        subprocess.run(["cc", "-O3", "-march=native", "-pthread", HERE / "read_bandwidth.c", "-o", self.program],
                       check=True)

    def measure(self):
        return float(subprocess.run([self.program, str(self.threads)], check=True, capture_output=True).stdout)


class Peer:
    """A running peer process; see protocol.py."""

    def __init__(self, command, threads):
        env = dict(os.environ, OMP_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false")
        self.process = subprocess.Popen([*map(str, command), "--threads", str(threads)], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.name = self.answer(command)["ready"]

    def answer(self, asked):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"peer ended at {asked}; exit code {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.answer(request)

    def measure(self, kind, context, batch, new):
        request = dict(do="prefill", context=context) if kind == "prefill" else dict(
            do="decode", context=context, batch=batch, new=new)
        out = self.ask(**request)
        return out["tokens"] / out["seconds"]


class Attune:
    """The binary, started for each measurement; it times itself after its load."""

    def __init__(self, binary, folder, threads, extra):
        self.name, self.command = "attune", [binary, "bench", "generate", "--model", folder, "--threads", threads,
                                             "--json", *extra]

    def measure(self, kind, context, batch, new):
        shape = ["--input-len", context, "--output-len", new, "--batch-size", batch]
        out = subprocess.run([str(x) for x in self.command + shape], check=True, capture_output=True, text=True).stdout
        result = json.loads(out.strip().splitlines()[-1])
        return result[f"{kind}_tokens_per_s"]


def start_engines(args, python, folder):
    threads, engines = args.threads, []
    if not args.no_attune:
        engines.append(Attune(args.attune, folder, threads, args.attune_args.split()))
    for peer in args.peers.split(","):
        if peer in ("llama", "llama-no-flash"):
            gguf = BUILD / (folder.name + ".gguf")
            if not gguf.exists() or gguf.stat().st_mtime < (folder / "config.json").stat().st_mtime:
                subprocess.run([python, HERE / "to_gguf.py", folder, gguf], check=True)
            command = [python, HERE / "peer_llama_cpp.py", gguf] + (["--no-flash"] if "no" in peer else [])
        elif peer in ("sdpa", "eager", "plain"):
            command = [python, HERE / "peer_torch.py", folder, "--engine", peer]
        else:
            raise SystemExit(f"--peers: expected llama, llama-no-flash, sdpa, eager or plain; got {peer}")
        engines.append(Peer(command, threads))
    return engines


def compare_peers(engines):
    """Peers that compute another model are no peers: their best tokens must agree."""
    peers = [e for e in engines if isinstance(e, Peer)]
    answers = [p.ask(do="top", token_ids=[3, 14, 15, 92, 65, 35, 89, 79, 32, 38])["top"] for p in peers]
    for peer, top in zip(peers, answers):
        best, value = answers[0][0]
        near = [v for i, v in top if i == best]
        if not near or abs(near[0] - value) > 0.05 * max(1.0, abs(value)) or top[0][1] - near[0] > 0.1:
            raise SystemExit(f"{peer.name} and {peers[0].name} compute different logits: {top[:3]}, {answers[0][:3]}")


def measure_row(row, engines, bandwidth, args):
    """Rounds of turns; returns engine -> list of (tokens/s, GB/s around it, steady)."""
    kind, context, batch, new = ROWS[row]
    out = {e.name: [] for e in engines}
    for e in engines:
        if isinstance(e, Peer):
            e.measure(kind, context, batch, new)  # pages in, allocates, and fills the context
    for _ in range(args.rounds):
        before = bandwidth.measure()
        for e in engines:
            time.sleep(args.pause)
            rate = e.measure(kind, context, batch, new)
            after = bandwidth.measure()
            out[e.name].append((rate, (before + after) / 2, abs(after - before) <= MAX_DRIFT * max(before, after)))
            before = after
    return out


def report(row, results, step_bytes):
    kind, context, batch, _ = ROWS[row]
    first, lines = next(iter(results)), []
    for name, runs in results.items():
        # a ratio belongs to one round; unsteady rounds count only when there is no other
        pairs = [(a[0] / b[0], a[2] and b[2]) for a, b in zip(results[first], runs)]
        steady = [r for r, ok in pairs if ok]
        ratio = statistics.median(steady or [r for r, _ in pairs])
        rate = statistics.median(r for r, _, _ in runs)
        read = statistics.median(r / batch * step_bytes / 1e9 / gb for r, gb, _ in runs)
        share = f"{100 * read:5.0f} %" if kind == "decode" else "      –"
        bandwidth = statistics.median(gb for _, gb, _ in runs)
        lines.append(f"| {row:15s} | {name:18s} | {rate:9.1f} | {share} | {bandwidth:6.1f} | {ratio:6.2f} "
                     f"| {len(steady)}/{len(runs)} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="qwen3-0.6b", help="a shape of bench/make_model.py")
    parser.add_argument("--model", type=pathlib.Path, help="a Qwen3 folder in bf16 instead of random weights")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--peers", default="llama,llama-no-flash,sdpa,eager,plain")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds of quiet before a measurement")
    parser.add_argument("--attune", type=pathlib.Path, default=ROOT / "build" / "release" / "bin" / "attune")
    parser.add_argument("--attune-args", default="", help="more flags of attune bench generate")
    parser.add_argument("--no-attune", action="store_true", help="peers only; ratios are to the first of them")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build" / "peers-venv")
    parser.add_argument("--json", type=pathlib.Path, help="also write every measurement here")
    args = parser.parse_args()
    unknown = set(args.rows.split(",")) - set(ROWS)
    if unknown:
        raise SystemExit(f"--rows: expected some of {', '.join(ROWS)}; got {', '.join(unknown)}")
    BUILD.mkdir(parents=True, exist_ok=True)
    python, folder = make_venv(args.venv), args.model
    if folder is None:
        folder = BUILD / args.shape
        if not list(folder.glob("*.safetensors")):
            subprocess.run([python, ROOT / "bench" / "make_model.py", "--shape", args.shape, "--out", folder],
                           check=True)
    # a decode step reads every weight once; an untied embedding is read one row a token
    cfg = json.loads((folder / "config.json").read_text())
    step_bytes = sum(f.stat().st_size for f in folder.glob("model*.safetensors"))
    if not cfg.get("tie_word_embeddings"):
        step_bytes -= 2 * cfg["vocab_size"] * cfg["hidden_size"]
    bandwidth = Bandwidth(args.threads)
    engines = start_engines(args, python, folder.resolve())
    compare_peers(engines)
    print(f"{folder.name}, {args.threads} threads, {args.rounds} rounds, {step_bytes / 1e9:.3f} GB a decode step\n")
    print(f"| row | engine | tokens/s | read | GB/s | {engines[0].name} / it | steady rounds |")
    print("|---|---|---|---|---|---|---|")
    everything = {}
    for row in args.rows.split(","):
        everything[row] = measure_row(row, engines, bandwidth, args)
        print("\n".join(report(row, everything[row], step_bytes)), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"model": folder.name, "threads": args.threads, "rows": everything}) + "\n")


if __name__ == "__main__":
    main()
