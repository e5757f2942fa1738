#!/usr/bin/env python3
"""Trains a small tokenizer of each configuration that published models use, with the `tokenizers` package, on text from
corpus.py: `make_tokenizers.py FOLDER` writes FOLDER/<name>/tokenizer.json."""
import json
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import corpus

QWEN2 = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CL100K = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"""
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def byte_level(pre, normalizer=None, special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), vocab=700, **model):
    t = Tokenizer(models.BPE(**model))
    if normalizer is not None:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=[], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator(corpus.training_text(1), trainer)
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    return t


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def split_byte_level(pattern):
    return pre_tokenizers.Sequence([split(pattern), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2():
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), special=["<|endoftext|>"])


def gpt2_prefix():
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), special=["<|endoftext|>"])


def qwen2():
    t = byte_level(split_byte_level(QWEN2), normalizers.NFC())
    t.add_tokens([AddedToken("<tool>", special=False, normalized=False), AddedToken("ÅNG", special=False, normalized=True)])
    return t


def llama3():
    t = byte_level(split_byte_level(LLAMA3), special=["<|begin_of_text|>", "<|eot_id|>"], ignore_merges=True)
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return t


def cl100k():
    return byte_level(split_byte_level(CL100K))


def o200k():
    return byte_level(split_byte_level(O200K))


def deepseek():
    steps = [split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    return byte_level(pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))


def digits():
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return byte_level(pre_tokenizers.Sequence(steps))


def sentencepiece(pre=None, normalizer=None, decoder=None, special=("<unk>", "<s>", "</s>"), byte_fallback=True, fuse_unk=True, bos="<s>"):
    """SentencePiece-style BPE: trained with metaspace pieces, then given the wanted pipeline."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback))
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=1100, special_tokens=list(special) + (BYTES if byte_fallback else []), limit_alphabet=300, show_progress=False)
    t.train_from_iterator(corpus.training_text(2), trainer)
    state = json.loads(t.to_str())
    state["added_tokens"] = [a for a in state["added_tokens"] if a["content"] in special]
    t = Tokenizer.from_str(json.dumps(state))
    t.pre_tokenizer = pre
    if normalizer is not None:
        t.normalizer = normalizer
    t.decoder = decoder
    if bos:
        t.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, t.token_to_id(bos))])
    return t


def llama_decoder():
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def llama2():
    return sentencepiece(None, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), llama_decoder())


def mistral():
    return sentencepiece(pre_tokenizers.Metaspace(prepend_scheme="first", split=False), None, llama_decoder())


def gemma():
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>")
    return sentencepiece(pre_tokenizers.Split(" ", "merged_with_previous"), normalizers.Replace(" ", "▁"), decoder, special, bos="<bos>")


def metaspace_unknown():
    return sentencepiece(pre_tokenizers.Metaspace(), normalizers.NFKC(), decoders.Metaspace(), byte_fallback=False, bos="")


def metaspace_unfused():
    pre = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")])
    return sentencepiece(pre, normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()]), decoders.Metaspace(), byte_fallback=False, fuse_unk=False, bos="")


def nfkd_words():
    return sentencepiece(pre_tokenizers.Whitespace(), normalizers.Sequence([normalizers.NFKD(), normalizers.Strip()]), None, bos="")


def added_tokens():
    """Every switch of an added token, over a normaliser that changes text."""
    t = byte_level(split_byte_level(QWEN2), normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]))
    t.add_tokens([
        AddedToken("[left]", lstrip=True, normalized=False), AddedToken("[right]", rstrip=True, normalized=False),
        AddedToken("[both]", lstrip=True, rstrip=True, normalized=False), AddedToken("word", single_word=True, normalized=False),
        AddedToken("Ångs", normalized=True), AddedToken("<n>", normalized=True, lstrip=True), AddedToken("[TOOL]", special=True, rstrip=True, normalized=False),
        AddedToken("  ", normalized=False), AddedToken("<|im", normalized=False), AddedToken("the", single_word=True, normalized=True),
    ])
    return t


def behaviors():
    steps = [split(r"[aeiou]", "merged_with_previous"), split(r"[bcd]+", "merged_with_next"), split(r"[xyz]", "contiguous"), split(r"\d", "isolated", True),
             split(r"[\u0000-\u0008]", "removed"), pre_tokenizers.Split("th", "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    return byte_level(pre_tokenizers.Sequence(steps))


def words_regex():
    return byte_level(pre_tokenizers.Sequence([split(r"\w+|[^\w\s]+|\W"), split(r"\p{Han}|\p{Hiragana}+"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))


CONFIGURATIONS = [gpt2, gpt2_prefix, qwen2, llama3, cl100k, o200k, deepseek, digits, llama2, mistral, gemma, metaspace_unknown, metaspace_unfused, nfkd_words, added_tokens,
                  behaviors, words_regex]


def legacy_merges(path):
    """The same tokenizer with merges as text "a b", as older files have them, and affixes as empty text."""
    with open(path, encoding="utf-8") as f:
        state = json.load(f)
    state["model"]["merges"] = [" ".join(pair) for pair in state["model"]["merges"]]
    state["model"]["continuing_subword_prefix"] = ""
    state["model"]["end_of_word_suffix"] = ""
    with open(path, "w", encoding="utf-8") as f:
        json.dump(state, f)


def make(folder):
    """Writes all tokenizers; returns their names."""
    names = []
    for configuration in CONFIGURATIONS:
        name = configuration.__name__
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        path = os.path.join(folder, name, "tokenizer.json")
        configuration().save(path)
        if name in ("gpt2", "mistral"):
            legacy_merges(path)
        names.append(name)
    return names


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(make(sys.argv[1])))
