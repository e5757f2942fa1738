#!/usr/bin/env python3
"""Makes the tiny models and reference logits of tests/model/goldens with Transformers.

    python3 -m venv build/hf-venv && build/hf-venv/bin/pip install torch==2.15.0 transformers==5.23.0 safetensors numpy
    build/hf-venv/bin/python tests/model/make_goldens.py            # writes every folder again
    build/hf-venv/bin/python tests/model/make_goldens.py --check    # compares the stored ones only

Each folder is a plain Hugging Face model folder plus
  golden.json         prompts (token ids), greedy continuations, versions, tolerances, sensitivities
  golden.safetensors  "logits.<prompt>" f32 [tokens, vocab]: eager attention, every operation in float64
                      (the model's own float32 casts are lifted to float64), rounded to f32 once.
The weights are the stored ones (bf16 or f16 files are upcast exactly); nothing else is rounded.
"""
import argparse
import json
import pathlib
import re
import shutil

import numpy as np
import safetensors.torch
import torch
import transformers
from torch.overrides import TorchFunctionMode

HERE = pathlib.Path(__file__).resolve().parent / "goldens"
PROMPT_LENGTHS = (70, 33, 1)
NEW_TOKENS = 24
MIN_MARGIN = 0.005  # smallest top-two logit gap of a greedy step; seeds are tried until it holds
MAX_FLOAT_ERROR = 1.2e-5  # |Δ logprob| between Transformers in f32 and in f64: room below a tolerance of 1e-4
MIN_EFFECT = 0.01  # every feature of a model must move some log-probability by more than this

QWEN3 = ("Qwen3ForCausalLM", "qwen3")
QWEN2 = ("Qwen2ForCausalLM", "qwen2")
LLAMA = ("LlamaForCausalLM", "llama")
MISTRAL = ("MistralForCausalLM", "mistral")
GEMMA2 = ("Gemma2ForCausalLM", "gemma2")


def shape(hidden, inter, layers, q_heads, kv_heads, vocab, head_dim=None):
    cfg = dict(hidden_size=hidden, intermediate_size=inter, num_hidden_layers=layers, num_attention_heads=q_heads,
               num_key_value_heads=kv_heads, vocab_size=vocab, max_position_embeddings=256)
    return cfg | ({"head_dim": head_dim} if head_dim else {})


def old_rope(theta, scaling=None):
    return dict(rope_theta=theta, rope_scaling=scaling)


def new_rope(theta, **scaling):
    return dict(rope_parameters=dict({"rope_type": "default"} | scaling, rope_theta=theta))


SILU = dict(hidden_act="silu", rms_norm_eps=1e-6)
GELU = dict(hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)

