#!/usr/bin/env python3
"""Writes a Hugging Face folder of a known shape with seeded random bf16 weights, for benchmarks.

    python3 bench/make_model.py --shape qwen3-0.6b --out build/models/qwen3-0.6b
    python3 bench/make_model.py --shape qwen3-8b --config-only --out build/models/qwen3-8b   # for --load-format dummy
    python3 bench/make_model.py --shape qwen3-8b --shard-bytes 1073741824 --jobs 16 --out build/models/qwen3-8b

Needs numpy unless --config-only. Streams, so memory stays at a few hundred MB a job for any shape; the same
seed gives the same weights. There is no tokenizer: prompts are token ids.
"""
import argparse
import json
import multiprocessing
import pathlib

CHUNK = 1 << 23  # weights drawn at a time


def qwen3(hidden, inter, layers, q_heads, kv_heads, head_dim, vocab, tied, context, theta=1000000, bos=151643,
          eos=151645):
    return {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16",
        "hidden_size": hidden, "intermediate_size": inter, "num_hidden_layers": layers,
        "num_attention_heads": q_heads, "num_key_value_heads": kv_heads, "head_dim": head_dim, "vocab_size": vocab,
        "tie_word_embeddings": tied, "max_position_embeddings": context, "rope_theta": theta, "rope_scaling": None,
        "rms_norm_eps": 1e-6, "hidden_act": "silu", "attention_bias": False, "attention_dropout": 0.0,
        "use_sliding_window": False, "sliding_window": None, "max_window_layers": layers, "use_cache": True,
        "bos_token_id": bos, "eos_token_id": eos,
    }


SHAPES = {
    "abacus": qwen3(256, 768, 12, 4, 2, 64, 4096, True, 1024, theta=10000, bos=1, eos=0),
    "qwen3-0.6b": qwen3(1024, 3072, 28, 16, 8, 128, 151936, True, 40960),
    "qwen3-8b": qwen3(4096, 12288, 36, 32, 8, 128, 151936, False, 40960),
    "qwen3-32b": qwen3(5120, 25600, 64, 64, 8, 128, 151936, False, 40960),
}


def tensors(cfg):
    """(name, shape, standard deviation; None for a norm) in the order of the files."""
    hidden, inter, dim = cfg["hidden_size"], cfg["intermediate_size"], cfg["head_dim"]
    q_rows, kv_rows = cfg["num_attention_heads"] * dim, cfg["num_key_value_heads"] * dim

    def linear(name, rows, cols):
        return name + ".weight", (rows, cols), cols**-0.5

    yield "model.embed_tokens.weight", (cfg["vocab_size"], hidden), 2.0 * hidden**-0.5
    for i in range(cfg["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", (hidden,), None
        yield linear(layer + "self_attn.q_proj", q_rows, hidden)
        yield linear(layer + "self_attn.k_proj", kv_rows, hidden)
        yield linear(layer + "self_attn.v_proj", kv_rows, hidden)
        yield linear(layer + "self_attn.o_proj", hidden, q_rows)
        yield layer + "self_attn.q_norm.weight", (dim,), None
        yield layer + "self_attn.k_norm.weight", (dim,), None
        yield layer + "post_attention_layernorm.weight", (hidden,), None
        yield linear(layer + "mlp.gate_proj", inter, hidden)
        yield linear(layer + "mlp.up_proj", inter, hidden)
        yield linear(layer + "mlp.down_proj", hidden, inter)
    yield "model.norm.weight", (hidden,), None
    if not cfg["tie_word_embeddings"]:
        yield "lm_head.weight", (cfg["vocab_size"], hidden), 2.0 * hidden**-0.5


def count(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def draw(rng, size, std):
    """`size` bf16 values as uint16: normal around 0, or norm weights around 1."""
    import numpy as np
    values = rng.standard_normal(size, dtype=np.float32)
    values = 1 + 0.1 * values if std is None else values * np.float32(std)
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")  # round to nearest even


def write_shard(path, entries, seed):
    """One safetensors file: u64 header size, JSON header padded to 8 bytes, then the tensors."""
    import numpy as np
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for _, name, shape, _ in entries:
        end = offset + 2 * count(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for number, _, shape, std in entries:
            rng, left = np.random.Generator(np.random.SFC64([seed, number])), count(shape)
            while left:
                f.write(draw(rng, min(left, CHUNK), std))
                left -= min(left, CHUNK)


def write_model(out, cfg, seed=0, shard_bytes=4 << 30, config_only=False, jobs=1):
    """Writes the folder; shards are closed before they pass `shard_bytes`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(cfg, indent=2) + "\n")
    if config_only:
        return
    shards, used = [[]], 0
    for number, (name, shape, std) in enumerate(tensors(cfg)):
        if shards[-1] and used + 2 * count(shape) > shard_bytes:
            shards.append([])
            used = 0
        shards[-1].append((number, name, shape, std))
        used += 2 * count(shape)
    if len(shards) == 1:
        write_shard(out / "model.safetensors", shards[0], seed)
        return
    weight_map, work = {}, []
    for i, entries in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        work.append((out / file, entries, seed))
        weight_map |= {name: file for _, name, _, _ in entries}
    with multiprocessing.Pool(jobs) as pool:
        pool.starmap(write_shard, work, chunksize=1)
    total = sum(2 * count(shape) for entries in shards for _, _, shape, _ in entries)
    (out / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", required=True, choices=SHAPES)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, help="another number of layers")
    parser.add_argument("--shard-bytes", type=int, default=4 << 30)
    parser.add_argument("--jobs", type=int, default=1, help="shards written at a time")
    parser.add_argument("--config-only", action="store_true", help="config.json alone, for --load-format dummy")
    args = parser.parse_args()
    cfg = dict(SHAPES[args.shape])
    if args.layers:
        cfg |= {"num_hidden_layers": args.layers, "max_window_layers": args.layers}
    write_model(args.out, cfg, args.seed, args.shard_bytes, args.config_only, args.jobs)


if __name__ == "__main__":
    main()
