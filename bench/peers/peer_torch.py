"""Transformers (its SDPA or eager attention), or a plain PyTorch loop with a preallocated KV cache, as a peer:
peer_torch.py MODEL_DIR --engine sdpa|eager|plain"""
import argparse
import time

import torch
import torch.nn.functional as F
import transformers

from protocol import context_tokens, serve


class PlainQwen3:
    """Qwen3 in bare PyTorch operations: what a user who avoids the framework's overheads would write."""

    def __init__(self, model):
        self.c, self.m, self.d = model.config, model.model, model.config.head_dim
        self.head = model.lm_head.weight
        self.layers = [(torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]), a.o_proj.weight,
                        torch.cat([l.mlp.gate_proj.weight, l.mlp.up_proj.weight]), l.mlp.down_proj.weight,
                        l.input_layernorm.weight, l.post_attention_layernorm.weight, a.q_norm.weight, a.k_norm.weight)
                       for l in self.m.layers for a in [l.self_attn]]

    def new_cache(self, batch, tokens):
        shape = (batch, self.c.num_key_value_heads, tokens, self.d)
        return [(torch.zeros(shape, dtype=self.head.dtype), torch.zeros(shape, dtype=self.head.dtype))
                for _ in self.layers]

    def norm(self, x, weight):
        return F.rms_norm(x, (weight.numel(),), weight, self.c.rms_norm_eps)

    def rope(self, x, cos, sin):
        half = self.d // 2
        return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

    def attend(self, q, k, v):
        if q.shape[2] > 1:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        batch, heads, _, dim = q.shape  # one token: two batched products are faster than SDPA on a CPU
        q = q.reshape(batch, k.shape[1], heads // k.shape[1], dim)
        weights = (q @ k.transpose(-1, -2) * dim**-0.5).softmax(-1)
        return (weights @ v).reshape(batch, heads, 1, dim)

    def __call__(self, ids, cache, start):
        batch, n = ids.shape
        heads, kv = self.c.num_attention_heads, self.c.num_key_value_heads
        x = F.embedding(ids, self.m.embed_tokens.weight)
        cos, sin = self.m.rotary_emb(x, torch.arange(start, start + n)[None])
        for (qkv, o, gate_up, down, norm1, norm2, q_norm, k_norm), (keys, values) in zip(self.layers, cache):
            rows = F.linear(self.norm(x, norm1), qkv).view(batch, n, heads + 2 * kv, self.d).transpose(1, 2)
            q, k, v = rows.split([heads, kv, kv], 1)
            keys[:, :, start:start + n] = self.rope(self.norm(k, k_norm), cos, sin)
            values[:, :, start:start + n] = v
            a = self.attend(self.rope(self.norm(q, q_norm), cos, sin), keys[:, :, :start + n], values[:, :, :start + n])
            x = x + F.linear(a.transpose(1, 2).reshape(batch, n, -1), o)
            gate, up = F.linear(self.norm(x, norm2), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return F.linear(self.norm(x[:, -1:], self.m.norm.weight), self.head)


class Torch:
    def __init__(self, folder, threads, engine):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.name = {"sdpa": "Transformers sdpa", "eager": "Transformers eager", "plain": "PyTorch plain"}[engine]
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16, attn_implementation="eager" if engine == "eager" else "sdpa").eval()
        self.vocab, self.held = self.model.config.vocab_size, None
        self.plain = PlainQwen3(self.model) if engine == "plain" else None

    def new_cache(self, batch, tokens):
        return self.plain.new_cache(batch, tokens) if self.plain else transformers.DynamicCache()

    def forward(self, ids, cache, start):
        if self.plain:
            return self.plain(ids, cache, start)[:, -1]
        return self.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]

    def prefill(self, context):
        ids = torch.tensor([context_tokens(context, 0, self.vocab)])
        cache = self.new_cache(1, context)
        start = time.perf_counter()
        self.forward(ids, cache, 0).argmax(-1)
        return {"seconds": time.perf_counter() - start, "tokens": context}

    def decode(self, context, batch, new):
        if self.held != (context, batch):
            ids = torch.tensor([context_tokens(context, s, self.vocab) for s in range(batch)])
            self.cache = self.new_cache(batch, context + new)
            self.forward(ids, self.cache, 0)
            self.held = (context, batch)
        ids = torch.arange(1, batch + 1)[:, None]
        start = time.perf_counter()
        for step in range(new):
            ids = self.forward(ids, self.cache, context + step).argmax(-1, keepdim=True)
        seconds = time.perf_counter() - start
        if not self.plain:
            self.cache.crop(-new)
        return {"seconds": seconds, "tokens": batch * new}

    def top(self, token_ids):
        logits = self.forward(torch.tensor([token_ids]), self.new_cache(1, len(token_ids)), 0)[0].float()
        best = logits.topk(8)
        return {"top": list(zip(best.indices.tolist(), best.values.tolist()))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", choices=["sdpa", "eager", "plain"], default="sdpa")
    args = parser.parse_args()
    serve(Torch(args.folder, args.threads, args.engine))
