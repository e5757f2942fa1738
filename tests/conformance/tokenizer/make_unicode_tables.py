#!/usr/bin/env python3
"""Writes src/loader/tokenizer_unicode_tables.h: where the Unicode tables behind the `tokenizers` package differ from those of
the libraries we link.

Needs `tokenizers` and two unpacked versions of `unicodedata2`, 16.0.0 (the version of the package's regular expressions)
and a later one, each installed with `pip install --target DIR unicodedata2==VERSION`:

    make_unicode_tables.py --unicode16 DIR --later DIR > src/loader/tokenizer_unicode_tables.h

It must run under a Python whose own `unicodedata` is 14.0 or older: the oldest tables a supported PCRE2 carries.
"""
import argparse
import json
import subprocess
import sys
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import unicodedata2 as u
forms = ("NFC", "NFD", "NFKC", "NFKD")
marks = ("a%s\\u0334", "a\\u0345%s", "a\\u0301%s", "a\\u0323%s")
rows = {}
for c in range(0x110000):
    if 0xd800 <= c < 0xe000: continue
    s = chr(c)
    canonical = u.decomposition(s)
    tests = [s]
    if u.combining(s): tests += [m % s for m in marks]
    if canonical and canonical[0] != "<": tests.append("".join(chr(int(x, 16)) for x in canonical.split()))
    wanted = [[t, [u.normalize(f, t) for f in forms]] for t in tests if any(u.normalize(f, t) != t for f in forms)]
    rows[c] = [u.category(s), wanted]
print(json.dumps(rows))
"""


def load(folder):
    out = subprocess.run([sys.executable, "-c", PROGRAM, folder], capture_output=True, text=True, check=True).stdout
    return {int(k): v for k, v in json.loads(out).items()}


def members(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return {c for c in CODE_POINTS if not split.pre_tokenize_str(chr(c))}


def utf8_length(c):
    return len(chr(c).encode())


def representatives(now, later, han):
    """Ranges of code points whose category is not the same in all versions, each with a stable code point of its kind."""
    stable = {("Cn", 2, False): 0x378, ("Cn", 3, False): 0xFFFE, ("Cn", 4, False): 0x1FFFE, ("Lo", 4, True): 0x20000}
    wanted = {}
    for c in CODE_POINTS:
        category = now[c][0]
        key = (category, utf8_length(c), c in han)
        if category == later[c][0] == unicodedata.category(chr(c)):
            if c not in han:
                stable.setdefault(key, c)
        else:
            wanted[c] = key
    rows = []
    for c in sorted(wanted):
        r = stable[wanted[c]]
        if rows and rows[-1][1] == c - 1 and rows[-1][2] == r:
            rows[-1][1] = c
        else:
            rows.append([c, c, r])
    rows.append([0x180E, 0x180E, 0x200B])  # a space only to PCRE2
    return sorted(rows)


def inert(later):
    """Code points that the package's older normaliser leaves alone and a newer one changes."""
    forms = [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD()]
    found = set()
    for c in CODE_POINTS:
        for text, expected in later[c][1]:
            if [f.normalize_str(text) for f in forms] != expected:
                found.add(c)
                if text != chr(c) and text[0] != "a":
                    found.add(ord(text[0]))  # the first half of a pair that must not compose
    rows = []
    for c in sorted(found):
        if rows and rows[-1][1] == c - 1:
            rows[-1][1] = c
        else:
            rows.append([c, c])
    return rows


def table(rows, per_line):
    cells = ["{" + ", ".join(f"0x{x:x}" for x in row) + "}" for row in rows]
    return "\n".join("    " + ", ".join(cells[i : i + per_line]) + "," for i in range(0, len(cells), per_line))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unicode16", required=True)
    parser.add_argument("--later", required=True)
    args = parser.parse_args()
    if int(unicodedata.unidata_version.split(".")[0]) > 14:
        sys.exit("needs a Python with Unicode 14 or older")
    now, later = load(args.unicode16), load(args.later)
    han = members(r"\p{Han}")
    print("#pragma once")
    print("// Made by tests/conformance/tokenizer/make_unicode_tables.py; do not edit.\n// clang-format off\n")
    print('#include "loader/tokenizer_unicode.h"\n\nnamespace attune {\n')
    print("inline constexpr CodePointAlias kAliases[] = {")
    print(table(representatives(now, later, han), 6))
    print("};\n\ninline constexpr CodePointRange kInert[] = {")
    print(table(inert(later), 8))
    print("};\n\n}  // namespace attune")


if __name__ == "__main__":
    main()
