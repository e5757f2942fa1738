#!/usr/bin/env python3
"""Plants one defect for each rule of lint.py in a small repository and expects each to be found, and nothing else."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FORBIDDEN = "hel" + "per"
UNFINISHED = "TO" + "DO"
PLANTED = {  # file: (text, what lint must say about it)
    "src/ops/up.cc": ('#include "engine/engine.h"\n', ["ops may not include engine/engine.h"]),
    "src/kv/side.cc": ('#include "loader/side.h"\n', ["kv may not include loader/side.h"]),
    "src/kernels/cpu/across.cc": ('#include "kernels/gpu/portable.h"\n', ["only src/kernels/catalogue.cc includes kernels/"]),
    "src/engine/reach.cc": ('#include "kernels/gpu/portable.h"\n', ["only src/kernels/catalogue.cc includes kernels/"]),
    "src/core/angle.cc": ("#include <nlohmann/json.hpp>\n", ["core may not include <nlohmann/json.hpp>"]),
    "src/core/high.cc": ('#include "attune/engine.h"\n', ["core may not include attune/engine.h"]),
    "apps/cli/deep.cc": ('#include "core/dtype.h"\n', ["apps may not include core/dtype.h"]),
    "src/core/words.cc": (f"int my_{FORBIDDEN}() {{ return 1; }}\n", ["forbidden word in my_"]),
    "src/core/env.cc": ('const char* home = std::getenv("HOME");\n', ["environment read outside"]),
    "src/core/noise.cc": ("void f() { std::cout << 1; }\n", ["the library prints"]),
    "src/core/quit.cc": ("void f() {\n  exit(1);\n}\n", ["the library ends the process"]),
    "src/core/vendor.cc": ("#ifdef __CUDACC__\n#endif\n", ["vendor conditional outside"]),
    "src/core/later.cc": (f"// {UNFINISHED}: more\n", ["unfinished work"]),
    "src/core/place.cc": ("// see /ro" + "ot/x\n", ["path of one machine"]),
    "src/kernels/gpu/hasty.cu": ("__global__ void __launch_bounds__(8) first(const Call c) {\n  take_turn();\n}\n"
                                "__global__ void __launch_bounds__(8) hasty(const Call c) {\n  use(c);\n}\n"
                                "__global__ void __launch_bounds__(8) early(const Call c) {\n  let_next_start();\n  use(c);\n  take_turn();\n}\n"
                                "__global__ void __launch_bounds__(8) never(const Call c) {\n  let_next_start();\n  use(c);\n}\n",
                                ["hasty: expected take_turn() first", "never: expected take_turn() first"]),
    "src/kernels/gpu/roomy.cu": ('float first() { return shared_memory()[0]; }\nvoid g() { launch_failed("gpu.norm.roomy", e); }\n',
                                ["gpu.norm.roomy: expected .shared_memory in its entry if it uses any; got use alone"]),
    "src/kernels/gpu/frugal.cu": ('void g() { launch_failed("gpu.norm.frugal", e); }\n',
                                 ["gpu.norm.frugal: expected .shared_memory in its entry if it uses any; got an entry alone"]),
    "src/kernels/gpu/right.cu": ('float first() { return shared_memory()[0]; }\nvoid g() { launch_failed("gpu.norm.right", e); }\n', []),
    "src/core/long.cc": ("int x;\n" * 801, ["expected at most 800 lines; got 801"]),
    "src/core/twice.h": ("int twice();\n", ["expected #pragma once"]),
    # Nothing is wrong with these: words in comments and literals, digit separators, members that share a name.
    "src/core/clean.cc": (
        f'// exit(1) printf("x") {FORBIDDEN}\nconst char* s = "getenv exit(1) {FORBIDDEN}";\nconst char* r = R"(abort(); "x)";\n'
        "long n = 1'000'000;\nchar q = '\"';\nvoid f(X x) { x.exit(); snprintf(b, 1, s); }\nstatic_assert(true);\n", []),
}
PAGE = "".join(f'{{.info = {{.name = "gpu.norm.{name}"}}, {shared}.launch = f}},\n'
               for name, shared in {"roomy": "", "frugal": ".shared_memory = g, ", "right": ".shared_memory = g, "}.items())
ALSO = {"src/kernels/gpu/catalogue.cc": PAGE, "src/engine/engine.h": "#pragma once\n", "src/loader/side.h": "#pragma once\n", "src/core/dtype.h": "#pragma once\n",
        "src/kernels/gpu/portable.h": "#pragma once\n", "include/attune/engine.h": "#pragma once\n", "CMakeLists.txt": "project(x)\n"}
HEAD = "| kernel | tier | device | built | mark | reduction | {0} | rules |\n|---|---|---|---|---|---|---|---|\n"
FLOORS = "# Kernels\n" + "".join(
    f"\n## {op}\n\n{HEAD.format('size')}" + "".join(f"| `gpu.{op}` | {tier} | {device}, arch one of {{x}} | b | run | t | {size} | {rule} |\n"
                                                    for tier, device, size, rule in rows)
    for op, rows in {  # full on both; a floor that is narrow; one with a rule; none at all on one vendor
        "whole": [("specialized", "cuda", "1..2", ""), ("portable", "cuda", "any", ""), ("portable", "hip", "any", "")],
        "narrow": [("portable", "cuda", "any", ""), ("portable", "hip", "1..512", "")],
        "ruled": [("portable", "cuda", "any", "size is even"), ("portable", "hip", "any", "")],
        "absent": [("portable", "cuda", "any", ""), ("specialized", "hip", "any", "")],
    }.items())
FLOOR_PROBLEMS = ["narrow: expected a portable kernel for hip with the reference's full domain; got size 1..512",
                  "ruled: expected a portable kernel for cuda with the reference's full domain; got rules size is even",
                  "absent: expected a portable kernel for hip; got none"]
WEAK = """
template <class T> T outside(T x) { return x; }
namespace attune::cpu::avx2 {
template <class T> T inside(T x) { static T last; auto keep = [](T y) { return last = y; }; return keep(x); }
int use(int x) { return outside(x) + inside(x); }
}
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        root, problems = Path(folder), []
        files = {**ALSO, "docs/generated/kernels.md": FLOORS, **{f: text for f, (text, _) in PLANTED.items()}}
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "scripts").mkdir()
        shutil.copy(Path(__file__).with_name("lint.py"), root / "scripts")
        (root / "build/bin").mkdir(parents=True)
        (root / "build/weak.cc").write_text(WEAK)
        subprocess.run(["c++", "-std=c++17", "-O0", "-c", "weak.cc", "-o", "weak.o"], cwd=root / "build", check=True)
        entry = {"directory": f"{root}/build", "file": f"{root}/src/kernels/cpu/weak.cc", "command": "c++ -mavx2 -c weak.cc", "output": "weak.o"}
        (root / "build/compile_commands.json").write_text(json.dumps([entry]))
        subprocess.run("git init -q . && git add -f .", cwd=root, shell=True, check=True)

        ran = subprocess.run([sys.executable, "scripts/lint.py", "--build", "build"], cwd=root, capture_output=True, text=True)
        lines = [line for line in ran.stdout.splitlines() if ".cc" in line or ".h" in line or ".cu" in line]
        lines = [line for line in lines if "scripts/" not in line and "host files" not in line and "format (make format)" not in line]
        for name, (_, expected) in PLANTED.items():
            found = [line for line in lines if f"{name}:" in line]
            if len(found) != len(expected) or not all(any(e in line for line in found) for e in expected):
                problems.append(f"{name}: expected {expected}; got {found}")
        weak = [line for line in ran.stdout.splitlines() if "weak.o" in line or line.startswith("FAIL weak")]
        if len(weak) != 1 or "outside" not in weak[0] or "inside" in weak[0]:
            problems.append(f"weak symbols: expected the one of outside(); got {weak}")
        floors = [line.split("kernels.md: ")[1] for line in ran.stdout.splitlines() if "kernels.md: " in line and "expected a portable" in line]
        floors = [line.split("; and ")[0] for line in floors]
        if floors != FLOOR_PROBLEMS:
            problems.append(f"floors: expected {FLOOR_PROBLEMS}; got {floors}")
        if ran.returncode != 1 or "FAIL docs" not in ran.stdout:
            problems.append(f"expected exit code 1 and no docs; got {ran.returncode}: {ran.stderr}")
    print(f"FAIL lint_test: {problems}" if problems else f"ok   lint_test: {len(PLANTED) + 2} planted files judged rightly")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
