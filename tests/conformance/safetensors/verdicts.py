"""Compares the verdict on thousands of structured safetensors files, good and bad, with that of the `safetensors` package; of a file that is
taken also the tensors' names, types, shapes and order, and the metadata.

usage: verdicts.py PATH_OF_safetensors_verdict

Each rule of the format is taken to its boundary, one step below it and one above.
"""

import itertools
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

from safetensors import safe_open

BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
    "U64": 64,
}
UNKNOWN = ["", "f32", "F32 ", " F32", "F128", "C32", "C128", "I4", "U4", "F8", "F8_E3M4", "BF8", "float32", "NULL", "F32\\u0000", "I128"]


class Cases:
    def __init__(self, folder):
        self.folder, self.paths, self.labels = folder, [], []

    def raw(self, label, content):
        path = os.path.join(self.folder, f"{len(self.paths):06d}")
        with open(path, "wb") as out:
            out.write(content)
        self.paths.append(path)
        self.labels.append(label)

    def header(self, label, header, data=b"", length=None):
        header = header if isinstance(header, bytes) else header.encode()
        self.raw(label, struct.pack("<Q", len(header) if length is None else length) + header + data)


def entry(dtype="F32", shape="[1]", offsets="[0,4]", extra=""):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{extra}}}'


DATA = b"\0" * 4
ONE = f'{{"a":{entry()}}}'


def lengths(cases):
    """The eight bytes of the length, and what follows them."""
    whole = struct.pack("<Q", len(ONE)) + ONE.encode() + DATA
    for n in range(len(whole) + 1):
        cases.raw(f"truncated to {n}", whole[:n])
    for n in range(1, 10):
        cases.raw(f"{n} bytes too many", whole + b"\0" * n)
    for n in [0, 1, 2, 7, 8, len(ONE) - 1, len(ONE) + 1, len(ONE) + 3, len(ONE) + 4, len(ONE) + 5, 99_999_999, 100_000_000, 100_000_001]:
        cases.header(f"length says {n}", ONE, DATA, n)
    for n in [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 9, 2**64 - 8, 2**64 - 7, 2**64 - 1]:
        cases.header(f"length says {n}", ONE, DATA, n)
    for n in (1, 2, 3, 8, 100, 4096):
        cases.header(f"{n} spaces behind", ONE + " " * n, DATA)
        cases.header(f"{n} spaces before", " " * n + ONE, DATA)
    for n in (100_000_000, 100_000_001):
        cases.header(f"a header of {n} bytes", ONE + " " * (n - len(ONE)), DATA)


