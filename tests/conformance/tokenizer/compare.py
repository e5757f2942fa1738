#!/usr/bin/env python3
"""Compares ids and decoded text of `tokenize_lines` with those of the `tokenizers` package, line by line:

    compare.py TOKENIZE_LINES --folder WORK [--lines N] [--seed S] [--model DIR …]

Trains the tokenizers of make_tokenizers.py into WORK (or takes the folders named by --model) and fails on the first lines that
differ, with the text as JSON."""
import argparse
import json
import os
import random
import subprocess
import sys

from tokenizers import Tokenizer

import corpus
import make_tokenizers


def expected(tokenizer, ordinary, line):
    out = {}
    ids = line.get("ids")
    if ids is None:
        try:
            text = line["text"] if "text" in line else bytes.fromhex(line["hex"]).decode()
        except UnicodeDecodeError as e:
            return {"refused": e.start}
        ids = tokenizer.encode(text).ids
        out["ids"] = ids
        out["bare"] = tokenizer.encode(text, add_special_tokens=False).ids
        out["ordinary"] = ordinary.encode(text, add_special_tokens=False).ids
    out["text"] = tokenizer.decode(ids, skip_special_tokens=True)
    out["kept"] = tokenizer.decode(ids, skip_special_tokens=False)
    return out


def random_ids(tokenizer, count, seed):
    """Sequences of ids that no text gives: broken characters, special tokens in between, byte tokens."""
    rng = random.Random(seed)
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    out = []
    for _ in range(count):
        low = rng.choice([0, 0, 0, max(0, size - 20)])
        high = rng.choice([size, size + 3, min(size, 300)])
        out.append({"ids": [rng.randrange(low, max(high, low + 1)) for _ in range(rng.randint(0, 12))]})
    return out


def broken(lines, count, seed):
    """Bytes that are no UTF-8: of lines, cut, replaced and mixed with what starts or continues nothing: refused at the byte where Python's decoder stops."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        data = bytearray(rng.choice(lines)[: rng.randint(1, 60)].encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) + 1)
            piece = rng.choice([b"\x80", b"\xbf", b"\xc0", b"\xc3", b"\xe0\x80", b"\xed\xa0\x80", b"\xf0\x9f", b"\xf0\x9f\x99", b"\xf4\x90\x80\x80", b"\xf8", b"\xff"])
            kind = rng.randrange(3)
            if kind == 0:
                data[at:at] = piece
            elif kind == 1:
                data[at : at + 1] = piece
            else:
                del data[at : at + rng.randint(1, 3)]
        out.append({"hex": bytes(data).hex()})
    return out


def compare(program, folder, lines, seed):
    """Number of lines of `folder`'s tokenizer that differ."""
    path = os.path.join(folder, "tokenizer.json")
    tokenizer, ordinary = Tokenizer.from_file(path), Tokenizer.from_file(path)
    for t in (tokenizer, ordinary):
        t.no_truncation()
        t.no_padding()
    ordinary.encode_special_tokens = True
    some = max(200, len(lines) // 10)
    work = [{"text": s} for s in lines] + broken(lines, some, seed) + random_ids(tokenizer, some, seed)
    answer = subprocess.run([program, folder], input="\n".join(json.dumps(w) for w in work) + "\n", capture_output=True, text=True, encoding="utf-8")
    if answer.returncode != 0:
        print(f"{folder}: {answer.stderr.strip()}")
        return 1
    got = answer.stdout.split("\n")[:-1]
    if len(got) != len(work):
        print(f"{folder}: expected {len(work)} lines; got {len(got)}")
        return 1
    bad = 0
    for line, text in zip(work, got):
        want, have = expected(tokenizer, ordinary, line), json.loads(text)
        if want == have:
            continue
        bad += 1
        if bad <= 3:
            for key in want:
                if want[key] != have.get(key):
                    print(f"{folder}: {json.dumps(line)}: {key}: expected {json.dumps(want[key])}; got {json.dumps(have.get(key))}")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--folder", help="where to train the tokenizers")
    parser.add_argument("--lines", type=int, default=10000, help="lines in all, shared out among the tokenizers (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", action="append", help="compare this model folder instead, on all the lines")
    args = parser.parse_args()
    if args.model:
        folders = args.model
        shares = [corpus.lines(args.lines, args.seed)] * len(folders)
    else:
        if not args.folder:
            parser.error("needs --folder or --model")
        folders = [os.path.join(args.folder, name) for name in make_tokenizers.make(args.folder)]
        share = -(-args.lines // len(folders))
        shares = [corpus.lines(share, args.seed + i) for i in range(len(folders))]
    bad = total = 0
    for i, folder in enumerate(folders):
        bad += compare(args.program, folder, shares[i], args.seed + i)
        total += len(shares[i])
    print(f"{total} lines, {len(folders)} tokenizers, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
