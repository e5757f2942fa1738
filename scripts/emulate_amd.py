#!/usr/bin/env python3
"""Runs the portable kernels' AMD code objects on an instruction-level emulator and judges each case by src/proof: what the mark "emulated" means.

    cmake --preset rocm -DATTUNE_TESTS=ON && cmake --build --preset rocm --target attune_emulated
    PYTHONPATH=TINYGRAD scripts/emulate_amd.py [--cases FILE] [--only WORD]

TINYGRAD is a source checkout of tinygrad, whose tests hold the emulator (test/mockgpu/amd/emu.py; tried at commit a9069c17). Needs Python 3.11 and
clang. A code object works on the memory of this process: host arrays are device memory. Some 3 us an instruction and wave, once each instruction
that occurs is compiled. The emulator's FP8 is OCP, and it knows no caches and no order between waves but barriers.
"""

import argparse
import ctypes
import os
import pathlib
import struct
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
EXECUTE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint32),
                           ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint64)
LDS_UNIT = 512
ARCHITECTURE = "gfx942"  # code for gfx90a wants more in its registers at the start than is set up here


def unpack(data, at):
    """One msgpack value of the kinds that AMD's metadata use, and where the next begins."""
    tag = data[at]
    at += 1
    if tag < 0x80 or tag >= 0xE0:
        return (tag if tag < 0x80 else tag - 256), at
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    if tag in (0xCC, 0xCD, 0xCE, 0xCF, 0xD0, 0xD1, 0xD2, 0xD3):
        size = 1 << (tag & 3)
        return int.from_bytes(data[at:at + size], "big", signed=tag >= 0xD0), at + size
    kind, count = ("map", tag & 15) if tag < 0x90 else ("list", tag & 15) if tag < 0xA0 else ("text", tag & 31)
    if tag >= 0xC0:
        kind, size = {0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4), 0xDC: ("list", 2), 0xDD: ("list", 4), 0xDE: ("map", 2), 0xDF: ("map", 4)}[tag]
        count, at = int.from_bytes(data[at:at + size], "big"), at + size
    if kind == "text":
        return data[at:at + count].decode(), at + count
    values = []
    for _ in range(count * (2 if kind == "map" else 1)):
        value, at = unpack(data, at)
        values.append(value)
    return (dict(zip(values[::2], values[1::2])) if kind == "map" else values), at


class CodeObject:
    """An AMDGPU ELF in memory at its own layout, with the metadata of its kernels."""

    def __init__(self, raw):
        headers_at, = struct.unpack_from("<Q", raw, 32)
        size, count = struct.unpack_from("<HH", raw, 54)
        headers = [struct.unpack_from("<IIQQQQQQ", raw, headers_at + i * size) for i in range(count)]
        loads = [h for h in headers if h[0] == 1]
        self._memory = ctypes.create_string_buffer(max(h[3] + h[6] for h in loads) + 8192)
        self._base = (ctypes.addressof(self._memory) + 4095) & ~4095
        for _, _, offset, address, _, file_size, _, _ in loads:
            ctypes.memmove(self._base + address, raw[offset:offset + file_size], file_size)
        self._kernels = {k[".name"]: k for h in headers if h[0] == 4 for k in self._notes(raw, h[2], h[5])}
        self._symbols = self._read_symbols(raw)

    @staticmethod
    def _notes(raw, at, size):
        end = at + size
        while at < end:
            name_size, data_size, kind = struct.unpack_from("<III", raw, at)
            data_at = at + 12 + (name_size + 3) // 4 * 4
            if kind == 32:
                yield from unpack(raw[data_at:data_at + data_size], 0)[0]["amdhsa.kernels"]
            at = data_at + (data_size + 3) // 4 * 4

    @staticmethod
    def _read_symbols(raw):
        sections_at, = struct.unpack_from("<Q", raw, 40)
        size, count = struct.unpack_from("<HH", raw, 58)
        sections = [struct.unpack_from("<IIQQQQIIQQ", raw, sections_at + i * size) for i in range(count)]
        symbols = {}
        for _, kind, _, _, offset, length, link, _, _, entry in sections:
            if kind != 11:  # dynamic symbols
                continue
            names = sections[link][4]
            for at in range(offset, offset + length, entry):
                name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", raw, at)
                symbols[raw[names + name:raw.index(b"\0", names + name)].decode()] = value
        return symbols

    def run(self, run_asm, name, blocks, threads, arguments, shared_bytes):
        kernel = self._kernels[name]
        descriptor_at = self._base + self._symbols[kernel[".symbol"]]
        descriptor = ctypes.string_at(descriptor_at, 64)
        shared, scratch, _ = struct.unpack_from("<III", descriptor, 0)
        entry, = struct.unpack_from("<q", descriptor, 16)
        resources, = struct.unpack_from("<I", descriptor, 52)
        properties, = struct.unpack_from("<H", descriptor, 56)
        if properties & 0x7F != 0x8:
            raise NotImplementedError(f"{name}: expected no user registers but the address of its arguments; got {properties:#x}")
        packed = self._pack(kernel, blocks, threads, arguments, shared_bytes)
        units = (shared + shared_bytes + LDS_UNIT - 1) // LDS_UNIT
        pointer = ctypes.addressof(packed)
        run_asm(descriptor_at + entry, 1 << 20, *blocks, *threads, pointer, resources & ~(0x1FF << 15) | units << 15, scratch, "cdna",
                [pointer & 0xFFFFFFFF, pointer >> 32])

    @staticmethod
    def _pack(kernel, blocks, threads, arguments, shared_bytes):
        packed = ctypes.create_string_buffer(kernel[".kernarg_segment_size"] + 64)
        hidden = {"hidden_remainder_" + a: 0 for a in "xyz"} | {"hidden_grid_dims": 1, "hidden_dynamic_lds_size": shared_bytes}
        for axis, n, m in zip("xyz", blocks, threads):
            hidden["hidden_block_count_" + axis], hidden["hidden_group_size_" + axis] = n, m
        given = iter(range(len(kernel[".args"])))
        for a in kernel[".args"]:
            where = ctypes.addressof(packed) + a[".offset"]
            if not a[".value_kind"].startswith("hidden_"):
                ctypes.memmove(where, arguments[next(given)], a[".size"])
            elif a[".value_kind"] in hidden:
                ctypes.memmove(where, hidden[a[".value_kind"]].to_bytes(a[".size"], "little"), a[".size"])
        return packed


