#!/usr/bin/env python3
"""Renders conversations with a model folder's chat template, once with Jinja2 and once with Attune, and shows where they differ:

    compare_template.py FOLDER [--program RENDER_TEMPLATE]

RENDER_TEMPLATE is tests/render_template of a build folder. Needs the package jinja2 (`make test` puts it into .venv)."""
import argparse
import copy
import datetime
import itertools
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "conformance" / "template"))

import reference  # noqa: E402
from conversations import CONVERSATIONS, VARIABLES  # noqa: E402

TOKENS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def pick(templates, name):
    if isinstance(templates, list):
        return next((t["template"] for t in templates if t["name"] == name), None)
    return templates if name == "default" else None


def load(folder):
    """The folder's template, its template for tools or None, and its special tokens."""
    config, more = read_json(folder / "tokenizer_config.json"), read_json(folder / "special_tokens_map.json")
    tokens = {}
    for name in TOKENS:
        token = config[name] if name in config else more.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if token:
            tokens[name] = token
    separate = folder / "chat_template.jinja"
    if separate.is_file():
        return separate.read_text(encoding="utf-8"), None, tokens
    templates = config.get("chat_template", read_json(folder / "chat_template.json").get("chat_template"))
    return pick(templates, "default"), pick(templates, "tool_use"), tokens


def expected(env, template, messages, prompt, variables):
    try:
        return {"text": reference.render(env, template, copy.deepcopy(messages), prompt, variables)}
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--program", default=ROOT / "build" / "release" / "tests" / "render_template")
    arguments = parser.parse_args()
    template, with_tools, tokens = load(arguments.folder)
    if template is None:
        sys.exit(f"{arguments.folder}: expected a chat template; got none")
    now = datetime.datetime(2024, 3, 9, 14, 5, 7)
    env = reference.environment(now)
    work = []
    for (name, messages), (shape, variables), prompt in itertools.product(CONVERSATIONS.items(), VARIABLES.items(), (False, True)):
        variables = {k: v for k, v in variables.items() if k not in TOKENS}
        work.append((f"{name} × {shape} × prompt={prompt}", messages, prompt, variables))
    requests = [
        {"folder": str(arguments.folder), "messages": m, "add_generation_prompt": p, "variables": v, "now": str(now)} for _, m, p, v in work
    ]
    answer = subprocess.run(
        [arguments.program], input="".join(json.dumps(r) + "\n" for r in requests).encode(), stdout=subprocess.PIPE, check=True
    )
    wrong = texts = 0
    for (name, messages, prompt, variables), line in zip(work, answer.stdout.decode().split("\n")):
        ours = json.loads(line)
        source = with_tools if with_tools and variables.get("tools") is not None else template
        theirs = expected(env, source, messages, prompt, {**tokens, **variables})
        texts += "text" in theirs
        if theirs == ours or ("error" in theirs and "error" in ours):
            continue
        wrong += 1
        print(f"{name}:\n  jinja2 {json.dumps(theirs, ensure_ascii=False)}\n  attune {json.dumps(ours, ensure_ascii=False)}")
    print(f"{len(work)} conversations, {texts} with text, {len(work) - texts} refused by the template: {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
