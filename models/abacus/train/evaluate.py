"""Greedy accuracy of a model folder with Transformers, and golden tokens for other runtimes.

    python3 evaluate.py --model .. --data ../eval.jsonl --dtype bfloat16
    python3 evaluate.py --model .. --data ../eval.jsonl --dtype float32 --golden ../golden.jsonl --count 32
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def load_lines(path, count):
    """The first `count` problems of a JSON-lines file; all of them for 0."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows[:count] if count else rows


def prompts_of(tokenizer, rows):
    """Token ids of every problem rendered by the chat template."""
    texts = [tokenizer.apply_chat_template([{"role": "user", "content": r["prompt"]}], tokenize=False, add_generation_prompt=True) for r in rows]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


@torch.no_grad()
def generate(model, prompts, max_new, batch):
    """Greedy continuations, sorted by length into left-padded batches."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found = [None] * len(prompts)
    for start in range(0, len(order), batch):
        chosen = order[start:start + batch]
        width = max(len(prompts[i]) for i in chosen)
        ids = torch.tensor([[0] * (width - len(prompts[i])) + prompts[i] for i in chosen], device=model.device)
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in chosen], device=model.device)
        out = model.generate(ids, attention_mask=mask, max_new_tokens=max_new, do_sample=False, eos_token_id=2, pad_token_id=0)
        for i, row in zip(chosen, out[:, width:].tolist()):
            found[i] = row[:row.index(2) + 1] if 2 in row else row
    return found


@torch.no_grad()
def golden(model, prompt, max_new):
    """Greedy ids of one prompt and the smallest gap between the best two logits on the way."""
    cache, ids, margin = None, [], float("inf")
    step = torch.tensor([prompt], device=model.device)
    while len(ids) < max_new and (not ids or ids[-1] != 2):
        out = model(step, past_key_values=cache, use_cache=True)
        top = out.logits[0, -1].float().topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
        cache, step = out.past_key_values, top.indices[:1][None]
    return ids, margin


def write_golden(model, rows, prompts, args):
    """Writes one line a problem: prompt, ids in, ids out, smallest margin."""
    with open(args.golden, "w", encoding="utf-8") as file:
        for row, prompt in zip(rows, prompts):
            ids, margin = golden(model, prompt, 256)
            line = {"prompt": row["prompt"], "prompt_token_ids": prompt, "token_ids": ids, "min_margin": round(margin, 6)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def main():
    """Parses the flags, then evaluates or writes golden tokens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="..")
    parser.add_argument("--data", default="../eval.jsonl")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--batch", type=int, default=700)
    parser.add_argument("--max-new", type=int, default=512)
    parser.add_argument("--show", type=int, default=0, help="print this many wrong answers")
    parser.add_argument("--golden")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).to(device).eval()
    rows = load_lines(args.data, args.count)
    prompts = prompts_of(tokenizer, rows)
    if args.golden:
        write_golden(model, rows, prompts, args)
        return
    began = time.time()
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in generate(model, prompts, args.max_new, args.batch)]
    right = [text.rpartition("####")[2].strip() == row["answer"] for text, row in zip(texts, rows)]
    for row, text, good in zip(rows, texts, right):
        if not good and args.show > 0:
            args.show -= 1
            print(f"wrong ({row['schema']}), answer {row['answer']}: {row['prompt']}\n{text}\n")
    print(json.dumps({"data": args.data, "dtype": args.dtype, "right": sum(right), "count": len(rows), "exact_match": round(sum(right) / len(rows), 4),
                      "seconds": round(time.time() - began, 1), "torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}))


if __name__ == "__main__":
    main()
