#!/usr/bin/env python3
"""Writes a Qwen3 Hugging Face folder (bf16) as a GGUF file without a tokenizer: to_gguf.py MODEL_DIR OUT.gguf

GGUF 3: "GGUF", u32 version, u64 tensors, u64 pairs; pairs (string key, u32 type, value); tensor records (string
name, u32 rank, u64 dims with the innermost first, u32 type, u64 offset); then the data, each tensor aligned to 32.
"""
import json
import pathlib
import struct
import sys

import numpy as np

U32, F32, STRING = 4, 6, 8  # types of pairs
TENSOR_F32, TENSOR_BF16 = 0, 30
MOSTLY_BF16 = 32
ALIGN = 32


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key, value):
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", F32, value)
    return text(key) + struct.pack("<II", U32, value)


def read_tensors(folder):
    """name -> (file, byte offset, shape); only BF16 tensors are accepted."""
    out = {}
    for path in sorted(folder.glob("*.safetensors")):
        if path.name == "golden.safetensors":
            continue
        with open(path, "rb") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            header = json.loads(f.read(size))
        header.pop("__metadata__", None)
        for name, info in header.items():
            if info["dtype"] != "BF16":
                raise SystemExit(f"{path}: {name}: expected BF16; got {info['dtype']}")
            out[name] = (path, 8 + size + info["data_offsets"][0], info["shape"])
    return out


def gguf_name(name):
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    if name in whole:
        return whole[name]
    _, _, layer, *rest = name.split(".")
    part = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
            "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
            "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
            "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}[".".join(rest[:-1])]
    return f"blk.{layer}.{part}.{rest[-1]}"


def metadata(cfg):
    a = "qwen3."
    return {
        "general.architecture": "qwen3", "general.name": "bench", "general.alignment": ALIGN,
        "general.file_type": MOSTLY_BF16, "tokenizer.ggml.model": "no_vocab",
        a + "vocab_size": cfg["vocab_size"], a + "context_length": cfg["max_position_embeddings"],
        a + "embedding_length": cfg["hidden_size"], a + "block_count": cfg["num_hidden_layers"],
        a + "feed_forward_length": cfg["intermediate_size"], a + "attention.head_count": cfg["num_attention_heads"],
        a + "attention.head_count_kv": cfg["num_key_value_heads"], a + "attention.key_length": cfg["head_dim"],
        a + "attention.value_length": cfg["head_dim"],
        a + "attention.layer_norm_rms_epsilon": float(cfg["rms_norm_eps"]),
        a + "rope.freq_base": float(cfg.get("rope_theta") or cfg["rope_parameters"]["rope_theta"]),
    }


def convert(folder, out):
    cfg = json.loads((folder / "config.json").read_text())
    if cfg["architectures"] != ["Qwen3ForCausalLM"] or cfg.get("rope_scaling") or cfg.get("attention_bias"):
        raise SystemExit(f"{folder}: expected a Qwen3 without rope scaling and biases; got {cfg['architectures']}")
    tensors, records, offset = read_tensors(folder), b"", 0
    if cfg.get("tie_word_embeddings"):
        tensors.pop("lm_head.weight", None)
    for name, (_, _, shape) in tensors.items():
        wide = len(shape) == 1  # llama.cpp wants norms in f32
        records += text(gguf_name(name)) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
        records += struct.pack("<IQ", TENSOR_F32 if wide else TENSOR_BF16, offset)
        size = int(np.prod(shape)) * (4 if wide else 2)
        offset += -(-size // ALIGN) * ALIGN
    pairs = metadata(cfg)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    head += b"".join(pair(k, v) for k, v in pairs.items()) + records
    with open(out, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGN))
        for path, start, shape in tensors.values():
            data = np.memmap(path, "<u2", "r", start, (int(np.prod(shape)),))
            if len(shape) == 1:
                data = (data.astype("<u4") << 16).view("<f4")
            f.write(data)
            f.write(b"\0" * (-data.nbytes % ALIGN))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
