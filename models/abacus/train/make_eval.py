"""Writes the held-out sets eval.jsonl, eval-unseen.jsonl and eval-longer.jsonl, bit-equal on every run.

    python3 make_eval.py --out ..
"""

import argparse
import json
import os

from problems import problem

SETS = {"eval.jsonl": ("eval", 1319), "eval-unseen.jsonl": ("unseen", 1000), "eval-longer.jsonl": ("longer", 500)}


def lines(split, count):
    """The first `count` distinct problems of a held-out split, as JSON lines."""
    seen, index = set(), 0
    while len(seen) < count:
        found = problem(index, split)
        index += 1
        if found["prompt"] in seen:
            continue
        seen.add(found["prompt"])
        row = {"prompt": found["prompt"], "answer": found["answer"], "schema": ">".join(found["schema"]), "steps": found["steps"]}
        yield json.dumps(row, ensure_ascii=False) + "\n"


def main():
    """Writes the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="..")
    args = parser.parse_args()
    for name, (split, count) in SETS.items():
        with open(os.path.join(args.out, name), "w", encoding="utf-8") as file:
            file.writelines(lines(split, count))


if __name__ == "__main__":
    main()
