"""PyTorch's matmul and scaled_dot_product_attention as a peer of single kernels: peer_ops.py [--threads N]"""
import argparse
import statistics
import time

import torch
import torch.nn.functional as F

from protocol import serve

COLD_BYTES = 256 << 20  # heavy tensors take turns among as many copies, as a model's layers do


def median_seconds(call, copies, seconds=1.0):
    """Median time of call(i) over calls that take turns among the copies."""
    times, start = [], time.perf_counter()
    call(0)
    while len(times) < 5 or (time.perf_counter() - start < seconds and len(times) < 1000):
        begin = time.perf_counter()
        call(len(times) % copies)
        times.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(times), "samples": len(times)}


class Ops:
    name = "PyTorch"

    def __init__(self, threads):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)

    def matmul(self, rows, n, k):
        copies = max(1, COLD_BYTES // (2 * n * k)) if rows <= 64 else 1
        x = torch.randn(rows, k).to(torch.bfloat16)
        w = [torch.randn(n, k).to(torch.bfloat16) for _ in range(copies)]
        return median_seconds(lambda i: F.linear(x, w[i]), copies)

    def attention(self, q_len, context, heads, kv_heads, head_dim):
        """The last q_len of `context` tokens, causal (bottom-right aligned, which SDPA's is_causal is for equal lengths alone)."""
        q = torch.randn(1, heads, q_len, head_dim).to(torch.bfloat16)
        bytes_each = 4 * kv_heads * context * head_dim
        copies = max(1, COLD_BYTES // bytes_each) if q_len == 1 else 1
        kv = [[torch.randn(1, kv_heads, context, head_dim).to(torch.bfloat16) for _ in range(2)] for _ in range(copies)]
        if q_len not in (1, context):
            raise ValueError("q_len: expected 1 or the context")
        return median_seconds(lambda i: F.scaled_dot_product_attention(q, *kv[i], is_causal=q_len > 1, enable_gqa=True), copies)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    serve(Ops(parser.parse_args().threads))
