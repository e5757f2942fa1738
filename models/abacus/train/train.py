"""Trains the model on one GPU: makes the problems, tokenizes them, trains, writes a Hugging Face folder.

    python3 train.py --tokenizer .. --out ../../../out/abacus
"""

import argparse
import json
import multiprocessing
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn.attention import SDPBackend, sdpa_kernel

from model import CONFIG, Model
from problems import TRAIN_COUNT, problem
from tokenizer import prompt_text

LENGTHS = (128, 192, 256, 320, 384, 448)
TOKENS = 134_400  # a multiple of every length
CHUNK = 4000
QUESTION_WEIGHT = 0.1


def _encode_chunk(task):
    path, start, count = task
    tokenizer = Tokenizer.from_file(path)
    rows = [problem(i) for i in range(start, start + count)]
    prompts = tokenizer.encode_batch([prompt_text(r["prompt"]) for r in rows])
    answers = tokenizer.encode_batch([r["solution"] + "<|im_end|>" for r in rows])
    tokens = np.concatenate([np.array(ids, np.uint16) for p, a in zip(prompts, answers) for ids in (p.ids, a.ids)])
    return tokens, np.array([len(p.ids) for p in prompts], np.int32), np.array([len(a.ids) for a in answers], np.int32)


def make_data(tokenizer_path, count, processes):
    """(tokens, prompt lengths, answer lengths) of the first `count` training problems."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tasks = [(tokenizer_path, s, min(CHUNK, count - s)) for s in range(0, count, CHUNK)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        parts = pool.map(_encode_chunk, tasks, chunksize=1)
    return tuple(np.concatenate(column) for column in zip(*parts))


class Batches:
    """Batches of one bucket of length each, in a seeded order, gathered on the device."""

    def __init__(self, data, device, seed):
        tokens, prompts, answers = data
        self.tokens = torch.from_numpy(np.concatenate([tokens, np.zeros(LENGTHS[-1], np.uint16)]).astype(np.int16)).to(device)
        sizes = (prompts + answers).astype(np.int64)
        self.sizes = torch.from_numpy(sizes).to(device)
        self.prompts = torch.from_numpy(prompts.astype(np.int64)).to(device)
        self.starts = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)[:-1]])).to(device)
        self.bucket = np.searchsorted(LENGTHS, sizes)
        self.random, self.device = np.random.default_rng(seed), device

    def epoch(self):
        """(length, problem numbers) of every batch of one pass, shuffled."""
        found = []
        for b, length in enumerate(LENGTHS):
            members = self.random.permutation(np.flatnonzero(self.bucket == b))
            rows = TOKENS // length
            found += [(length, members[i:i + rows]) for i in range(0, len(members) - rows + 1, rows)]
        return [found[i] for i in self.random.permutation(len(found))]

    def endless(self):
        """(inputs, targets, weights) for ever."""
        while True:
            batches = self.epoch()
            assert batches, "too few problems for one batch"
            for length, members in batches:
                yield self.gather(length, torch.from_numpy(members).to(self.device))

    def gather(self, length, members):
        """Inputs, targets and loss weights of one batch."""
        at = torch.arange(length, device=self.device)
        tokens = self.tokens[self.starts[members][:, None] + at].long()
        size, prompt = self.sizes[members][:, None], self.prompts[members][:, None]
        tokens = torch.where(at < size, tokens, 0)
        weights = torch.where(at >= prompt, 1.0, QUESTION_WEIGHT) * (at < size)
        targets = torch.cat((tokens[:, 1:], torch.zeros_like(tokens[:, :1])), 1)
        weights = torch.cat((weights[:, 1:], torch.zeros_like(weights[:, :1])), 1)
        return tokens, targets.flatten(), weights.flatten()


def weighted_loss(hidden, embedding, targets, weights):
    """Cross-entropy of the tied head, averaged by weight."""
    losses = F.cross_entropy((hidden @ embedding.t()).float(), targets, reduction="none")
    return (losses * weights).sum() / weights.sum()


def optimizers(model, lr):
    """Muon for the matrices of the layers, AdamW for embedding and norms."""
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    fused = next(model.parameters()).is_cuda
    return [torch.optim.Muon(matrices, lr=lr, weight_decay=0.1, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)]


def schedule(step, steps):
    """Warm-up, a plateau, then linear decay to nothing."""
    warm, decay = max(1, steps * 3 // 100), max(1, steps * 45 // 100)
    return min((step + 1) / warm, 1.0, (steps - step) / decay)


def save(model, folder):
    """Writes the weights in bfloat16 and the two JSON files a loader needs."""
    os.makedirs(folder, exist_ok=True)
    tensors = {name: p.detach().to(torch.bfloat16).contiguous().cpu() for name, p in model.named_parameters()}
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    generation = {"do_sample": False, "eos_token_id": 2, "pad_token_id": 0, "max_new_tokens": 512}
    for name, content in (("config.json", CONFIG), ("generation_config.json", generation)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")


def run(model, batches, args, device):
    """The training loop."""
    chosen = optimizers(model, args.lr)
    loss_of = weighted_loss
    if device == "cuda":
        for layer in model.model.layers:
            layer.before, layer.after = torch.compile(layer.before, dynamic=False), torch.compile(layer.after, dynamic=False)
        loss_of = torch.compile(weighted_loss, dynamic=False)
    source, began, shown = batches.endless(), time.time(), 0.0
    for step in range(args.steps):
        tokens, targets, weights = next(source)
        rate = args.lr * schedule(step, args.steps)
        with torch.autocast(device, torch.bfloat16), sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            loss = loss_of(model(tokens), model.model.embed_tokens.weight, targets, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in chosen:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        shown += loss.detach()
        if step % args.log == args.log - 1 or step == 0:
            mean = float(shown) / (args.log if step else 1)
            print(f"step {step + 1} loss {mean:.4f} rate {rate:.2e} seconds {time.time() - began:.1f}", flush=True)
            shown = 0.0 if step else shown
        if args.max_seconds and time.time() - began > args.max_seconds:
            print(f"stopped by --max-seconds at step {step + 1}", flush=True)
            break


def main():
    """Parses the flags and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", default="..")
    parser.add_argument("--out", default="../../../out/abacus")
    parser.add_argument("--cache", help="keep the tokenized problems in this .npz file")
    parser.add_argument("--count", type=int, default=TRAIN_COUNT)
    parser.add_argument("--steps", type=int, default=5200)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=int, default=100)
    parser.add_argument("--max-seconds", type=float, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    began = time.time()
    if args.cache and os.path.exists(args.cache):
        data = tuple(np.load(args.cache).values())
    else:
        data = make_data(os.path.join(args.tokenizer, "tokenizer.json"), args.count, args.processes)
        if args.cache:
            np.savez(args.cache, *data)
    used = np.bincount(data[0], minlength=CONFIG["vocab_size"])
    print(f"{len(data[1])} problems, {len(data[0])} tokens, longest {int((data[1] + data[2]).max())}, ids in use {int((used > 0).sum())}, "
          f"five times {int((used >= 5).sum())}, seconds {time.time() - began:.1f}", flush=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(args.seed)
    model = Model().to(device)
    run(model, Batches(data, device, args.seed), args, device)
    save(model, args.out)
    print(f"done, seconds {time.time() - began:.1f}", flush=True)


if __name__ == "__main__":
    main()
