"""Arithmetic word problems from a seed: each is a story chained from schemas, with a worked answer.

    python3 problems.py --split train --count 5
"""

import argparse
import json
import re
import zlib

import schemas_count  # noqa: F401  (the imports register the schemas)
import schemas_measure  # noqa: F401
import schemas_money  # noqa: F401
import scenes
import words as w
from grammar import LATER, SCHEMAS, Skip, Story, capital, step_line, with_articles

SPLITS = {"train": 1, "eval": 2, "unseen": 3, "longer": 4}
TRAIN_COUNT = 2_000_000
MAX_CHARS = {"train": 1000, "eval": 1000, "unseen": 1000, "longer": 1700}
STEPS = (1,) * 10 + (2,) * 18 + (3,) * 22 + (4,) * 20 + (5,) * 17 + (6,) * 13
HELD_OUT_BUCKETS = 16
_SOURCES = tuple(s for s in SCHEMAS.values() if s.takes is None)
_LINKS = {}
for _schema in SCHEMAS.values():
    _LINKS.setdefault(_schema.takes, []).append(_schema)
_MASKED_WORDS = {word: "@" for name in w.FEMALE + w.MALE + w.SURNAMES + w.TOWNS + w.TITLES for word in re.findall(r"[^\W\d_]+", name)}
_MASKED_WORDS.update({word: "#" for word in w.NUMBER_WORDS})
_MASKED_WORDS.update({word.capitalize(): "#" for word in w.NUMBER_WORDS})
_TOKEN = re.compile(r"[^\W\d_]+|\d+")


def masked(text):
    """The text with every name replaced by @ and every number, in digits or spelled, by #."""
    return _TOKEN.sub(lambda m: "#" if m[0].isdigit() else _MASKED_WORDS.get(m[0], m[0]), text)


def held_out(prompt):
    """Whether the prompt belongs to the held-out side. It depends on the masked text alone, so no training problem
    can equal a held-out one, not even with other names and numbers."""
    return zlib.crc32(masked(prompt).encode()) % HELD_OUT_BUCKETS == 0


def pair_held_out(first, second):
    """Whether schema `second` right after schema `first` is kept out of training."""
    return zlib.crc32(f"{first}>{second}".encode()) % 9 == 0


def _add(story, schema, said, lines):
    """Builds one schema's part onto the story; raises Skip, with the story as it was, when it does not fit."""
    noun = story.noun
    story.begin()
    try:
        part = schema.build(story)
        story.need(2 <= part.value <= 3000)
    except Skip:
        story.noun = noun
        raise
    template = story.pick(part.says)
    text = story.text(template, story.spelled)
    if schema.takes and story.chance(0.4):
        text = f"{story.pick(LATER)} {text if template[0] == '{' else text[0].lower() + text[1:]}"
    said.append(capital(text))
    for step in part.steps:
        lines.append(step_line(story, len(lines) + 1, step))
    story.asks = story.text(story.pick(part.asks))
    story.value, story.kind = part.value, schema.gives
    story.owner = part.owner or story.owner
    story.noun = part.noun or story.noun


def _next(story, options, said, lines):
    """Adds one of the options that fits and returns its name, or None."""
    options = list(options)
    while options:
        schema = options.pop(int(story.random() * len(options)))
        try:
            _add(story, schema, said, lines)
            return schema.name
        except Skip:
            continue
    return None


def _chain(story, split, said, lines):
    """Chains schemas until the drawn number of steps is reached; None when the chain gets stuck."""
    target = story.i(7, 9) if split == "longer" else story.pick(STEPS)
    if split == "unseen":
        target = max(target, 2)
    names = []
    while len(lines) < target:
        room = target - len(lines)
        options = _LINKS[story.kind] if names else _SOURCES
        options = [s for s in options if s.steps <= room and s.name not in names]
        if names and split != "unseen":
            options = [s for s in options if not pair_held_out(names[-1], s.name)]
        name = _next(story, options, said, lines)
        if name is None:
            return None
        names.append(name)
    if split == "unseen" and not any(pair_held_out(a, b) for a, b in zip(names, names[1:])):
        return None
    return names


def _surround(story, said, openers):
    """Puts openings, asides and distractors around the statements."""
    for _ in range(story.i(0, 1)):
        said.insert(story.i(1, len(said)), scenes.sentence(story, scenes.ASIDES))
    if story.chance(0.2):
        said.insert(story.i(0, len(said)), scenes.sentence(story, scenes.DISTRACTORS))
    return openers + said


def compose(seed, split):
    """One candidate problem, or None when the draw does not work out."""
    story = Story(seed)
    said, lines = [], []
    openers = [scenes.sentence(story, scenes.OPENINGS) for _ in range(story.pick((0, 1, 1, 2)))]
    names = _chain(story, split, said, lines)
    if names is None:
        return None
    prompt = with_articles(" ".join(_surround(story, said, openers) + [story.asks]))
    answer = str(story.value)
    return {"prompt": prompt, "answer": answer, "solution": "\n".join(lines + ["#### " + answer]), "schema": names, "steps": len(lines)}


def problem(index, split="train", seed=0):
    """The index-th problem of a split: drawn again until it is on the right side of the held-out line."""
    base = ((seed * 8 + SPLITS[split]) << 48) + (index << 12)
    for attempt in range(1 << 12):
        found = compose(base + attempt, split)
        if found and len(found["prompt"]) + len(found["solution"]) <= MAX_CHARS[split] and held_out(found["prompt"]) == (split != "train"):
            return found
    raise RuntimeError(f"problem {index} of {split}: no draw fits")


def main():
    """Prints problems as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for index in range(args.count):
        print(json.dumps(problem(index, args.split, args.seed), ensure_ascii=False))


if __name__ == "__main__":
    main()
