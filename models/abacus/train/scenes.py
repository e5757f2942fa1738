"""Sentences around the sum: openings, asides without numbers, and distractors with numbers that do not matter."""

import re

from grammar import noun_pair
import words as w

OPENINGS = (
    "It is a {weather} {part} in {month}.", "On a {weather} {day} in {season}, the {place} is full of people.", "{A} lives near the {place} in {town}.",
    "{A} works as a {job} in {town}.", "{A} is a {mood} {job}.", "{A}, who loves {hobby}, is getting ready for the {event}.",
    "The people of {town} are preparing the {event}.", "{A} comes from {town} and dreams of becoming a {job}.", "{A} has always been {mood} and {mood2}.",
    "Every {season}, {A} visits the {place} in {town}.", "The {weather} weather does not stop {A}.", "{A} met {P} at the {place} last {day}.",
    "Last {month}, {A} moved from {town} to {town2}.", "The {adj} {place} of {town} opens on {day}.", "{P} the {job} invites {A} to the {event}.",
    "A {mood} {job} named {P} tells {A} about {subject}.", "{A} enjoys {hobby} and {hobby2}.", "{A} keeps a {mood} {animal} at home.",
    "In {town} there is a {adj} {place} next to the {place2}.", "{A} and {P} often talk about {subject}.", "While {P} is busy with {hobby}, {A} makes a plan.",
    "{A} wakes up early on a {weather} {day}.", "During the {event}, {A} takes care of everything.", "{A} spends the {season} in {town}.",
    "{A} hurries through the {weather} streets of {town}.", "Behind the {place} stands a {adj} {room}.", "{A} remembers the {event} in {town} very well.",
    "{A} studies {subject} with great interest.", "This story happens in {town}, a {adj} town by the sea.", "There was once a {mood} {job} called {A}.",
    "{A} is planning a trip to {town} with {P}.", "{A} borrowed a {adj} {room} from {P}.", "{A} wants to surprise {P}, who is a {mood} {job}.",
    "Nobody in {town} is as {mood} as {A}.", "{A} sits in the {place} and thinks about {subject}.", "On {day}, {A} helps at the {place}.",
    "{A} owns a {color} {room}.", "The {part} is {weather}, and {A} stays at the {place}.", "{A} learned {hobby} from {P}, a {job}.",
    "Together with {P}, {A} runs a {adj} stall at the {event}.", "{A} is famous in {town} for {hobby}.", "{A} has just finished painting the {room} {color}.",
    "A letter from {P} arrives for {A} on a {weather} {part}.", "{A} takes the early train to {town}.", "{A} likes {food} more than {food2}.",
)
ASIDES = (
    "{P} watches from the {place}.", "A {mood} {animal} sleeps nearby.", "Outside it is {weather}.", "{P} hums a song about {subject}.",
    "The {animals} in the {place} are very {mood}.", "{P} would rather eat {food}.", "Someone left a {adj} {thing} near the {room}.",
    "{P}, a {job}, smiles and says nothing.", "The {room} is {color}.", "{P} is reading a book about {subject}.", "Music can be heard from the {place}.",
    "The {job} waves from the {room}.", "{P} forgot the {adj} {thing} in {town}.", "In {town} everyone talks about the {event}.",
    "A {color} {animal} runs across the {place}.", "{P} is too {mood} to notice.", "The smell of {food} fills the {place}.", "{P} prefers {hobby}.",
    "The {weather} {part} makes {P} feel {mood}.", "Dust lies on the {adj} {room}.", "Two {animals} are playing behind the {place}.",
    "{P} tells a {mood} joke about a {job} and a {animal}.", "The old {room} squeaks.", "{P} points at a {color} {thing}.",
    "A {animal} called {made} sleeps nearby.", "{P} invents the word \"{made}\".", "The boat {made} lies in the harbor of {town}.",
    "{P} buys a {thing} made by {made} and {made2}.", "On the {room} someone has written \"{made} {made2}\".", "A sign on the {room} says \"{sign}\".",
    "{P} learns to write \"{sign}\".",
)
DISTRACTORS = (
    "{P} is {n} years old and likes {hobby}.", "The {place} in {town} was built {n} years ago.", "There are {n} {animals} near the {place}.",
    "{P} once saw {n} {animals} in {town}.", "A poster for the {event} shows {n} {animals}.", "The {place} opens at {h} o'clock.",
    "The number of the {place} on the map is {n}.", "{P} has read {n} books about {subject}.", "It is {n} degrees outside.", "{P} lives at number {n} in a {adj} street.",
    "The {room} of {P} weighs {n} pounds.", "A radio show about {subject} has {n} listeners.", "{P} has been a {job} for {n} years.",
    "On page {n} of the newspaper there is a story about a {mood} {animal}.", "{P} waits for bus number {n}.", "The tower of {town} has {n} steps.",
    "{P} dreamed of {n} {color} {animals}.", "In {town} there are {n} streetlights.",
)
_SLOT = re.compile(r"\{(\w+?)2?\}")
_LISTS = {"weather": w.WEATHER, "part": w.DAYPARTS, "month": w.MONTHS, "day": w.DAYS, "season": w.SEASONS, "place": w.PLACES, "town": w.TOWNS,
          "job": w.JOBS, "mood": w.MOODS, "hobby": w.HOBBIES, "event": w.EVENTS, "adj": w.ADJECTIVES, "subject": w.SUBJECTS, "color": w.COLORS,
          "room": w.ROOMS_WITH, "sign": w.SIGNS}


def _made_up(story):
    """A word that does not exist, of one to three syllables."""
    word = "".join(story.pick(w.ONSETS) * story.chance(0.8) + story.pick(w.VOWELS) + story.pick(w.CODAS) * story.chance(0.6)
                   for _ in range(story.i(1, 3)))
    return word.capitalize() if story.chance(0.6) else word


def sentence(story, templates):
    """One sentence drawn from the templates, its slots filled from the lists."""
    def fill(match):
        slot = match[1]
        if slot in _LISTS:
            return story.pick(_LISTS[slot])
        if slot == "A":
            return story.owner[0]
        if slot == "P":
            return story.person()[0]
        if slot == "made":
            return _made_up(story)
        if slot == "n":
            return str(story.i(2, 99))
        if slot == "h":
            return str(story.i(6, 11))
        number = 0 if slot in ("animal", "thing") else 1
        return noun_pair(story.pick({"a": w.ANIMALS, "f": w.FOODS, "t": w.THINGS}[slot[0]]))[number]
    return _SLOT.sub(fill, story.pick(templates))
