"""llama.cpp as a peer, through the C interface that llama-cpp-python carries: peer_llama_cpp.py MODEL.gguf"""
import argparse
import ctypes
import time

import llama_cpp as ll
import numpy as np

from protocol import context_tokens, serve


class LlamaCpp:
    def __init__(self, path, threads, flash):
        self.name = "llama.cpp " + ("flash" if flash else "no-flash")
        self.threads, self.flash, self.ctx, self.held = threads, flash, None, None
        self.quiet = ll.llama_log_callback(lambda *_: None)
        ll.llama_log_set(self.quiet, None)
        ll.llama_backend_init()
        self.model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama.cpp: cannot load {path}")
        self.vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))

    def open(self, tokens, batch):
        """A fresh context for `batch` sequences of up to `tokens` tokens each."""
        if self.ctx:
            ll.llama_free(self.ctx)
        p = ll.llama_context_default_params()
        p.n_seq_max, p.n_ctx = batch, batch * (-(-tokens // 256) * 256)
        p.n_batch = p.n_ubatch = 512
        p.n_threads = p.n_threads_batch = self.threads
        p.flash_attn_type = 1 if self.flash else 0
        p.no_perf = True
        self.ctx = ll.llama_init_from_model(self.model, p)
        self.memory, self.held = ll.llama_get_memory(self.ctx), None
        self.batch = ll.llama_batch_init(512, 0, 1)

    def feed(self, tokens, positions, sequences, outputs):
        b = self.batch
        b.n_tokens = len(tokens)
        for i, values in enumerate(zip(tokens, positions, sequences, outputs)):
            b.token[i], b.pos[i], b.seq_id[i][0], b.logits[i] = values
            b.n_seq_id[i] = 1
        if ll.llama_decode(self.ctx, b):
            raise RuntimeError("llama_decode failed")

    def prompt(self, tokens, sequence):
        for start in range(0, len(tokens), 512):
            part = tokens[start:start + 512]
            n, last = len(part), start + len(part) == len(tokens)
            self.feed(part, range(start, start + n), [sequence] * n, [False] * (n - 1) + [last])

    def argmax(self, row):
        return int(self.logits(row).argmax())

    def logits(self, row):
        return np.ctypeslib.as_array(ll.llama_get_logits_ith(self.ctx, ctypes.c_int32(row)), (self.vocab,))

    def prefill(self, context):
        if self.held != ("prefill", context):
            self.open(context, 1)
            self.held = ("prefill", context)
        ll.llama_memory_clear(self.memory, True)
        tokens = context_tokens(context, 0, self.vocab)
        start = time.perf_counter()
        self.prompt(tokens, 0)
        self.argmax(-1)
        return {"seconds": time.perf_counter() - start, "tokens": context}

    def decode(self, context, batch, new):
        if self.held != ("decode", context, batch):
            self.open(context + new + 1, batch)
            for s in range(batch):
                self.prompt(context_tokens(context, s, self.vocab), s)
            self.held = ("decode", context, batch)
        tokens = [s + 1 for s in range(batch)]
        start = time.perf_counter()
        for step in range(new):
            self.feed(tokens, [context + step] * batch, range(batch), [True] * batch)
            tokens = [self.argmax(s) for s in range(batch)]
        seconds = time.perf_counter() - start
        for s in range(batch):
            ll.llama_memory_seq_rm(self.memory, s, context, -1)
        return {"seconds": seconds, "tokens": batch * new}

    def top(self, token_ids):
        self.open(len(token_ids), 1)
        self.prompt(token_ids, 0)
        logits = self.logits(-1)
        return {"top": [[int(i), float(logits[i])] for i in np.argsort(-logits)[:8]]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-flash", action="store_true")
    args = parser.parse_args()
    serve(LlamaCpp(args.gguf, args.threads, not args.no_flash))
