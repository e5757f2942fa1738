"""How run.py talks to the peers: a peer is a process that answers one JSON line for each JSON line.

Requests: {"do": "prefill", "context": N} and {"do": "decode", "context": N, "batch": B, "new": S} answer
{"seconds": t, "tokens": n}; {"do": "top", "token_ids": [...]} answers the last position's eight largest logits,
{"top": [[id, logit], ...]}, which shows that all peers run the same model.
A decode keeps its context between requests, so that repeating a row times only the new tokens.
"""
import json
import os
import sys


def context_tokens(context, sequence, vocab):
    """The same token ids for every peer, another text for every sequence."""
    return [(7919 * (i + 1) + 104729 * (sequence + 1) + i * i * 31) % (vocab - 8) for i in range(context)]


def serve(peer):
    """Answers requests until stdin closes; stdout holds nothing but answers."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"ready": peer.name}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        do = getattr(peer, request.pop("do"))
        print(json.dumps(do(**request)), file=answers, flush=True)