# name: (architecture, storage dtype, shards, config, {feature: config without it})
MODELS = {
    # 7 query heads a KV head, hidden 72, tied, sharded, the spelling of the published Qwen3 configs
    "qwen3-gqa7-tied": (QWEN3, "bfloat16", 2, SILU | shape(72, 104, 2, 14, 2, 211, 16) | old_rope(1000000) | dict(
        tie_word_embeddings=True, attention_bias=False, use_sliding_window=False, sliding_window=None,
        max_window_layers=2), {}),
    # head_dim 80, yarn, biases, the second layer slides
    "qwen3-d80-yarn": (QWEN3, "bfloat16", 1, SILU | shape(56, 72, 2, 5, 1, 97, 80) | new_rope(
        10000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=32, beta_fast=2.0) | dict(
        tie_word_embeddings=False, attention_bias=True, use_sliding_window=True, sliding_window=20,
        max_window_layers=1, layer_types=["full_attention", "sliding_attention"]),
        {"window": dict(use_sliding_window=False, layer_types=None),
         "yarn beta_fast": new_rope(10000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=32)}),
    # layers 1 and 2 slide, no head_dim key, legacy "type" of the yarn scaling
    "qwen2-window-yarn": (QWEN2, "bfloat16", 1, SILU | shape(112, 72, 3, 7, 1, 131) | old_rope(
        10000.0, dict(type="yarn", factor=8.0, original_max_position_embeddings=32)) | dict(
        tie_word_embeddings=True, use_sliding_window=True, sliding_window=24, max_window_layers=1),
        {"window": dict(use_sliding_window=False), "first sliding layer": dict(max_window_layers=0),
         "attention factor": old_rope(10000.0, dict(
             type="yarn", factor=8.0, original_max_position_embeddings=32, attention_factor=1.0))}),
    # a sliding_window that use_sliding_window=false must switch off, multi-head, linear scaling
    "qwen2-linear": (QWEN2, "float32", 1, SILU | shape(80, 56, 2, 2, 2, 103) | new_rope(
        10000.0, rope_type="linear", factor=2.5) | dict(
        tie_word_embeddings=True, use_sliding_window=False, sliding_window=24, max_window_layers=1),
        {"unused window": dict(use_sliding_window=True)}),
    # head_dim 96 that is not hidden / heads, Llama 3 frequencies, untied
    "llama-d96-llama3": (LLAMA, "bfloat16", 1, SILU | shape(72, 72, 2, 3, 1, 197, 96) | old_rope(500000.0, LLAMA3)
                         | dict(tie_word_embeddings=False, attention_bias=False, mlp_bias=False, rms_norm_eps=1e-5),
                         {}),
    # biases everywhere, no head_dim key, tied
    "llama-bias-tied": (LLAMA, "float32", 1, SILU | shape(80, 104, 2, 5, 1, 101) | new_rope(500000.0) | dict(
        tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rms_norm_eps=0.02),
        {"rms_norm_eps": dict(rms_norm_eps=1e-6)}),
    # every layer slides, head_dim null, legacy "type" of the linear scaling
    "mistral-window": (MISTRAL, "float32", 1, SILU | shape(64, 88, 2, 4, 4, 113) | old_rope(
        10000.0, dict(type="linear", factor=2.0)) | dict(
        tie_word_embeddings=False, sliding_window=24, rms_norm_eps=1e-5, head_dim=None),
        {"window": dict(sliding_window=None), "window by one": dict(sliding_window=25)}),
    # head_dim 40 with 7 query heads a KV head, f16 storage, no window
    "mistral-d40-llama3": (MISTRAL, "float16", 1, SILU | shape(88, 72, 2, 7, 1, 149, 40) | new_rope(
        1000000.0, **LLAMA3) | dict(tie_word_embeddings=False, sliding_window=None, rms_norm_eps=1e-5),
        {"absent window": dict(sliding_window=24)}),
    # layers 0 and 2 slide, both softcaps, 7 query heads a KV head, an irrational embedding scale
    "gemma2-gqa7": (GEMMA2, "bfloat16", 1, GELU | shape(84, 88, 3, 7, 1, 151, 24) | dict(rope_theta=10000.0) | dict(
        hidden_act="gelu_pytorch_tanh", tie_word_embeddings=True, attention_bias=False, query_pre_attn_scalar=20,
        sliding_window=24, attn_logit_softcapping=4.0, final_logit_softcapping=6.0),
        {"window": dict(sliding_window=4096), "attention softcap": dict(attn_logit_softcapping=None),
         "final softcap": dict(final_logit_softcapping=None), "query_pre_attn_scalar": dict(query_pre_attn_scalar=24),
         "which layers slide": dict(layer_types=["full_attention", "sliding_attention", "full_attention"])}),
    # layer_types against the default pattern, head_dim 80, biases, no final softcap, untied, yarn in full
    "gemma2-d80-yarn": (GEMMA2, "float32", 1, GELU | shape(40, 136, 2, 2, 1, 223, 80) | new_rope(
        10000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=32, attention_factor=1.25,
        truncate=False) | dict(
        tie_word_embeddings=False, attention_bias=True, query_pre_attn_scalar=64, sliding_window=17,
        rms_norm_eps=0.01, attn_logit_softcapping=3.0, final_logit_softcapping=None,
        layer_types=["full_attention", "sliding_attention"]),
        {"window": dict(sliding_window=4096), "attention softcap": dict(attn_logit_softcapping=None),
         "which layers slide": dict(layer_types=None), "query_pre_attn_scalar": dict(query_pre_attn_scalar=80),
         "rms_norm_eps": dict(rms_norm_eps=1e-6),
         "truncate": new_rope(10000.0, rope_type="yarn", factor=8.0, original_max_position_embeddings=32,
                              attention_factor=1.25)}),
}


