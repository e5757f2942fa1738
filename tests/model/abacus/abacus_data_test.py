"""Shows that no held-out problem of models/abacus equals a training problem, and that the data say what they mean.

    python3 abacus_data_test.py            # a sample of the training set, under a minute
    ATTUNE_ABACUS_FULL=1 python3 abacus_data_test.py   # every training problem, some minutes

Every problem is on one side of a line that depends only on its text with names and numbers masked; the training set
never crosses it. So the sets are disjoint by construction, and the tests check the construction and its results.
"""

import hashlib
import json
import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "abacus"
sys.path.insert(0, str(MODEL / "train"))

import make_eval  # noqa: E402
import problems  # noqa: E402

FILES = ("eval.jsonl", "eval-unseen.jsonl", "eval-longer.jsonl")
SAMPLE = 40_000
EQUATION = re.compile(r"(\d+(?: [-+*/] \d+)+(?: = \d+(?: [-+*/] \d+)*)*) = \D{0,2}(\d+)")


def rows(name):
    """The lines of one held-out file."""
    with open(MODEL / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def key(text):
    """A short hash of a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def value_of(expression):
    """The value of a chain of + - * / over whole numbers, products first; None when a division leaves a remainder."""
    total, sign = 0, 1
    for part in re.split(r" ([-+]) ", expression):
        if part in "+-":
            sign = 1 if part == "+" else -1
            continue
        pieces = part.split(" ")
        product = int(pieces[0])
        for operator, number in zip(pieces[1::2], pieces[2::2]):
            if operator == "/" and product % int(number):
                return None
            product = product * int(number) if operator == "*" else product // int(number)
        total += sign * product
    return total


def training_sample():
    """Training problems: all of them when asked for, else a sample spread over the whole set."""
    if os.environ.get("ATTUNE_ABACUS_FULL"):
        return (problems.problem(i) for i in range(problems.TRAIN_COUNT))
    stride = problems.TRAIN_COUNT // SAMPLE
    return (problems.problem(i * stride) for i in range(SAMPLE))


class HeldOutTest(unittest.TestCase):
    """The held-out files against the training set."""

    @classmethod
    def setUpClass(cls):
        cls.held_out = {name: rows(name) for name in FILES}
        cls.texts, cls.skeletons, cls.pairs, cls.names = set(), set(), set(), set()
        cls.crossing, cls.longest = 0, 0
        for found in training_sample():
            cls.texts.add(key(found["prompt"]))
            cls.skeletons.add(key(problems.masked(found["prompt"])))
            cls.pairs.update(zip(found["schema"], found["schema"][1:]))
            cls.names.update(found["schema"])
            cls.crossing += problems.held_out(found["prompt"])
            cls.longest = max(cls.longest, found["steps"])

    def test_no_held_out_problem_is_a_training_problem(self):
        for name, lines in self.held_out.items():
            for row in lines:
                self.assertNotIn(key(row["prompt"]), self.texts, name)
                self.assertNotIn(key(problems.masked(row["prompt"])), self.skeletons, name)

    def test_the_line_separates_the_sets(self):
        self.assertEqual(self.crossing, 0)
        for name, lines in self.held_out.items():
            for row in lines:
                self.assertTrue(problems.held_out(row["prompt"]), name)

    def test_the_comparison_notices_a_training_problem(self):
        planted = problems.problem(0)["prompt"]
        self.assertIn(key(planted), self.texts)
        self.assertFalse(problems.held_out(planted))
        renamed = planted.replace("Rowena", "Trudy").replace("5", "7")
        self.assertNotEqual(renamed, planted)
        self.assertNotIn(key(renamed), self.texts)
        self.assertIn(key(problems.masked(renamed)), self.skeletons)

    def test_unseen_problems_chain_schemas_never_chained_in_training(self):
        for row in self.held_out["eval-unseen.jsonl"]:
            chain = row["schema"].split(">")
            new = [pair for pair in zip(chain, chain[1:]) if problems.pair_held_out(*pair)]
            self.assertTrue(new, row["prompt"])
            self.assertFalse(self.pairs.intersection(new))
            self.assertTrue(self.names.issuperset(chain))
        self.assertFalse([pair for pair in self.pairs if problems.pair_held_out(*pair)])

    def test_steps(self):
        self.assertEqual(self.longest, 6)
        self.assertEqual({row["steps"] for row in self.held_out["eval.jsonl"]}, {1, 2, 3, 4, 5, 6})
        self.assertEqual({row["steps"] for row in self.held_out["eval-longer.jsonl"]}, {7, 8, 9})

    def test_sizes(self):
        self.assertEqual([len(self.held_out[name]) for name in FILES], [1319, 1000, 500])
        self.assertGreaterEqual(len(problems.SCHEMAS), 80)
        self.assertEqual(self.names, set(problems.SCHEMAS))
        for name in FILES:
            self.assertEqual(len({row["prompt"] for row in self.held_out[name]}), len(self.held_out[name]))


class GeneratorTest(unittest.TestCase):
    """The generator itself."""

    def test_files_are_made_bit_equal_from_the_seed(self):
        for name, (split, count) in make_eval.SETS.items():
            with open(MODEL / name, encoding="utf-8") as file:
                for made, _ in zip(make_eval.lines(split, count), range(100)):
                    self.assertEqual(made, next(file))

    def test_every_equation_holds(self):
        for index in range(4000):
            found = problems.problem(index)
            lines = found["solution"].split("\n")
            self.assertEqual(lines[-1], "#### " + found["answer"])
            self.assertEqual(len(lines) - 1, found["steps"])
            for line in lines[:-1]:
                equations = EQUATION.findall(line)
                self.assertTrue(equations, line)
                for left, right in equations:
                    for expression in left.split(" = "):
                        self.assertEqual(value_of(expression), int(right), line)

    def test_the_last_line_of_working_gives_the_answer(self):
        for index in range(2000):
            found = problems.problem(index)
            numbers = re.findall(r"\d+", found["solution"].split("\n")[-2])
            self.assertIn(found["answer"], numbers)

    def test_masking(self):
        self.assertEqual(problems.masked("Mrs. Oakford buys 12 pears for three friends."), "@. @ buys # pears for # friends.")


if __name__ == "__main__":
    unittest.main()