def text(cases):
    """UTF-8 and JSON."""
    bad_utf8 = [b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf5", b"\xff", b"\xc3",
                b"\xe2\x82", b"\xf0\x9f\x98"]
    good_utf8 = [b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbb\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\x7f"]
    for piece in bad_utf8 + good_utf8 + [bytes([c]) for c in range(0x20)]:
        for place in (b'{"%s":' + entry().encode() + b"}", b'{"a":' + entry().encode() + b"}%s", b'%s{"a":' + entry().encode() + b"}",
                      b'{"__metadata__":{"k":"%s"},"a":' + entry().encode() + b"}"):
            cases.header(f"bytes {piece!r} in {place[:12]!r}", place.replace(b"%s", piece), DATA)
    for escape in ["\\u0041", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\ud83d\\u0041", "\\ud83dx", "\\u12", "\\u12g4", "\\x41", "\\/", "\\b\\f\\n\\r\\t", "\\'",
                   "\\", "\\u0000"]:
        cases.header(f"escape {escape}", f'{{"{escape}":{entry()}}}', DATA)
        cases.header(f"escape {escape} in metadata", f'{{"__metadata__":{{"k":"{escape}"}},"a":{entry()}}}', DATA)
    for wrong in ["", " ", "[", "{", "}", "[]", "null", "true", "1", '"a"', "{}", "{ }", "{}{}", "{},", "{,}", '{"a"}', '{"a":}', '{a:1}', "{'a':1}", "{}x", "[{}]",
                  '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":[]}', '{"a":""}', '{"a":true}', "{/**/}", "{}//", "NaN", '{"":{}}', "{}\n", "\t{}\r\n "]:
        cases.header(f"header {wrong!r}", wrong)
        cases.header(f"header {wrong!r} and data", wrong, DATA)
    for i in range(len(ONE)):
        cases.header(f"byte {i} missing", ONE[:i] + ONE[i + 1:], DATA)
        for c in '"{}[],:0 x':
            cases.header(f"byte {i} is {c!r}", ONE[:i] + c + ONE[i + 1:], DATA)
            cases.header(f"{c!r} before byte {i}", ONE[:i] + c + ONE[i:], DATA)
    for depth in range(118, 135):
        for opening, closing in (("[", "]"), ('{"z":', "}")):
            nested = opening * depth + ("" if opening == "[" else "0") + closing * depth
            cases.header(f"{depth} levels in an unknown member", f'{{"a":{entry(extra=f",{chr(34)}z{chr(34)}:{nested}")}}}', DATA)
            cases.header(f"{depth} levels from the top", nested, b"")
            cases.header(f"{depth} levels as a tensor", f'{{"a":{nested}}}', b"")


def numbers(cases):
    values = ["0", "1", "4", "-0", "-1", "1.0", "1e0", "1E2", "0.5", "01", "+1", "0x1", "1.", ".5", "1e999", "-1e999", "1e-999", "NaN", "Infinity", "null", "true", '"1"',
              "[1]", "{}", str(2**31), str(2**32), str(2**53 + 1), str(2**63 - 1), str(2**63), str(2**64 - 1), str(2**64), str(10**30), "9" * 400, "1 1", ""]
    for v in values:
        cases.header(f"extent {v}", f'{{"a":{entry(shape=f"[{v}]")}}}', DATA)
        cases.header(f"extent {v} beside 0", f'{{"a":{entry(shape=f"[0,{v}]", offsets="[0,0]")}}}')
        cases.header(f"extent {v} before 0", f'{{"a":{entry(shape=f"[{v},0]", offsets="[0,0]")}}}')
        cases.header(f"extents {v} twice before 0", f'{{"a":{entry(shape=f"[{v},{v},0]", offsets="[0,0]")}}}')
        cases.header(f"begin {v}", f'{{"a":{entry(offsets=f"[{v},4]")}}}', DATA)
        cases.header(f"end {v}", f'{{"a":{entry(offsets=f"[0,{v}]")}}}', DATA)
        cases.header(f"both {v}", f'{{"a":{entry(offsets=f"[{v},{v}]", shape="[0]")}}}', b"")
        cases.header(f"shape {v}", f'{{"a":{entry(shape=v)}}}', DATA)
        cases.header(f"offsets {v}", f'{{"a":{entry(offsets=v)}}}', DATA)
        cases.header(f"unknown member {v}", f'{{"a":{entry(extra=f",{chr(34)}z{chr(34)}:{v}")}}}', DATA)
        cases.header(f"metadata value {v}", f'{{"__metadata__":{{"k":{v}}},"a":{entry()}}}', DATA)
        cases.header(f"metadata {v}", f'{{"__metadata__":{v},"a":{entry()}}}', DATA)
        cases.header(f"dtype {v}", '{"a":{"dtype":%s,"shape":[1],"data_offsets":[0,4]}}' % v, DATA)
    for offsets in ["[]", "[0]", "[0,4,4]", "[4,0]", "[[0,4]]", '{"0":0,"1":4}', "[0,4,]", "[,4]"]:
        cases.header(f"offsets {offsets}", f'{{"a":{entry(offsets=offsets)}}}', DATA)


def sizes(cases):
    """dtype × shape against the bytes there are, with every overflow."""
    shapes = [[], [0], [1], [2], [3], [7], [8], [2, 3], [4, 4], [1, 1, 1, 1], [1] * 9, [2, 0, 3], [0, 2**62], [5, 1, 3]]
    for dtype, shape in itertools.product(list(BITS) + UNKNOWN, shapes):
        bits = BITS.get(dtype, 32)
        for extent in shape:
            bits *= extent
        size = (bits + 7) // 8 if bits < 2**20 else 0
        for off in (-1, 0, 1):
            if size + off >= 0:
                cases.header(f"{dtype} {shape} in {size + off} bytes", f'{{"a":{entry(dtype, json.dumps(shape), f"[0,{size + off}]")}}}', b"\0" * (size + off))
    for dtype, bits in BITS.items():
        limit = 2**64 // bits
        for n in (limit - 1, limit, limit + 1, 2**61, 2**62, 2**63, 2**64 - 1):
            for shape in ([n], [n, 1], [1, n], [n, 0], [0, n], [2, n // 2], [n // 2, 2, 2]):
                size = n * bits // 8
                cases.header(f"{dtype} {shape}", f'{{"a":{entry(dtype, json.dumps(shape), "[0,0]")}}}')
                if size < 2**64:
                    cases.header(f"{dtype} {shape} says {size}", f'{{"a":{entry(dtype, json.dumps(shape), f"[0,{size}]")}}}')
    for a, b in itertools.product((2**32 - 1, 2**32, 2**32 + 1, 2**31), repeat=2):
        cases.header(f"{a} x {b}", f'{{"a":{entry("U8", f"[{a},{b}]", f"[0,{a * b}]")}}}')
        cases.header(f"{a} x {b} wrapped", f'{{"a":{entry("U8", f"[{a},{b}]", f"[0,{a * b % 2**64}]")}}}')


def layout(cases):
    """Two and three tensors: every order, hole, overlap and gap at the end of a small grid."""
    for a, b, c, d, total in itertools.product((0, 1, 2, 4), (0, 2, 4), (0, 2, 3, 4), (2, 4, 6), (0, 2, 4, 6)):
        first = entry("U8", f"[{b - a}]" if b >= a else "[1]", f"[{a},{b}]")
        second = entry("U8", f"[{d - c}]" if d >= c else "[1]", f"[{c},{d}]")
        cases.header(f"[{a},{b}] [{c},{d}] in {total}", f'{{"x":{first},"a":{second}}}', b"\0" * total)
    for parts in itertools.permutations([(0, 4), (4, 4), (4, 8), (8, 8)], 3):
        cases.header(f"{parts}", "{" + ",".join(f'"t{i}":{entry("U8", f"[{e - b}]", f"[{b},{e}]")}' for i, (b, e) in enumerate(parts)) + "}", b"\0" * max(e for _, e in parts))
    top = 2**61 - 1
    for end in (2**64 - 1, 2**64 - 8, 2**63, 2**62):
        parts, at = [], 0
        while at < end:
            parts.append((at, min(at + top, end)))
            at = parts[-1][1]
        cases.header(f"a chain to {end}", "{" + ",".join(f'"t{i}":{entry("U8", f"[{e - b}]", f"[{b},{e}]")}' for i, (b, e) in enumerate(parts)) + "}", DATA)


def members(cases):
    fields = {"dtype": '"F32"', "shape": "[1]", "data_offsets": "[0,4]"}
    for r in range(5):
        for names in itertools.permutations(list(fields) + ["extra"], r):
            cases.header(f"members {names}", '{"a":{' + ",".join(f'"{n}":{fields.get(n, "null")}' for n in names) + "}}", DATA)
            cases.header(f"list of {names}", '{"a":[' + ",".join(fields.get(n, "null") for n in names) + "]}", DATA)
    for name in fields:
        cases.header(f"{name} null", '{"a":{' + ",".join(f'"{n}":{"null" if n == name else v}' for n, v in fields.items()) + "}}", DATA)
        cases.header(f"member {name} twice", f'{{"a":{entry(extra=f",{chr(34)}{name}{chr(34)}:{fields[name]}")}}}', DATA)
    for form in ['{"F32":null}', '{"F32":{}}', '{"F32":[]}', '{"F32":0}', '{"F32":"x"}', "{}", '{"F32":null,"F16":null}', '{"F99":null}', '["F32"]', '{"F32":{"a":null}}']:
        cases.header(f"dtype {form}", '{"a":{"dtype":%s,"shape":[1],"data_offsets":[0,4]}}' % form, DATA)
        cases.header(f"dtype {form} in a list", '{"a":[%s,[1],[0,4]]}' % form, DATA)
    for metadata in ["{}", "null", '{"k":"v"}', '{"":""}', "[]", '"x"', "1", "true", '{"k":null}', '{"k":{}}', '{"k":["v"]}', entry()]:
        cases.header(f"metadata {metadata}", f'{{"__metadata__":{metadata},"a":{entry()}}}', DATA)
        cases.header(f"metadata {metadata} last", f'{{"a":{entry()},"__metadata__":{metadata}}}', DATA)
        cases.header(f"metadata {metadata} alone", f'{{"__metadata__":{metadata}}}')
        cases.header(f"metadata {metadata} twice", f'{{"__metadata__":{metadata},"__metadata__":{{}},"a":{entry()}}}', DATA)
    for name in ["", " ", "a/b", "__metadata", "__METADATA__", "dtype", "\\u005f_metadata__", "x" * 70000]:
        cases.header(f"name {name[:20]}", f'{{"{name}":{entry()}}}', DATA)


def mutations(cases):
    """Seeded byte noise on a header that uses everything."""
    rng = random.Random(7)
    base = (f'{{"__metadata__":{{"format":"pt"}},"b":{entry("BF16", "[2,2]", "[4,12]")},"a":{entry()},"é":{entry("F4", "[2]", "[12,13]")},'
            f'"l":["I8",[3],[13,16]]}}').encode()
    alphabet = b'"{}[],:0123456789eE.+- \\u\x00\x7f\xc3\xa9\xff'
    for i in range(3000):
        mutant = bytearray(base)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            at = rng.randrange(len(mutant))
            kind = rng.randrange(4)
            if kind == 0:
                mutant[at] = rng.choice(alphabet)
            elif kind == 1:
                del mutant[at]
            elif kind == 2:
                mutant.insert(at, rng.choice(alphabet))
            else:
                mutant[at] = ord("0") + rng.randrange(10)
        cases.header(f"mutation {i}: {bytes(mutant)!r}", bytes(mutant), b"\0" * 16)


def duplicates(cases):
    """A tensor named twice, which the package takes: the last one stands, and it alone must fill its place."""
    places = [(b, e) for b in (0, 2, 4) for e in (2, 4, 6) if b <= e]
    for (a, b), (c, d), total, between in itertools.product(places, places, (2, 4, 6), ("", f',"b":{entry("U8", "[2]", "[0,2]")}')):
        first, last = entry("I8", f"[{b - a}]", f"[{a},{b}]"), entry("U8", f"[{d - c}]", f"[{c},{d}]")
        for again in ("a", "\\u0061"):
            cases.header(f"[{a},{b}] then [{c},{d}] in {total}", f'{{"a":{first}{between},"{again}":{last}}}', b"\0" * total)
    for first in ("null", "1", "{}", entry("F99"), entry(shape="[9]"), entry(shape=f"[{2**64 - 1},9]"), entry(offsets="[4,0]"), entry(offsets="[0]"), entry("F4")):
        for header in (f'{{"a":{first},"a":{entry()}}}', f'{{"a":{entry()},"a":{first}}}', f'{{"a":{first},"a":["F32",[1],[0,4]]}}'):
            cases.header(f"twice: {header}", header, DATA)
    for form in ('{"F32":null}', '"F32"'):
        cases.header(f"a dtype {form} twice", '{"a":{"dtype":%s,"shape":[9],"data_offsets":[0,0]},"a":{"dtype":%s,"shape":[1],"data_offsets":[0,4]}}' % (form, form), DATA)
    cases.header("a metadata key twice", f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{entry()}}}', DATA)
    cases.header("a metadata key twice, once escaped", f'{{"__metadata__":{{"k":"1","j":"","\\u006b":"2"}},"a":{entry()}}}', DATA)


def package_content(path):
    """What the package takes from a file, as content() of ours orders it; None and the error if it refuses."""
    try:
        with safe_open(path, framework="np") as file:
            slices = [(name, file.get_slice(name)) for name in file.offset_keys()]
            return ordered([[name, s.get_dtype(), s.get_shape()] for name, s in slices]), file.metadata() or {}
    except Exception as error:  # the package has one error type; I/O errors count as refusals too
        return None, str(error)


def ordered(tensors):
    """In the order of the data; those without any, which lie nowhere, by name at the end."""
    empty = [t for t in tensors if 0 in t[2]]
    return [t for t in tensors if 0 not in t[2]] + sorted(empty)


def same(ours, theirs):
    if theirs[0] is None:
        return ours.startswith("refuse InvalidArgument ")
    if not ours.startswith("accept "):
        return False
    tensors, metadata = json.loads(ours.removeprefix("accept "))
    return (ordered(tensors), metadata) == theirs


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(folder)
        for make in (lengths, text, numbers, sizes, layout, members, mutations, duplicates):
            make(cases)
        ran = subprocess.run([tool], input="\n".join(cases.paths) + "\n", capture_output=True, text=True, errors="replace", check=True)
        ours = ran.stdout.splitlines()
        if len(ours) != len(cases.paths):
            sys.exit(f"{tool}: expected {len(cases.paths)} verdicts; got {len(ours)}")
        theirs = [package_content(path) for path in cases.paths]
        wrong = [f"{label}\n    ours: {our[:200]}\n    package: {str(their)[:200]}" for label, our, their in zip(cases.labels, ours, theirs) if not same(our, their)]
        refused = sum(content is None for content, _ in theirs)
        print(f"{len(ours)} files: {len(ours) - refused} accepted and {refused} refused by the package; {len(wrong)} verdicts differ")
        for line in wrong[:40]:
            print(line)
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