class AllDouble(TorchFunctionMode):
    """Lifts every float32 cast of the model's source to float64, and fails if a float32 tensor still appears."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def lift(value):
            return torch.float64 if value is torch.float32 else value

        if func is torch.Tensor.float:
            func = torch.Tensor.double
        out = func(*map(lift, args), **{k: lift(v) for k, v in (kwargs or {}).items()})
        if isinstance(out, torch.Tensor) and out.dtype in (torch.float32, torch.bfloat16, torch.float16):
            raise AssertionError(f"{func} made {out.dtype}")
        return out


def make_config(name):
    (architecture, model_type), dtype, _, fields, _ = MODELS[name]
    new_spelling = "rope_parameters" in fields
    cfg = {"architectures": [architecture], "model_type": model_type, "bos_token_id": 1,
           "eos_token_id": fields["vocab_size"] - 1, "use_cache": True, "attention_dropout": 0.0}
    cfg |= {"dtype" if new_spelling else "torch_dtype": dtype}
    return dict(sorted((cfg | fields).items()))


def make_weights(cfg, rng, dtype):
    """Random weights whose logits spread over several nats and whose attention is far from uniform."""
    hidden, inter = cfg["hidden_size"], cfg["intermediate_size"]
    gemma = cfg["model_type"] == "gemma2"
    head_dim = cfg.get("head_dim") or hidden // cfg["num_attention_heads"]
    q_rows, kv_rows = cfg["num_attention_heads"] * head_dim, cfg["num_key_value_heads"] * head_dim
    out = {}

    def put(name, values):
        out[name] = torch.from_numpy(np.asarray(values, np.float32)).to(getattr(torch, dtype))

    def linear(name, rows, cols, gain, bias):
        put(name + ".weight", rng.standard_normal((rows, cols)) * gain / np.sqrt(cols))
        if bias:
            put(name + ".bias", 0.3 * rng.standard_normal(rows))

    def norm(name, size, mean=1.0):
        put(name + ".weight", mean - (1.0 if gemma else 0.0) + 0.25 * rng.standard_normal(size))

    attention_bias = cfg.get("attention_bias", False)
    table = 1.8 / np.sqrt(hidden)
    put("model.embed_tokens.weight", table * rng.standard_normal((cfg["vocab_size"], hidden)))
    for i in range(cfg["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        qkv_bias = attention_bias or cfg["model_type"] == "qwen2"
        linear(layer + "self_attn.q_proj", q_rows, hidden, 1.2, qkv_bias)
        linear(layer + "self_attn.k_proj", kv_rows, hidden, 1.2, qkv_bias)
        linear(layer + "self_attn.v_proj", kv_rows, hidden, 1.5, qkv_bias)
        linear(layer + "self_attn.o_proj", hidden, q_rows, 1.2, attention_bias)
        mlp_bias = cfg.get("mlp_bias", False)
        linear(layer + "mlp.gate_proj", inter, hidden, 1.2, mlp_bias)
        linear(layer + "mlp.up_proj", inter, hidden, 1.2, mlp_bias)
        linear(layer + "mlp.down_proj", hidden, inter, 1.2, mlp_bias)
        norm(layer + "input_layernorm", hidden)
        norm(layer + "post_attention_layernorm", hidden)
        if gemma:
            norm(layer + "pre_feedforward_layernorm", hidden)
            norm(layer + "post_feedforward_layernorm", hidden)
        if cfg["model_type"] == "qwen3":
            for n in ("q_norm", "k_norm"):  # scores with a standard deviation of about 2
                spread = 1 + 0.2 * rng.standard_normal(head_dim)
                put(f"{layer}self_attn.{n}.weight", (2.0 / head_dim**0.5) ** 0.5 * spread)
    norm("model.norm", hidden)
    if not cfg.get("tie_word_embeddings"):
        put("lm_head.weight", table * rng.standard_normal((cfg["vocab_size"], hidden)))
    return out


def save_folder(folder, cfg, weights, shards):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(cfg, indent=2) + "\n")
    if shards == 1:
        safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return
    names, index = list(weights), {}
    for s in range(shards):
        part = names[s * len(names) // shards:(s + 1) * len(names) // shards]
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        safetensors.torch.save_file({n: weights[n] for n in part}, folder / file, {"format": "pt"})
        index |= {n: file for n in part}
    total = sum(t.nbytes for t in weights.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}, indent=2) + "\n")


def load(folder, changes=None, dtype=torch.float64):
    """The folder's model; `changes` replace fields of its config."""
    fields = json.loads((folder / "config.json").read_text())
    if changes and "rope_parameters" in changes:
        fields.pop("rope_theta", None), fields.pop("rope_scaling", None)
    fields |= changes or {}
    cfg = transformers.AutoConfig.for_model(**{k: v for k, v in fields.items() if k not in ("dtype", "torch_dtype")})
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=cfg, dtype=dtype, attn_implementation="eager").eval()
    if dtype is torch.float64:
        torch.set_default_dtype(torch.float64)
        with AllDouble():  # frequencies and the embedding scale too
            model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
            if hasattr(model.model.embed_tokens, "embed_scale"):
                model.model.embed_tokens.embed_scale = torch.tensor(float(cfg.hidden_size)).sqrt()
        torch.set_default_dtype(torch.float32)
    return model


