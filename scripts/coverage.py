#!/usr/bin/env python3
"""Line coverage of every file that parses, by the tests and corpora run in a build with --coverage. Fails if a file is under the limit.

Usage: scripts/coverage.py BUILD [--limit 90] [--missed]      (python3 standard library and gcov)
"""

import argparse
import fnmatch
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARSERS = (
    "src/loader/safetensors*.cc", "src/loader/json_file.cc", "src/loader/model_config.cc", "src/loader/generation_config.cc", "src/loader/rope_config.cc",
    "src/loader/tokenizer*.cc", "src/loader/bpe.cc", "src/loader/pretokenize.cc", "src/loader/detokenize.cc", "src/loader/jinja_*.cc",
    "src/loader/chat_template.cc", "src/loader/chat_messages.cc", "src/loader/weight_index.cc", "apps/cli/json_lines.cc", "src/select/desc_text.cc",
    "src/ops/desc_text.cc", "src/proof/case_text.cc", "src/proof/report.cc", "src/proof/cache_file.cc", "src/proof/probe_record.cc",
    "src/tune/tuning_table.cc",
)  # fmt: skip


def sources():
    files = sorted(str(p.relative_to(ROOT)) for pattern in PARSERS for p in ROOT.glob(pattern))
    return dict.fromkeys(files)


def is_parser(path):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in PARSERS)


def counts(build):
    """file → line → how often it ran, over every object that was made from a parser."""
    out = defaultdict(lambda: defaultdict(int))
    for notes in sorted(build.rglob("*.cc.gcno")):
        if not any(notes.name == Path(p).name + ".gcno" for p in sources()):
            continue
        got = subprocess.run(["gcov", "--json-format", "--stdout", str(notes)], cwd=build, capture_output=True, check=True)
        for document in got.stdout.splitlines():
            for file in json.loads(document)["files"]:
                path = Path(file["file"])
                path = (build / path).resolve() if not path.is_absolute() else path
                if not path.is_relative_to(ROOT) or not is_parser(name := str(path.relative_to(ROOT))):
                    continue
                for line in file["lines"]:
                    out[name][line["line_number"]] += line["count"]
    return out


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=Path)
    arguments.add_argument("--limit", type=float, default=90)
    arguments.add_argument("--missed", action="store_true", help="also the numbers of the lines that never ran")
    options = arguments.parse_args()
    found, under = counts(options.build.resolve()), []
    print("| parser | lines | run | coverage |\n|---|---:|---:|---:|")
    total = total_run = 0
    for name in sources():
        lines = found.get(name, {})
        run = sum(count > 0 for count in lines.values())
        share = 100 * run / len(lines) if lines else 0
        total, total_run = total + len(lines), total_run + run
        print(f"| `{name}` | {len(lines)} | {run} | {share:.1f} % |")
        if share < options.limit:
            under.append(name)
        if options.missed and run < len(lines):
            print("  missed:", *sorted(n for n, count in lines.items() if count == 0))
    print(f"| all | {total} | {total_run} | {100 * total_run / max(total, 1):.1f} % |")
    if under:
        sys.exit(f"coverage.py: expected at least {options.limit:g} % of the lines of each; less: {', '.join(under)}")


if __name__ == "__main__":
    main()
