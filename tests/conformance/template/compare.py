#!/usr/bin/env python3
"""Compares our template engine with Jinja2, case by case: equal text, or an error on both sides.

    compare.py RENDER_TEMPLATE [--random N] [--seed S]

RENDER_TEMPLATE is the program tests/conformance/template/tool builds. Fails when any case differs, with the case as JSON."""
import argparse
import copy
import datetime
import itertools
import json
import re
import subprocess
import sys

import fuzz
import reference
from conversations import CONVERSATIONS, VARIABLES
from expressions import EXPRESSIONS
from filters import FILTERS
from statements import STATEMENTS
from templates import TEMPLATES

NOW = datetime.datetime(2024, 3, 9, 14, 5, 7)


# What Jinja2 prints for functions and iterators holds an address, so no two runs agree; we refuse to print them.
ADDRESS = re.compile(r" at 0x[0-9a-f]{6}|<class |<Macro ")
# Python's integers have no end and its powers may be complex; ours are refused.
BEYOND = re.compile(r"\d{19}|\dj\)")


def cases(count, seed):
    for name, template in TEMPLATES.items():
        for (conversation, messages), (shape, variables), prompt in itertools.product(CONVERSATIONS.items(), VARIABLES.items(), (False, True)):
            yield f"{name} × {conversation} × {shape}", template, messages, prompt, variables
    messages = CONVERSATIONS["tool_call"]
    for expression in EXPRESSIONS + FILTERS:
        yield expression, "{{ " + expression + " }}", messages, True, VARIABLES["tools"]
        yield f"text of {expression}", "{{ [" + expression + "] }}", messages, True, VARIABLES["tools"]
    for statement in itertools.chain(STATEMENTS, fuzz.templates(count // 4, seed), fuzz.mutations(list(TEMPLATES.values()), count // 16, seed)):
        yield statement, statement, messages, True, VARIABLES["tools"]
    for expression in fuzz.expressions(count, seed):
        yield expression, fuzz.PRELUDE + "{{ " + expression + " }}", messages, True, VARIABLES["tools"]


def expected(compiled, env, template, messages, prompt, variables):
    try:
        if template not in compiled:
            compiled[template] = env.from_string(template)
        names = {"tools": None, "documents": None, **variables, "messages": copy.deepcopy(messages), "add_generation_prompt": prompt}  # `indent` appends to lists
        text = compiled[template].render(**names)
        text.encode("utf-8")
        return {"text": text}
    except Exception as e:  # whatever stops Jinja2 must stop us
        return {"error": f"{type(e).__name__}: {e}"}


def agrees(theirs, ours):
    if "error" in theirs:
        wanted = theirs["error"].partition("TemplateError: ")  # raised by the template: the message is part of the contract
        return ours.get("error") == wanted[2] if wanted[0] == "" and wanted[1] else "error" in ours
    if ADDRESS.search(theirs["text"]) or ("error" in ours and BEYOND.search(theirs["text"])):
        return "error" in ours
    return theirs == ours


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--random", type=int, default=4000, metavar="N", help="random expressions, a quarter as many random templates, and a sixteenth damaged ones")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    env, compiled = reference.environment(NOW), {}
    work = list(cases(arguments.random, arguments.seed))
    requests = "".join(
        json.dumps({"template": t, "messages": m, "add_generation_prompt": p, "variables": v, "now": str(NOW)}) + "\n" for _, t, m, p, v in work
    )
    answer = subprocess.run([arguments.program], input=requests.encode(), stdout=subprocess.PIPE, check=True)
    got = [json.loads(line) for line in answer.stdout.decode().split("\n")[:-1]]
    if len(got) != len(work):
        sys.exit(f"{len(work)} cases, but {len(got)} answers")
    wrong = texts = 0
    for (name, template, messages, prompt, variables), ours in zip(work, got):
        theirs = expected(compiled, env, template, messages, prompt, variables)
        texts += "text" in theirs
        if agrees(theirs, ours):
            continue
        wrong += 1
        if wrong <= 40:
            print(json.dumps({"case": name, "jinja2": theirs, "ours": ours}, ensure_ascii=False)[:1500])
    print(f"{len(work)} cases, {texts} with text, {len(work) - texts} with errors: {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