@torch.no_grad()
def logits_of(model, tokens):
    ids = torch.tensor([tokens])
    if model.dtype is not torch.float64:
        return model(input_ids=ids, use_cache=False).logits[0]
    with AllDouble():
        return model(input_ids=ids, use_cache=False).logits[0]


def difference(a, b):
    """Largest |Δ logprob| over all positions."""
    return (a.double().log_softmax(-1) - b.double().log_softmax(-1)).abs().max().item()


def bfloat16_losses(folder, prompts, want):
    """What bf16 costs: Transformers in bf16, and f32 with only the inputs of matmuls rounded to bf16."""
    rounded = load(folder, dtype=torch.float32)
    for m in rounded.modules():
        if isinstance(m, torch.nn.Linear):
            m.register_forward_pre_hook(lambda _, inputs: (inputs[0].bfloat16().float(),))
    models = {"transformers": load(folder, dtype=torch.bfloat16), "matmul_inputs": rounded}
    return {k: round(max(difference(logits_of(m, p), w) for p, w in zip(prompts, want)), 4)
            for k, m in models.items()}


def greedy(model, prompt):
    tokens, margin = list(prompt), float("inf")
    for _ in range(NEW_TOKENS):
        top = logits_of(model, tokens)[-1].topk(2)
        margin = min(margin, (top.values[0] - top.values[1]).item())
        tokens.append(top.indices[0].item())
        if margin < MIN_MARGIN:
            break
    return tokens[len(prompt):], margin


def sensitivities(name, folder, model, prompt, want):
    """What leaving a feature out would change: a golden proves only what moves its logits."""
    cfg, out = json.loads((folder / "config.json").read_text()), {}
    for feature, changes in MODELS[name][4].items():
        out[feature] = difference(logits_of(load(folder, changes), prompt), want)
    rope = cfg.get("rope_scaling") or cfg.get("rope_parameters") or {}
    if rope.get("type", rope.get("rope_type", "default")) != "default":
        theta = rope.get("rope_theta", cfg.get("rope_theta"))
        out["rope scaling"] = difference(logits_of(load(folder, dict(rope_scaling=None) | new_rope(theta)), prompt),
                                         want)
    kinds = {p.split(".")[-1 if p.endswith("bias") else -2] + ("" if p.endswith("bias") else " weight")
             for p, _ in model.named_parameters() if p.endswith("bias") or "norm" in p}
    for kind in sorted(kinds):
        plain = load(folder)
        for p, value in plain.named_parameters():
            if kind == "bias" and p.endswith("bias"):
                value.data.zero_()
            elif kind != "bias" and f".{kind.split()[0]}.weight" in p:
                value.data.fill_(0.0 if cfg["model_type"] == "gemma2" else 1.0)
        out[kind] = difference(logits_of(plain, prompt), want)
    weak = {k: v for k, v in out.items() if v < MIN_EFFECT}
    assert not weak, f"{name}: features without effect: {weak}"
    return {k: round(v, 4) for k, v in out.items()}