def executor(run_asm):
    objects = {}

    def execute(code, size, name, blocks, threads, arguments, shared_bytes):
        try:
            if code not in objects:
                objects[code] = CodeObject(ctypes.string_at(code, size))
            objects[code].run(run_asm, name.decode(), blocks[0:3], threads[0:3], arguments, shared_bytes)
            return 0
        except Exception as e:  # must not cross the border to C++
            print(f"  {name.decode()}: {type(e).__name__}: {e}", file=sys.stderr)
            return 1

    return EXECUTE(execute)


def run_case(library, execute, arch, line):
    out = ctypes.create_string_buffer(2000)
    start = time.monotonic()
    wrong = library.attune_emulated_case(execute, arch.encode(), line.encode(), out, len(out))
    print(f"{'FAILED' if wrong else 'ok    '} {arch} {line}: {out.value.decode()} ({time.monotonic() - start:.1f} s)", flush=True)
    return wrong


def in_child(work):
    """What `work` returned in a child process, 0 or 1, or 128 and the signal that ended it: a tensor may end at a guard page."""
    child = os.fork()
    if child == 0:
        os._exit(work())
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 | os.WTERMSIG(status)


def main():
    parser = argparse.ArgumentParser(description="Runs cases of the portable kernels on an emulator of AMD GPUs.")
    parser.add_argument("--library", default=HERE / "build/rocm/tests/emulated/libattune_emulated.so")
    parser.add_argument("--cases", default=HERE / "tests/emulated/cases.txt")
    parser.add_argument("--only", default="", help="cases whose line contains this")
    options = parser.parse_args()
    try:
        from test.mockgpu.amd.emu import run_asm
    except ImportError as e:
        sys.exit(f"emulate_amd.py: expected a source checkout of tinygrad on PYTHONPATH; got {e}")
    library = ctypes.CDLL(str(options.library))
    execute = executor(run_asm)
    lines = [line.strip() for line in pathlib.Path(options.cases).read_text().splitlines() if line.strip() and not line.startswith("#")]
    passed, failed = {}, 0
    for line in lines:
        if options.only not in line:
            continue
        ending = in_child(lambda: run_case(library, execute, ARCHITECTURE, line))
        if ending > 1:
            print(f"FAILED {ARCHITECTURE} {line}: ended by signal {ending & 0x7F}", flush=True)
        failed += ending != 0
        name = line.split()[0]
        passed[name] = passed.get(name, 0) + (ending == 0)
    for name, count in passed.items():
        print(f"{name}: {count} cases emulated on {ARCHITECTURE}")
    print(f"{sum(passed.values())} cases passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
