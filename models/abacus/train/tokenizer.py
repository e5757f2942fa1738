"""Trains the byte-level BPE of the model on generated text and writes tokenizer.json and its companions.

    python3 tokenizer.py --out .. --count 60000
"""

import argparse
import collections
import json
import os

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from problems import problem

VOCAB = 4096
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>"] + [f"<|reserved_{i}|>" for i in range(4)]
TEMPLATE = ("{%- for message in messages %}\n{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
            "{%- endfor %}\n{%- if add_generation_prompt %}\n{{- '<|im_start|>assistant\\n' }}\n{%- endif %}")
# A word counts at most this often, so that frequent words do not use up merges and rare ones share their pieces.
WORD_CAP = 16


def prompt_text(prompt):
    """The chat template's rendering of one user message with the generation prompt."""
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def empty_tokenizer():
    """A tokenizer with the normalizer, pre-tokenizer and decoder of Qwen2 and no vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def capped_words(count):
    """The pre-tokens of the first problems, each as often as it occurs but at most WORD_CAP times."""
    counts = collections.Counter()
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False)
    for index in range(count):
        found = problem(index)
        for text in (found["prompt"], found["solution"], "user\n", "assistant\n"):
            counts.update(piece for piece, _ in split.pre_tokenize_str(text))
    for word in sorted(counts):
        yield from [word] * min(counts[word], WORD_CAP)


def train(count):
    """The trained tokenizer: specials first, then bytes and merges, VOCAB ids in all."""
    tokenizer = empty_tokenizer()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(capped_words(count), trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    assert tokenizer.get_vocab_size() == VOCAB
    return tokenizer


def tokenizer_config(tokenizer):
    """What tokenizer_config.json holds."""
    added = {str(tokenizer.token_to_id(s)): {"content": s, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                                              "special": True} for s in SPECIALS}
    return {"add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added, "additional_special_tokens": SPECIALS[1:],
            "bos_token": None, "chat_template": TEMPLATE, "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace",
            "model_max_length": 1024, "pad_token": "<|endoftext|>", "split_special_tokens": False, "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None}


def main():
    """Trains and writes the tokenizer's files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="..")
    parser.add_argument("--count", type=int, default=60_000)
    args = parser.parse_args()
    tokenizer = train(args.count)
    tokenizer.save(os.path.join(args.out, "tokenizer.json"))
    with open(os.path.join(args.out, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump(tokenizer_config(tokenizer), file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
