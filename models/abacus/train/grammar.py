"""The story engine: people, nouns, template rendering and the state that passes from one schema to the next.

A schema is a function that reads the state of a `Story` (its running value, owner and noun), draws numbers and
returns a `Part`: paraphrased statements, worked steps and questions. `SCHEMAS` maps names to registered schemas.
"""

import functools
import random
import re
from dataclasses import dataclass

import words as w

SCHEMAS = {}
CURRENCIES = ("${}",) * 5 + ("{} dollars",) * 2 + ("€{}", "£{}", "{} euros", "{} pounds", "{} crowns")
LATER = ("Then", "After that,", "Later,", "The next day,", "Soon after,", "Afterwards,", "In the evening,", "A little later,",
         "The following morning,", "Next,", "That same day,", "Not long after,", "Some time later,", "Before lunch,",
         "After dinner,", "Meanwhile,", "In the afternoon,", "Eventually,", "During the weekend,", "On the way home,",
         "By surprise,", "As planned,", "To everyone's delight,", "Without hesitation,")
_SLOT = re.compile(r"\{(\$?\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOUéÉ])(?!one\b|uni[cfvq]|used|usef|usual|Europ|ukul|euro)")
_PRODUCT = re.compile(r"(\d+) \* (\d+)")


class Skip(Exception):
    """The schema does not fit the running value; another one is tried."""


@dataclass
class Schema:
    """One kind of step: what it consumes (None opens a story), what it produces, and how many worked steps it takes."""
    name: str
    takes: object
    gives: str
    steps: int
    build: object


@dataclass
class Part:
    """What one schema adds to a story."""
    says: tuple
    steps: list
    asks: tuple
    value: int
    owner: tuple = None
    noun: tuple = None


def schema(takes, gives, steps):
    """Registers a function as a schema named after it."""
    def register(build):
        name = build.__name__.strip("_")
        assert name not in SCHEMAS, name
        SCHEMAS[name] = Schema(name, takes, gives, steps, build)
        return build
    return register


@functools.lru_cache(None)
def _compiled(template):
    parts = _SLOT.split(template)
    return tuple(zip(parts[0::2], parts[1::2] + [None]))


@functools.lru_cache(None)
def noun_pair(entry):
    """(singular, plural) of a list entry, whose irregular plural may follow a slash."""
    if "/" in entry:
        return tuple(entry.split("/"))
    head, of, tail = entry.partition(" of ")
    return entry, head + "s" + of + tail


def with_articles(text):
    """Turns `a apple` into `an apple` throughout."""
    return _ARTICLE.sub(r"\1n ", text)


def capital(text):
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