def make(name):
    (_, model_type), dtype, shards, _, _ = MODELS[name]
    cfg, folder = make_config(name), HERE / name
    for seed in range(1000):
        rng = np.random.default_rng([seed, *name.encode()])
        save_folder(folder, cfg, make_weights(cfg, rng, dtype), shards)
        # the last id is end-of-text and stays out of prompts and continuations
        prompts = [rng.integers(0, cfg["vocab_size"] - 1, n).tolist() for n in PROMPT_LENGTHS]
        model = load(folder)
        logits = [logits_of(model, p) for p in prompts]
        single = load(folder, dtype=torch.float32)
        float_error = max(difference(logits_of(single, p), l) for p, l in zip(prompts, logits))
        runs = []
        while float_error < MAX_FLOAT_ERROR and len(runs) < len(prompts):
            runs.append(greedy(model, prompts[len(runs)]))
            if runs[-1][1] < MIN_MARGIN or cfg["eos_token_id"] in runs[-1][0]:
                break
        else:
            if runs:
                break
    else:
        raise AssertionError(f"{name}: no seed satisfies the bounds")
    golden = {
        "made_by": {"transformers": transformers.__version__, "torch": torch.__version__, "seed": seed,
                    "arithmetic": "float64, attention eager, use_cache false"},
        "float32_max_logprob_difference": float_error,
        "bfloat16_max_logprob_difference": bfloat16_losses(folder, prompts, logits),
        "logprob_spread": [round(l.log_softmax(-1).std().item(), 3) for l in logits],
        "sensitivity_max_logprob_difference": sensitivities(name, folder, model, prompts[0], logits[0]),
        "prompts": [{"token_ids": p, "logits": f"logits.{i}", "greedy": g, "greedy_min_margin": round(m, 5)}
                    for i, (p, (g, m)) in enumerate(zip(prompts, runs))],
    }
    text = json.dumps(golden, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: " ".join(m[0].split()), text)  # number lists on one line
    (folder / "golden.json").write_text(text + "\n")
    safetensors.torch.save_file({f"logits.{i}": l.float() for i, l in enumerate(logits)},
                                folder / "golden.safetensors")
    print(f"{name:20s} seed {seed:3d}, f32 error {float_error:.1e}, spread {golden['logprob_spread']}, "
          f"{sum(f.stat().st_size for f in folder.iterdir()) // 1024} KiB, "
          f"{golden['sensitivity_max_logprob_difference']}", flush=True)


def check(name):
    folder = HERE / name
    golden = json.loads((folder / "golden.json").read_text())
    stored = safetensors.torch.load_file(folder / "golden.safetensors")
    model, worst = load(folder), 0.0
    for p in golden["prompts"]:
        worst = max(worst, (logits_of(model, p["token_ids"]) - stored[p["logits"]]).abs().max().item())
        assert greedy(model, p["token_ids"])[0] == p["greedy"], f"{name}: another greedy continuation"
    assert worst < 2e-6, f"{name}: logits differ by {worst}"
    print(f"{name:20s} as stored (max |Δ logit| {worst:.1e})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the stored goldens, write nothing")
    parser.add_argument("names", nargs="*", default=[], help="only these models")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for name in args.names or MODELS:
        (check if args.check else make)(name)


if __name__ == "__main__":
    main()
