"""The architecture of Qwen3ForCausalLM, written for training: sequences of one batch are laid end to end, so that every
compiled region sees one shape whatever the length of the sequences."""

import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": None, "eos_token_id": 2,
    "head_dim": 64, "hidden_act": "silu", "hidden_size": 256, "initializer_range": 0.02, "intermediate_size": 768,
    "max_position_embeddings": 1024, "max_window_layers": 12, "model_type": "qwen3", "num_attention_heads": 4, "num_hidden_layers": 12,
    "num_key_value_heads": 2, "pad_token_id": 0, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": None,
    "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True, "use_sliding_window": False, "vocab_size": 4096,
}
HIDDEN, HEADS, KV_HEADS, HEAD_DIM = CONFIG["hidden_size"], CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"], CONFIG["head_dim"]
EPS, LAYERS = CONFIG["rms_norm_eps"], CONFIG["num_hidden_layers"]


def rms_norm(x, weight):
    """RMSNorm computed in float32."""
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + EPS) * weight).to(x.dtype)


def rotate(x, cos, sin):
    """Rotary embedding in the half-split layout."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Norm(nn.Module):
    """The weight of an RMSNorm."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return rms_norm(x, self.weight)


class Attention(nn.Module):
    """Grouped-query attention with normalized queries and keys."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN, HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, HIDDEN, bias=False)
        self.q_norm, self.k_norm = Norm(HEAD_DIM), Norm(HEAD_DIM)


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, CONFIG["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(HIDDEN, CONFIG["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(CONFIG["intermediate_size"], HIDDEN, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One decoder layer over tokens laid end to end."""

    def __init__(self):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(HIDDEN), Norm(HIDDEN)
        self.self_attn, self.mlp = Attention(), Mlp()

    def before(self, x, cos, sin):
        """Queries, keys and values of every token."""
        attn, y = self.self_attn, self.input_layernorm(x)
        q = attn.q_norm(attn.q_proj(y).view(-1, HEADS, HEAD_DIM))
        k = attn.k_norm(attn.k_proj(y).view(-1, KV_HEADS, HEAD_DIM))
        v = attn.v_proj(y).view(-1, KV_HEADS, HEAD_DIM)
        return rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype), v

    def after(self, x, heads):
        """Output projection and feed-forward."""
        x = x + self.self_attn.o_proj(heads)
        return x + self.mlp(self.post_attention_layernorm(x))

    def forward(self, x, cos, sin, batch):
        q, k, v = (t.view(batch, -1, t.shape[1], HEAD_DIM).transpose(1, 2) for t in self.before(x, cos, sin))
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.after(x, heads.transpose(1, 2).reshape(x.shape[0], -1))


class Decoder(nn.Module):
    """Embedding, layers and final norm; parameter names are those of the published format."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm(HIDDEN)

    def forward(self, tokens):
        """Final hidden states [batch * length, hidden] of tokens [batch, length]."""
        batch, length = tokens.shape
        inverse = CONFIG["rope_theta"] ** (-torch.arange(0, HEAD_DIM, 2, device=tokens.device).float() / HEAD_DIM)
        angle = torch.outer(torch.arange(length, device=tokens.device).float(), inverse)
        angle = torch.cat((angle, angle), -1).repeat(batch, 1)[:, None]
        cos, sin = angle.cos(), angle.sin()
        x = self.embed_tokens(tokens).flatten(0, 1)
        for layer in self.layers:
            x = layer(x, cos, sin, batch)
        return self.norm(x)


class Model(nn.Module):
    """The causal language model with tied embeddings."""

    def __init__(self):
        super().__init__()
        self.model = Decoder()
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 / (2 * LAYERS) ** 0.5 if last else 0.02)

    def forward(self, tokens):
        return self.model(tokens)