class Story:
    """Everything a schema may read or draw from, all decided by one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed).random
        self.used = set()
        self.style = self.i(0, 2)
        self.currency = self.pick(CURRENCIES)
        self.spelled = self.chance(0.2)
        self.value = 0
        self.kind = None
        self.noun = self.item()
        self.owner = self.person()
        self.env = {}

    def i(self, low, high):
        """A whole number from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, options):
        """One of the options."""
        return options[int(self.random() * len(options))]

    def chance(self, p):
        """True with probability p."""
        return self.random() < p

    def need(self, *conditions):
        """Skips this schema unless every condition holds."""
        if not all(conditions):
            raise Skip

    def divisor(self, value, low, high):
        """A divisor of value within the bounds; skips when there is none."""
        found = [d for d in range(low, high + 1) if value % d == 0 and value > d]
        self.need(found)
        return self.pick(found)

    def below(self, value, low=2):
        """A number that leaves at least 2 when taken from value."""
        self.need(value >= low + 2)
        return self.i(low, value - 2)

    def person(self):
        """(name, he, his, him) of somebody new to this story."""
        while True:
            female = self.chance(0.5)
            if self.chance(0.16):
                title = self.pick(w.TITLES if self.chance(0.3) else (w.FEMALE_TITLES if female else w.MALE_TITLES))
                female = female if title not in w.MALE_TITLES else False
                female = female if title not in w.FEMALE_TITLES + ("Grandma",) else True
                name = title + " " + self.pick(w.SURNAMES)
            else:
                name = self.pick(w.FEMALE if female else w.MALE)
            if name not in self.used:
                self.used.add(name)
                return (name, "she", "her", "her") if female else (name, "he", "his", "him")

    def item(self):
        """A countable noun pair: things, food, or a measure of some stuff."""
        while True:
            roll = self.random()
            if roll < 0.07:
                return self._measure(("kilogram", "pound"), w.STUFFS)
            if roll < 0.13:
                return self._measure(("liter", "gallon", "cup"), w.LIQUIDS)
            pair = noun_pair(self.pick(w.FOODS if roll < 0.4 else w.THINGS))
            roll = self.random()
            extra = self.pick(w.COLORS) + " " if roll < 0.15 else self.pick(w.ADJECTIVES) + " " if roll < 0.4 else ""
            if pair[1] not in self.used:
                self.used.add(pair[1])
                return extra + pair[0], extra + pair[1]

    def _measure(self, units, stuffs):
        unit, stuff = self.pick(units), self.pick(stuffs)
        return f"{unit} of {stuff}", f"{unit}s of {stuff}"

    def group(self):
        """A noun pair for people."""
        return noun_pair(self.pick(w.GROUPS))

    def pack(self):
        """A noun pair for a container."""
        return self.pick(w.PACKS)

    def text(self, template, spelled=False):
        """Fills a template's slots; `{$p}` is an amount of money, small numbers may be spelled out."""
        out = []
        for literal, slot in _compiled(template):
            out.append(literal)
            if slot is None:
                continue
            if slot[0] == "$":
                out.append(self.currency.format(self.env[slot[1:]]))
                continue
            value = self.env[slot]
            if spelled and isinstance(value, int) and 2 <= value <= 12:
                value = w.NUMBER_WORDS[value]
            out.append(str(value))
        return "".join(out)

    def let(self, **values):
        """Binds slots for the part being built."""
        self.env.update(values)

    def begin(self):
        """Binds the slots every schema may use: owner, two other people, the noun and another one."""
        name, he, his, him = self.owner
        self.others = self.person(), self.person()
        self.env = {"A": name, "he": he, "his": his, "him": him, "B": self.others[0][0], "C": self.others[1][0],
                    "x": self.noun[0], "X": self.noun[1], "v": self.value}

    def other_noun(self):
        """Binds y and Y to a new countable noun and returns the pair."""
        pair = self.item()
        self.let(y=pair[0], Y=pair[1])
        return pair


def worked(expression):
    """An expression with the parts of a large product written out, as `a * b = c + d`."""
    match = _PRODUCT.fullmatch(expression)
    if not match:
        return expression
    a, b = int(match[1]), int(match[2])
    if b >= 100 or (b > 12 and a <= 12):
        a, b = b, a
    if a <= 99 and b <= 12 or (a % 10 == 0 and b < 10) or b % 100 == 0 or b == 10:
        return expression
    if b > 12:
        tens, ones = b // 10 * 10, b % 10
        if not ones:
            return expression
        return f"{expression} = {a} * {tens} + {a} * {ones} = {a * tens} + {a * ones}"
    top = 10 ** (len(str(a)) - 1)
    head, rest = a // top * top, a % top
    if not rest:
        return expression
    return f"{expression} = {head} * {b} + {rest} * {b} = {head * b} + {rest * b}"


def step_line(story, number, step):
    """One worked step in the story's answer style."""
    lead, expression, result = step
    value = _SLOT.search(result)[1].lstrip("$")
    lead, equation, said = story.text(lead), worked(story.text(expression)), story.text(result)
    if story.style == 0:
        return f"{capital(lead)} {equation} = {said}."
    if story.style == 1:
        return f"{equation} = {story.env[value]}, so {lead} {said}."
    return f"Step {number}: {lead} {equation} = {said}."
