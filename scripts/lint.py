#!/usr/bin/env python3
"""make lint: the rules of docs/design/design.md that a program can check. One line a check, `ok` or `FAIL`; exit code 1 if any failed.

Usage: scripts/lint.py [--build DIR] [--no-docs] [CHECK…]      (python3 standard library only; the build must be up to date)
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = (".h", ".cc", ".cu")

# ---- the include rule of design.md, section 3 -------------------------------------------------------------------------------------

CHAIN = ("core", "device", "select", "ops")  # each may include itself and those before it
OPS = set(CHAIN)
MAY_INCLUDE = {
    "core": {"core"},
    "device": {"core", "device"},
    "select": {"core", "device", "select"},
    "ops": OPS,
    "kv": OPS | {"kv"},
    "loader": OPS | {"loader"},
    "proof": OPS | {"proof"},
    "tune": OPS | {"tune", "proof"},
    "models": OPS | {"kv", "loader", "proof", "tune", "models"},
    "engine": OPS | {"kv", "loader", "proof", "tune", "models", "engine"},
    "kernels/cpu": OPS | {"kernels/cpu"},
    "kernels/gpu": OPS | {"kernels/gpu"},
    "kernels/cuda": OPS | {"kernels/gpu", "kernels/cuda"},
    "kernels/rocm": OPS | {"kernels/gpu", "kernels/rocm"},
    "kernels": OPS | {"kernels", "kernels/cpu", "kernels/gpu", "kernels/cuda", "kernels/rocm"},  # catalogue.cc alone
    "public": {"public"},
    "apps": {"public", "apps"},
    "python": {"public", "python"},
}
# A public header stands at the lowest folder that may include it; those not named here at engine.
PUBLIC_LEVEL = {"error": "core", "log": "core", "options": "core", "version": "core", "tokenizer": "loader", "model": "models", "verify": "proof", "tune": "tune"}
# Angle-bracket headers that are not the standard library: which folders may include them.
EVERYWHERE = {"fmt"}
THIRD_PARTY = {
    "nlohmann": {"proof", "tune", "loader", "models", "engine", "apps", "tests", "bench"},
    "CLI": {"apps"},
    "pcre2": {"loader"},
    "utf8proc": {"loader"},
    "gtest": {"tests"},
    "gmock": {"tests"},
    "rapidcheck": {"tests"},
    "benchmark": {"bench"},
    "cuda": {"device", "kernels/gpu", "kernels/cuda", "tests"},
    "hip": {"device", "kernels/gpu", "kernels/rocm"},
    "immintrin": {"kernels/cpu", "device", "tests", "bench"},
}
THIRD_PARTY_NAME = re.compile(r"^(nlohmann|CLI|pcre2|utf8proc|gtest|gmock|rapidcheck|benchmark|cuda|cublas|cudnn|nccl|hip|rocblas|immintrin|fmt)")
THIRD_PARTY_SAME = {"cublas": "cuda", "cudnn": "cuda", "nccl": "cuda", "rocblas": "hip"}

# ---- words and sizes --------------------------------------------------------------------------------------------------------------

FORBIDDEN_WORDS = {"impl", "impls", "handler", "handlers", "manager", "managers", "util", "utils", "helper", "helpers"}
ALLOWED_IDENTIFIERS = {"sa_handler", "sighandler_t", "error_handler_t"}  # names of POSIX and of nlohmann-json
VENDOR = re.compile(r"__CUDA|__CUDACC|__NVCC|__NVPTX|__HIP|__AMDGCN|__gfx|ATTUNE_(WITH_)?(CUDA|ROCM|HIP)")
SEAMS = ("src/kernels/gpu/portable.h", "src/kernels/cpu/simd.h")
ENVIRONMENT_SITE = "src/core/options.cc"
TEXT_LIMIT = 2_000_000
LINE_LIMITS = {  # path: lines
    "CMakeLists.txt": 150,
    "src/kernels/gpu/portable.h": 150,
    "src/kernels/cpu/simd.h": 500,
    "src/engine/engine.cc": 400,
}


class Tree:
    """The tracked files, each read once; `code(path)` is a source file with comments and literals blanked, line by line the same."""

    def __init__(self):
        out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        self.files = [f for f in out.decode().split("\0") if f and (ROOT / f).is_file()]
        self._text, self._code = {}, {}

    def text(self, path):
        if path not in self._text:
            self._text[path] = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        return self._text[path]

    def code(self, path):
        if path not in self._code:
            self._code[path] = blank(self.text(path))
        return self._code[path]

    def sources(self, *tops):
        return [f for f in self.files if f.endswith(CODE) and f.startswith(tops)]


LEXEME = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\\ ]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])(?:u8|[uUL])?\'(?:\\.|[^\'\\\n])+\'', re.S)


def blank(text):
    """Replaces comments by spaces and literals by empty quotes; an #include keeps its file name."""

    def replace(match):
        token = match.group(0)
        if token[0] == '"' and re.search(r"#\s*include\s*$", text[max(0, match.start() - 40) : match.start()]):
            return token
        newlines = "\n" * token.count("\n")
        if token.startswith(("//", "/*")):
            return " " + newlines
        return '""' + newlines if token.endswith('"') else "' '"

    return LEXEME.sub(replace, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def matches(tree, files, pattern, message, skip=()):
    """One problem a match of `pattern` in the blanked code of `files`."""
    return [
        f"{f}:{line_of(tree.code(f), m.start())}: {message}: {m.group(0).strip()}"
        for f in files
        if f not in skip
        for m in pattern.finditer(tree.code(f))
    ]


# ---- checks: each returns (problems, summary) -------------------------------------------------------------------------------------


def folder_of(path):
    """The folder of the include rule that a file of the project belongs to."""
    parts = path.split("/")
    if path.startswith("src/kernels/"):
        return f"kernels/{parts[2]}" if len(parts) > 3 else "kernels"
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if path.startswith("include/attune/"):
        return "public"
    return parts[0]


def resolve(path, name):
    """The project's file that `#include "name"` in `path` means, or None."""
    for base in (os.path.dirname(path), "src", "include"):
        candidate = os.path.normpath(os.path.join(base, name))
        if (ROOT / candidate).is_file():
            return candidate
    return None


def include_problem(path, quote, name):
    here = folder_of(path)
    if quote == "<" and not name.startswith("attune/"):
        library = THIRD_PARTY_NAME.match(name)
        if not library or library.group(0) in EVERYWHERE:
            return None
        library = THIRD_PARTY_SAME.get(library.group(0), library.group(0))
        return None if here in THIRD_PARTY[library] else f"{here} may not include <{name}>"
    target = resolve(path, name)
    if target is None:
        return None if name == "build_info.h" else f"expected a file of the project; got {name}"
    there = folder_of(target)
    if there.startswith("kernels") and here != there and path != "src/kernels/catalogue.cc" and there not in MAY_INCLUDE.get(here, ()):
        return f"only src/kernels/catalogue.cc includes kernels/; got {name}"
    if here not in MAY_INCLUDE:  # tests and bench see everything but kernels
        return None
    if there == "public" and here not in ("public", "apps", "python"):
        level = PUBLIC_LEVEL.get(Path(target).stem, "engine")
        return None if level in MAY_INCLUDE[here] else f"{here} may not include {name}, which stands at {level}"
    return None if there in MAY_INCLUDE[here] else f"{here} may not include {name}"


def check_includes(tree):
    problems, count = [], 0
    for path in tree.sources("src/", "include/", "apps/", "python/", "tests/", "bench/"):
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', tree.code(path), re.M):
            count += 1
            problem = include_problem(path, m.group(1), m.group(2))
            if problem:
                problems.append(f"{path}:{line_of(tree.code(path), m.start())}: {problem}")
    return problems, f"{count} #include lines point down"


def words_of(identifier):
    return {w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def check_words(tree):
    problems = []
    for f in tree.files:
        if f.startswith(("src/", "include/", "apps/", "tests/", "bench/", "scripts/", "python/")) and words_of(f) & FORBIDDEN_WORDS:
            problems.append(f"{f}: file name has a forbidden word")
    for f in tree.sources("src/", "include/", "apps/", "tests/", "bench/", "python/"):
        code = tree.code(f)
        for m in re.finditer(r"[A-Za-z_]\w*", code):
            if m.group(0) not in ALLOWED_IDENTIFIERS and words_of(m.group(0)) & FORBIDDEN_WORDS:
                problems.append(f"{f}:{line_of(code, m.start())}: forbidden word in {m.group(0)}")
    return problems, "no forbidden word in identifiers and file names"


def check_library(tree):
    """The library reads no environment, prints nothing and never ends the process."""
    everywhere, library = tree.sources("src/", "include/", "apps/"), tree.sources("src/", "include/")
    environment = re.compile(r"\b(secure_getenv|getenv|setenv|putenv|unsetenv|environ)\b")
    printing = re.compile(r"\b(v?f?printf|puts|fputs|putchar|fputc|putc|perror)\s*\(|\bstd::(cout|cerr|clog|print(ln)?)\b|\bfmt::print\w*|\b(stdout|stderr)\b")
    ending = re.compile(r"(?<![\w.>])(std::|::)?(abort|exit|_exit|_Exit|quick_exit|assert)\s*\(|\bstd::terminate\b")
    problems = matches(tree, everywhere, environment, f"environment read outside {ENVIRONMENT_SITE}", skip=(ENVIRONMENT_SITE,))
    problems += matches(tree, library, printing, "the library prints")
    problems += matches(tree, library, ending, "the library ends the process")
    return problems, "environment read in one file; no printing, no exit in src/ and include/"


def check_preprocessor(tree):
    files = tree.sources("src/", "include/", "apps/")
    conditional = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b[^\n]*", re.M)
    problems, count, lines = [], 0, 0
    for f in files:
        lines += tree.text(f).count("\n")
        found = list(conditional.finditer(tree.code(f)))
        if f not in SEAMS:
            count += len(found)
        if f != SEAMS[0]:
            problems += [f"{f}:{line_of(tree.code(f), m.start())}: vendor conditional outside {SEAMS[0]}" for m in found if VENDOR.search(m.group(0))]
    allowed = max(4, 2 * lines // 1000)
    if count > allowed:
        problems.append(f"#if: expected at most 2 per 1000 lines ({allowed} in {lines}); got {count}")
    defines = sum(len(re.findall(r"^[ \t]*#[ \t]*define\b", tree.code(f), re.M)) for f in files)
    if defines > 40:
        problems.append(f"#define: expected at most 40; got {defines}")
    return problems, f"{count} #if in {lines} lines outside the seams, {defines} #define"


def check_text(tree):
    """No unfinished work, no path of one machine in any tracked text file."""
    unfinished = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")
    sibling = re.compile(r"\.\./sha" + r"red\b")
    machine = re.compile(r"(?<![\w./-])/(?:wo" + r"rk|root)/|(?<![\w./-])/ho" + r"me/(?!you\b|user\b)\w")
    problems = []
    for f in tree.files:
        path = ROOT / f
        if path.suffix in (".safetensors", ".jsonl", ".png", ".bin") or path.stat().st_size > TEXT_LIMIT:
            continue
        for pattern, message in ((unfinished, "unfinished work"), (sibling, "names a folder outside"), (machine, "path of one machine")):
            problems += [f"{f}:{line_of(tree.text(f), m.start())}: {message}: {m.group(0)}" for m in pattern.finditer(tree.text(f))]
    return problems, "no unfinished work, no path of one machine"


def isa_objects(build):
    """(object, flags) of every file compiled for an instruction set above the baseline, from compile_commands.json."""
    database = build / "compile_commands.json"
    if not database.is_file():
        return None
    objects = []
    for entry in json.loads(database.read_text()):
        flags = tuple(w for w in shlex.split(entry["command"]) if re.match(r"-m(avx|arch|fma|f16c|amx)", w))
        if flags and "/src/kernels/cpu/" in entry["file"]:
            output = entry.get("output") or re.search(r" -o (\S+)", entry["command"]).group(1)
            objects.append((Path(entry["directory"]) / output, flags))
    return objects


# Names inside attune::cpu: functions, their local variables, guards, type information.
OWN_SYMBOL = re.compile(r"^_Z(?:T[ISV]|GV|GR)?Z*N[KVrRO]*6attune3cpu\d")
WEAK_DATA = {"DW.ref.__gxx_personality_v0"}  # the address of the unwinder: data, the same for every instruction set


def check_weak_symbols(tree, build):
    objects = isa_objects(build)
    if not objects:
        return [f"expected objects of src/kernels/cpu compiled per instruction set in {build}; got none"], ""
    problems, owner, count = [], {}, 0
    for path, flags in objects:
        if not path.is_file():
            problems.append(f"{path.name}: expected an object (make build); got none")
            continue
        listing = subprocess.run(["nm", "--defined-only", "--format=posix", path], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            name, kind = line.split()[:2]
            if kind not in "WVu" or name in WEAK_DATA:
                continue
            count += 1
            if not OWN_SYMBOL.match(name):
                problems.append(f"{path.name}: weak symbol outside attune::cpu: {name}")
            elif owner.setdefault(name, flags) != flags:
                problems.append(f"{path.name}: weak symbol shared by two instruction sets: {name}")
    return problems, f"{count} weak symbols in {len(objects)} instruction-set objects, all in their own namespace"


def check_docs(tree, build):
    """docs/generated is what the binary writes today."""
    binary = build / "bin" / "attune"
    if not binary.is_file():
        return [f"expected {binary} (make build); got none"], ""
    with tempfile.TemporaryDirectory() as out:
        ran = subprocess.run([binary, "docs", "--out", out], capture_output=True, text=True, timeout=120)
        if ran.returncode != 0:
            return [f"attune docs: expected exit code 0; got {ran.returncode}: {ran.stderr.strip()[:200]}"], ""
        made = {p.name: p.read_bytes() for p in Path(out).iterdir()}
    kept = {p.name: p.read_bytes() for p in (ROOT / "docs/generated").glob("*") if p.name != "README.md"}
    problems = [f"attune docs: expected {name} among its files" for name in ("kernels.md", "decisions.md", "options.md") if name not in made]
    problems += [f"docs/generated/{n}: not written by attune docs" for n in sorted(kept.keys() - made.keys())]
    problems += [f"docs/generated/{n}: stale (make docs)" for n in sorted(made) if kept.get(n) != made[n]]
    return problems, f"{len(made)} pages of docs/generated are current"


def check_floors(tree):
    """Each op has, on each GPU backend, a portable kernel that admits all its reference admits: by the table that the binary wrote."""
    page = "docs/generated/kernels.md"
    if page not in tree.files:
        return [f"expected {page} (make docs); got none"], ""
    problems, floors = [], 0
    for section in re.split(r"^## ", tree.text(page), flags=re.M)[1:]:
        op, rows = section.split(None, 1)[0], [[c.strip() for c in line.strip("|\n").split(" |")] for line in section.splitlines() if line.startswith("|")]
        if not rows or not {"tier", "device", "reduction", "rules"} <= set(rows[0]):
            continue
        column, first, last = rows[0].index, rows[0].index("reduction") + 1, rows[0].index("rules")
        for vendor in ("cuda", "hip"):
            portable = [r for r in rows[2:] if r[column("tier")] == "portable" and r[column("device")].split(",")[0] == vendor]
            narrow = [f"{rows[0][i]} {r[i]}" for r in portable for i in range(first, last) if r[i] != "any"]
            narrow += [f"rules {r[last]}" for r in portable if r[last]]
            if not portable:
                problems.append(f"{page}: {op}: expected a portable kernel for {vendor}; got none")
            elif all(any(c != "any" for c in r[first:last]) or r[last] for r in portable):
                problems.append(f"{page}: {op}: expected a portable kernel for {vendor} with the reference's full domain; got {', '.join(narrow)}")
            else:
                floors += 1
    return problems, f"{floors} floors: every op has a portable kernel with the reference's full domain for cuda and hip"


def check_turns(tree):
    """Each portable kernel opens with take_turn(), or with let_next_start() and takes its turn later: its launch may start before the one in front has
    ended."""
    problems, kernels = [], 0
    for path in tree.files:
        if not re.fullmatch(r"src/kernels/gpu/\w+\.cu", path):
            continue
        for match in re.finditer(r"__global__ void [^{;]*\b(\w+)\([^)]*\) \{\n([^\n]*)(.*?)\n\}\n", tree.text(path), re.S):
            kernels += 1
            early = match.group(2).strip() == "let_next_start();" and "take_turn();" in match.group(3)
            if match.group(2).strip() != "take_turn();" and not early:
                problems.append(f"{path}: {match.group(1)}: expected take_turn() first; got {match.group(2).strip()}")
    return problems, f"{kernels} portable kernels wait for their turn"


def check_shared(tree):
    """A portable kernel uses shared memory if, and only if, its entry on the page declares how much."""
    page, problems, declared = "src/kernels/gpu/catalogue.cc", [], 0
    entries = dict(re.findall(r'(?:\.name = |info_of\()"(gpu\.\w+\.\w+)"(.*?)\.launch = ', tree.text(page), re.S)) if page in tree.files else {}
    for path in tree.files:
        name = re.search(r'launch_failed\("(gpu\.\w+\.\w+)"', tree.text(path)) if re.fullmatch(r"src/kernels/gpu/\w+\.cu", path) else None
        if not name:
            continue
        uses, declares = "shared_memory()" in tree.text(path), ".shared_memory = " in entries.get(name[1], "")
        declared += declares
        if uses != declares:
            problems.append(f"{path}: {name[1]}: expected .shared_memory in its entry if it uses any; got {'use' if uses else 'an entry'} alone")
    return problems, f"{declared} portable kernels use shared memory, as their entries declare"


def check_format(tree):
    tool = next((t for t in ("clang-format-14", "clang-format") if shutil.which(t) and " 14." in subprocess.getoutput(f"{t} --version")), None)
    if tool is None:
        return [], "clang-format 14 is absent: not checked"
    files = [f for f in tree.files if f.endswith(CODE)]

    def bad(batch):
        ran = subprocess.run([tool, "--dry-run", "-Werror", *batch], cwd=ROOT, capture_output=True, text=True)
        found = set(re.findall(r"^(\S+?):\d+:\d+: error", ran.stderr, re.M))
        return found if found or ran.returncode == 0 else {ran.stderr.strip()[:200]}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batches = pool.map(bad, (files[i : i + 16] for i in range(0, len(files), 16)))
        problems = sorted(f"{f}: format (make format)" for batch in batches for f in batch)
    return problems, f"{len(files)} files"


TEMPLATE = re.compile(r"\btemplate\s*<")


def strip_templates(head):
    """Removes `template <…>` prefixes, so that `class` in them does not read as a class."""
    while m := TEMPLATE.search(head):
        depth, end = 1, m.end()
        while end < len(head) and depth:
            depth += {"<": 1, ">": -1}.get(head[end], 0)
            end += 1
        head = head[: m.start()] + head[end:]
    return head


def functions(code):
    """(first line, lines, is a __global__ kernel) of each outermost function body, by counting braces."""
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: "\n" * m.group(0).count("\n"), code, flags=re.M)
    depth, body_depth, start, head_start, kernel = 0, None, 0, 0, False
    for m in re.finditer(r"[{};]", code):
        if m.group(0) == "{":
            if body_depth is None:
                head = strip_templates(code[head_start : m.start()])
                plain = re.sub(r"\b(?:operator\s*=+|[=!<>]=|default|delete)", "", head)
                if "(" in head and not re.search(r"\b(class|struct|union|enum|namespace)\b", plain.split("(")[0]) and "=" not in plain.split("(")[0]:
                    body_depth, start, kernel = depth, m.start(), "__global__" in head
            depth += 1
        elif m.group(0) == "}":
            depth = max(0, depth - 1)
            if depth == body_depth:
                yield line_of(code, start), code.count("\n", start, m.start()) + 1, kernel
                body_depth = None
        if body_depth is None:
            head_start = m.end()


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0


def check_sizes(tree):
    problems, host, bodies = [], {}, []
    for f in tree.sources("src/", "include/", "apps/", "python/", "bench/", "tests/"):
        lines = tree.text(f).count("\n")
        is_kernel = f.startswith("src/kernels/") and not f.endswith("catalogue.cc")
        if lines > (900 if is_kernel else 800):
            problems.append(f"{f}: expected at most {900 if is_kernel else 800} lines; got {lines}")
        if f.endswith(".h") and "#pragma once" not in tree.text(f):
            problems.append(f"{f}: expected #pragma once")
        if not is_kernel and f.startswith(("src/", "include/", "apps/")):
            host[f] = lines
        if f.startswith(("src/", "include/", "apps/")):
            for line, length, kernel in functions(tree.code(f)):
                bodies.append((length, f"{f}:{line}"))
                if kernel and length > 400:
                    problems.append(f"{f}:{line}: expected a __global__ body of at most 400 lines; got {length}")
    for f, limit in LINE_LIMITS.items():
        if f in tree.files and (lines := tree.text(f).count("\n")) > limit:
            problems.append(f"{f}: expected at most {limit} lines; got {lines}")
    for readme in (f"src/{folder}/README.md" for folder in MAY_INCLUDE if folder not in ("public", "apps", "python")):
        if readme not in tree.files:
            problems.append(f"{readme}: expected a page of at most 30 lines; got none")
        elif (lines := tree.text(readme).count("\n")) > 30:
            problems.append(f"{readme}: expected at most 30 lines; got {lines}")
    options = len(re.findall(r"^\s*option\(|set\(ATTUNE_\w+ [^)]*CACHE", tree.text("CMakeLists.txt"), re.M))
    if options > 12:
        problems.append(f"CMakeLists.txt: expected at most 12 options; got {options}")
    bodies.sort(reverse=True)
    file_p90, body_p90 = percentile(host.values(), 0.9), percentile([b[0] for b in bodies], 0.9)
    longest = ", ".join(f"{Path(f).name} {n}" for f, n in sorted(host.items(), key=lambda x: -x[1])[:3])
    report = f"{len(host)} host files, p90 {file_p90} lines (aim 400), longest {longest}; {len(bodies)} functions, p90 {body_p90} lines (aim 40)"
    if bodies:
        report += f", longest {bodies[0][1]} {bodies[0][0]}"
    if file_p90 > 400:
        problems.append(f"host files: expected a p90 of at most 400 lines; got {file_p90}")
    if body_p90 > 40:
        problems.append(f"functions: expected a p90 of at most 40 lines; got {body_p90}")
    return problems, report


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of docs/design/design.md that a program can check.")
    parser.add_argument("--build", default="build/release", help="the build folder to look at")
    parser.add_argument("--no-docs", action="store_true", help="leave out the comparison of docs/generated")
    parser.add_argument("checks", nargs="*", help="only these checks")
    args = parser.parse_args()
    build, tree = ROOT / args.build, Tree()
    checks = {
        "includes": lambda: check_includes(tree),
        "words": lambda: check_words(tree),
        "library": lambda: check_library(tree),
        "preprocessor": lambda: check_preprocessor(tree),
        "text": lambda: check_text(tree),
        "weak-symbols": lambda: check_weak_symbols(tree, build),
        "docs": lambda: check_docs(tree, build),
        "floors": lambda: check_floors(tree),
        "turns": lambda: check_turns(tree),
        "shared": lambda: check_shared(tree),
        "format": lambda: check_format(tree),
        "sizes": lambda: check_sizes(tree),
    }
    if unknown := [c for c in args.checks if c not in checks]:
        parser.error(f"checks: expected some of {', '.join(checks)}; got {unknown[0]}")
    failed = False
    for name, check in checks.items():
        if (args.checks and name not in args.checks) or (name == "docs" and args.no_docs):
            continue
        problems, summary = check()
        failed |= bool(problems)
        rest = f"; and {len(problems) - 1} more below" if len(problems) > 1 else ""
        print(f"FAIL {name}: {problems[0]}{rest}" if problems else f"ok   {name}: {summary}")
        for problem in problems[1:40]:
            print(f"       {problem}")
        if name == "sizes" and problems:
            print(f"       {summary}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
