"""Schemas about countable things and groups of people."""

from grammar import Part, noun_pair, schema
import words as w

HAS = ("How many {X} does {A} have?", "How many {X} does {A} have in total?", "What is the total number of {X} {A} has?",
       "Find how many {X} {A} has.", "Can you work out how many {X} {A} has?")
NOW = ("How many {X} does {A} have now?", "How many {X} does {A} have at the end?", "How many {X} are left with {A} then?",
       "Work out how many {X} {A} has now.", "With how many {X} does {A} end up?", "What number of {X} does {A} hold in the end?")
B_HAS = ("How many {X} does {B} have?", "How many {X} belong to {B}?", "Find the number of {X} that {B} has.",
         "Tell me how many {X} {B} has.")


# ---- stories that open with things ----

@schema(None, "item", 1)
def packs(s):
    k, n = s.i(2, 12), s.i(2, 24)
    pack = s.pack()
    s.let(k=k, n=n, t=k * n, pack=pack[0], packs=pack[1])
    return Part(("{A} buys {k} {packs} of {X}. Each {pack} holds {n} {X}.", "{A} has {k} {packs} with {n} {X} in each {pack}.",
                 "There are {n} {X} in every {pack}, and {A} owns {k} {packs}.", "{A} orders {k} {packs} of {n} {X} each.",
                 "{k} {packs} arrive for {A}, and every {pack} contains {n} {X}."),
                [("{A} has", "{k} * {n}", "{t} {X}")], HAS, k * n)


@schema(None, "item", 1)
def two_colors(s):
    a, b = s.i(3, 250), s.i(3, 250)
    c, d = s.pick(w.COLORS), s.pick(w.COLORS)
    s.need(c != d)
    s.let(a=a, b=b, c=c, d=d, t=a + b)
    return Part(("{A} owns {a} {c} and {b} {d} {X}.", "{A} has {a} {X} that are {c} and {b} {X} that are {d}.",
                 "On {his} shelf {A} keeps {a} {c} {X} next to {b} {d} {X}.", "{A} collects {X}: {a} {c} ones and {b} {d} ones."),
                [("{A} has", "{a} + {b}", "{t} {X}")], HAS, a + b)


@schema(None, "item", 2)
def three_days(s):
    a, b, c = s.i(5, 120), s.i(5, 120), s.i(5, 120)
    s.let(a=a, b=b, c=c, m=a + b, t=a + b + c)
    return Part(("{A} makes {a} {X} on Monday, {b} on Tuesday and {c} on Wednesday.",
                 "{A} gathers {a} {X} in the morning, {b} at noon and {c} in the evening.",
                 "In the first week {A} gets {a} {X}, in the second {b}, and in the third {c}."),
                [("the first two give", "{a} + {b}", "{m} {X}"), ("{A} has", "{m} + {c}", "{t} {X}")], HAS, a + b + c)


@schema(None, "item", 1)
def more_than(s):
    a, d = s.i(4, 400), s.i(2, 150)
    s.let(a=a, d=d, t=a + d)
    return Part(("{B} has {a} {X}. {A} has {d} more {X} than {B}.", "{A} owns {d} more {X} than {B}, who owns {a}.",
                 "{B} counts {a} {X}, and {A} counts {d} more than that."),
                [("{A} has", "{a} + {d}", "{t} {X}")], HAS, a + d)


@schema(None, "item", 1)
def fewer_than(s):
    a = s.i(12, 500)
    d = s.below(a)
    s.let(a=a, d=d, t=a - d)
    return Part(("{B} has {a} {X}. {A} has {d} fewer {X} than {B}.", "{A} owns {d} fewer {X} than {B}, who owns {a}.",
                 "{B} finds {a} {X}; {A} finds {d} fewer."),
                [("{A} has", "{a} - {d}", "{t} {X}")], HAS, a - d)


@schema(None, "item", 1)
def times_as_many(s):
    a, k = s.i(3, 99), s.i(2, 9)
    s.let(a=a, k=k, t=a * k)
    return Part(("{B} has {a} {X}, and {A} has {k} times as many.", "{A} has {k} times as many {X} as {B}. {B} has {a} {X}.",
                 "If {B} owns {a} {X}, {A} owns {k} times that number."),
                [("{A} has", "{k} * {a}", "{t} {X}")], HAS, a * k)


@schema(None, "item", 1)
def part_as_many(s):
    k, t = s.i(2, 6), s.i(3, 90)
    s.let(a=k * t, k=k, t=t, part={2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth"}[k])
    return Part(("{B} has {a} {X}. {A} has {part} as many.", "{A} has only {part} as many {X} as {B}, who has {a}.",
                 "{B} packs {a} {X}, and {A} packs {part} of that number."),
                [("{A} has", "{a} / {k}", "{t} {X}")], HAS, t)


@schema(None, "item", 1)
def rows(s):
    r, c = s.i(3, 12), s.i(3, 30)
    s.let(r=r, c=c, t=r * c)
    return Part(("{A} lays out {X} in {r} rows of {c}.", "{A} arranges {his} {X} in {r} rows with {c} {X} in each row.",
                 "On the floor {A} sets {r} lines of {c} {X}."),
                [("{A} has", "{r} * {c}", "{t} {X}")], HAS, r * c)


@schema(None, "item", 1)
def hourly_output(s):
    n, h = s.i(3, 60), s.i(2, 10)
    s.let(n=n, h=h, t=n * h)
    return Part(("{A} makes {n} {X} per hour and works for {h} hours.", "Every hour {A} prepares {n} {X}. {A} keeps going for {h} hours.",
                 "Working {h} hours, {A} finishes {n} {X} each hour."),
                [("{A} makes", "{n} * {h}", "{t} {X}")],
                ("How many {X} does {A} make?", "How many {X} are made by {A} altogether?", "Find the number of {X} {A} produces."), n * h)


@schema(None, "item", 2)
def weeks_of_days(s):
    k, n = s.i(2, 9), s.i(2, 15)
    s.let(k=k, n=n, m=7 * k, t=7 * k * n)
    return Part(("{A} receives {n} {X} every day for {k} weeks.", "For {k} weeks, {A} collects {n} {X} a day.",
                 "Each day {A} adds {n} {X} to {his} pile and does so for {k} weeks."),
                [("there are", "{k} * 7", "{m} days"), ("{A} has", "{m} * {n}", "{t} {X}")], HAS, 7 * k * n)


@schema(None, "item", 3)
def two_shifts(s):
    a, h, b, g = s.i(3, 40), s.i(2, 6), s.i(3, 40), s.i(2, 6)
    s.let(a=a, h=h, b=b, g=g, m=a * h, n=b * g, t=a * h + b * g)
    return Part(("{A} makes {a} {X} an hour for {h} hours in the morning and {b} {X} an hour for {g} hours in the afternoon.",
                 "In the morning {A} works {h} hours at {a} {X} per hour; after lunch {A} works {g} hours at {b} {X} per hour.",),
                [("the morning gives", "{a} * {h}", "{m} {X}"), ("the afternoon gives", "{b} * {g}", "{n} {X}"),
                 ("{A} makes", "{m} + {n}", "{t} {X}")],
                ("How many {X} does {A} make that day?", "How many {X} are ready at the end of the day?"), a * h + b * g)


@schema(None, "item", 1)
def dozens(s):
    k = s.i(2, 20)
    s.let(k=k, t=12 * k)
    return Part(("{A} buys {k} dozen {X}.", "{A} carries home {k} dozen {X}.", "A delivery of {k} dozen {X} reaches {A}.",
                 "{k} dozen {X} are waiting for {A}."), [("{A} has", "{k} * 12", "{t} {X}")], HAS, 12 * k)


@schema(None, "item", 2)
def nested_boxes(s):
    a, b, c = s.i(2, 8), s.i(2, 8), s.i(2, 16)
    p, q = s.pack(), s.pack()
    s.need(p != q)
    s.let(a=a, b=b, c=c, m=a * b, t=a * b * c, P=p[1], p=p[0], Q=q[1], q=q[0])
    return Part(("{A} has {a} {P}. Each {p} holds {b} {Q}, and each {q} holds {c} {X}.",
                 "In {A}'s storeroom there are {a} {P} with {b} {Q} each. Every {q} contains {c} {X}.",
                 "{A} stacks {a} {P}; in every {p} lie {b} {Q}, and in every {q} lie {c} {X}."),
                [("there are", "{a} * {b}", "{m} {Q}"), ("{A} has", "{m} * {c}", "{t} {X}")], HAS, a * b * c)


@schema(None, "item", 2)
def uses_twice(s):
    t = s.i(20, 600)
    a = s.i(3, t // 2)
    b = s.below(t - a)
    s.let(v0=t, a=a, b=b, m=t - a, t=t - a - b)
    return Part(("{A} starts with {v0} {X}, uses {a} of them for one project and {b} for another.",
                 "Of {his} {v0} {X}, {A} gives {a} to {B} and {b} to {C}.", "{A} had {v0} {X} but sold {a} on Friday and {b} on Saturday."),
                [("first there remain", "{v0} - {a}", "{m} {X}"), ("{A} has", "{m} - {b}", "{t} {X} left")],
                ("How many {X} does {A} have left?", "How many {X} remain with {A}?", "How many {X} are still {A}'s?"), t - a - b)


@schema(None, "item", 2)
def together_more(s):
    a, d = s.i(3, 200), s.i(2, 90)
    s.let(a=a, d=d, m=a + d, t=2 * a + d)
    return Part(("{A} has {a} {X}. {B} has {d} more than {A}. They put all their {X} together for {A} to look after.",
                 "{B} owns {d} more {X} than {A}, who owns {a}. {B} hands all of them to {A}."),
                [("{B} has", "{a} + {d}", "{m} {X}"), ("together {A} has", "{a} + {m}", "{t} {X}")], HAS, 2 * a + d)


@schema(None, "item", 2)
def together_times(s):
    a, k = s.i(3, 80), s.i(2, 6)
    s.let(a=a, k=k, m=a * k, t=a * k + a)
    return Part(("{A} picks {a} {X} and {B} picks {k} times as many. All of them go into {A}'s basket.",
                 "{B} brings {k} times as many {X} as {A}. {A} brings {a}, and {A} keeps them all."),
                [("{B} has", "{k} * {a}", "{m} {X}"), ("together {A} has", "{m} + {a}", "{t} {X}")], HAS, a * k + a)


@schema(None, "item", 1)
def rest_of_total(s):
    t = s.i(20, 700)
    a = s.below(t)
    s.let(v0=t, a=a, t=t - a, c=s.pick(w.ADJECTIVES))
    return Part(("Out of {v0} {X}, {a} belong to {B} and the rest belong to {A}.", "{A} and {B} have {v0} {X} together; {a} of them are {B}'s.",
                 "There are {v0} {X} on the {c} table. {B} takes {a} of them and {A} takes the others."),
                [("{A} has", "{v0} - {a}", "{t} {X}")], HAS, t - a)


@schema(None, "item", 2)
def ratio(s):
    a, b, n = s.i(2, 9), s.i(2, 9), s.i(2, 12)
    s.need(a != b)
    s.let(a=a, b=b, n=n, w=a * n, t=b * n)
    return Part(("For every {a} {X} that {B} packs, {A} packs {b}. {B} packs {w} {X} today.",
                 "Each time {B} gets {a} {X}, {A} gets {b}. In the end {B} has {w} {X}."),
                [("this happens", "{w} / {a}", "{n} times"), ("{A} has", "{n} * {b}", "{t} {X}")], HAS, b * n)


@schema(None, "item", 2)
def growing_days(s):
    a, d, n = s.i(3, 60), s.i(2, 15), s.i(3, 9)
    s.let(a=a, d=d, n=n, k=n - 1, m=d * (n - 1), t=a + d * (n - 1))
    return Part(("{A} makes {a} {X} on the first day and {d} more each day than the day before. Only the {X} of day {n} are kept.",
                 "On day 1 {A} bakes {a} {X}; every later day it is {d} more than the day before. {A} keeps only those of day {n}."),
                [("the increase is", "{k} * {d}", "{m} {X}"), ("{A} keeps", "{a} + {m}", "{t} {X}")],
                ("How many {X} are kept?", "How many {X} does {A} keep?"), a + d * (n - 1))


@schema(None, "item", 2)
def doubling(s):
    a, k = s.i(3, 60), s.i(2, 5)
    s.let(a=a, k=k, m=a * k, t=a * k * k)
    return Part(("{A} starts with {a} {X}. The number becomes {k} times as large in the first month and again {k} times as large in the second.",
                 "{A}'s {a} {X} grow {k} times in number, and then {k} times once more."),
                [("first there are", "{a} * {k}", "{m} {X}"), ("{A} has", "{m} * {k}", "{t} {X}")], HAS, a * k * k)


@schema(None, "item", 3)
def legs(s):
    a, b = s.i(2, 30), s.i(2, 30)
    first, second = noun_pair(s.pick(("chicken", "duck", "goose/geese", "turkey"))), noun_pair(s.pick(("cow", "horse", "goat", "pig", "dog")))
    s.let(a=a, b=b, P=first[1], Q=second[1], m=2 * a, n=4 * b, t=2 * a + 4 * b)
    return Part(("{A} keeps {a} {P} and {b} {Q}. For each leg {A} makes one ribbon.",
                 "On {A}'s farm live {a} {P} and {b} {Q}, and {A} ties one ribbon to every leg."),
                [("the {P} have", "{a} * 2", "{m} legs"), ("the {Q} have", "{b} * 4", "{n} legs"), ("{A} needs", "{m} + {n}", "{t} ribbons")],
                ("How many ribbons does {A} need?", "How many ribbons are there?"), 2 * a + 4 * b, noun=("ribbon", "ribbons"))


@schema(None, "item", 1)
def pages(s):
    n, d = s.i(5, 60), s.i(3, 12)
    s.let(n=n, d=d, t=n * d, adj=s.pick(w.SUBJECTS))
    return Part(("{A} reads {n} pages about {adj} every day for {d} days.", "For {d} days {A} copies {n} pages about {adj} a day."),
                [("{A} finishes", "{n} * {d}", "{t} pages")], ("How many pages does {A} finish?", "How many pages is that for {A}?"),
                n * d, noun=("page", "pages"))


@schema(None, "item", 2)
def average_need(s):
    a, b = s.i(5, 90), s.i(5, 90)
    s.need((a + b) % 2 == 0)
    s.let(a=a, b=b, m=a + b, t=(a + b) // 2)
    return Part(("{A} finds {a} {X} on Saturday and {b} on Sunday, and afterwards keeps only the average of the two numbers.",
                 "{B} has {a} {X} and {C} has {b}. {A} has exactly the average of the two."),
                [("the sum is", "{a} + {b}", "{m} {X}"), ("{A} has", "{m} / 2", "{t} {X}")], HAS, (a + b) // 2)


@schema(None, "item", 3)
def sums_of_packs(s):
    a, n, b, m = s.i(2, 9), s.i(2, 20), s.i(2, 9), s.i(2, 20)
    p, q = s.pack(), s.pack()
    s.need(p != q)
    s.let(a=a, n=n, b=b, m=m, P=p[1], Q=q[1], e=a * n, f=b * m, t=a * n + b * m)
    return Part(("{A} buys {a} {P} of {n} {X} and {b} {Q} of {m} {X}.", "{A} carries in {a} {P} with {n} {X} each and {b} {Q} with {m} {X} each."),
                [("the {P} hold", "{a} * {n}", "{e} {X}"), ("the {Q} hold", "{b} * {m}", "{f} {X}"), ("{A} has", "{e} + {f}", "{t} {X}")],
                HAS, a * n + b * m)


# ---- things to things ----

@schema("item", "item", 1)
def gives_away(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{A} gives {k} {X} to {B}.", "{A} hands {k} of the {X} to {B}.", "{A} lets {B} have {k} {X}.", "{A} presents {B} with {k} of {his} {X}.",
                 "{B} asks for {k} {X}, and {A} agrees to give them."), [("{A} has", "{v} - {k}", "{t} {X} left")], NOW, s.value - k)


@schema("item", "item", 1)
def gets_more(s):
    k = s.i(2, 200)
    s.let(k=k, t=s.value + k)
    return Part(("{A} gets {k} more {X} from {B}.", "{B} gives {A} another {k} {X}.", "{A} buys {k} more {X}.", "{A} finds {k} extra {X}.",
                 "{A} receives {k} additional {X} as a present."), [("{A} has", "{v} + {k}", "{t} {X}")], NOW, s.value + k)


@schema("item", "item", 1)
def loses(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{A} loses {k} {X}.", "{k} of the {X} turn out to be bad and are thrown away.", "{A} finds that {k} {X} are missing.",
                 "{A} accidentally ruins {k} of {his} {X}.", "{k} {X} disappear during the move."),
                [("{A} has", "{v} - {k}", "{t} {X} left")], NOW, s.value - k)


@schema("item", "item", 1)
def shares_equally(s):
    m = s.divisor(s.value, 2, 12)
    s.need(s.value // m >= 2)
    s.let(m=m, t=s.value // m)
    return Part(("{A} shares the {X} equally among {m} friends, and {B} is one of them.",
                 "The {X} are split evenly between {m} children, one of whom is {B}.",
                 "{A} divides all the {X} fairly among {m} neighbors; {B} gets one share."),
                [("{B} gets", "{v} / {m}", "{t} {X}")],
                ("How many {X} does {B} get?", "How many {X} are in {B}'s share?", "What is {B}'s share of the {X}?"), s.value // m, owner=s.others[0])


@schema("item", "item", 1)
def multiplied(s):
    s.need(s.value <= 300)
    k = s.i(2, 5)
    s.let(k=k, t=s.value * k, how={2: "doubles", 3: "triples", 4: "quadruples", 5: "quintuples"}[k])
    return Part(("{A} {how} the number of {his} {X}.", "With some help {A} {how} {his} stock of {X}.", "A lucky week {how} the number of {X} {A} has."),
                [("{A} has", "{v} * {k}", "{t} {X}")], NOW, s.value * k)


@schema("item", "item", 2)
def gives_part(s):
    k = s.divisor(s.value, 2, 6)
    m = s.value // k
    s.need(s.value - m >= 2, m >= 2)
    s.let(k=k, m=m, t=s.value - m, part={2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth"}[k])
    return Part(("{A} gives {part} of the {X} to {B}.", "{A} donates {part} of {his} {X} to a charity.", "{B} borrows {part} of {A}'s {X}."),
                [("the part given is", "{v} / {k}", "{m} {X}"), ("{A} has", "{v} - {m}", "{t} {X} left")], NOW, s.value - m)


@schema("item", "item", 2)
def percent_gone(s):
    p = s.pick((10, 20, 25, 50))
    d = 100 // p
    s.need(s.value % d == 0, s.value // d >= 2)
    m = s.value // d
    s.let(p=p, d=d, m=m, t=s.value - m)
    return Part(("{p}% of the {X} get used up.", "{A} sells {p}% of {his} {X}.", "{A} sends {p}% of the {X} to {B}.", "Exactly {p}% of the {X} are damaged and must go."),
                [("{p}% is", "{v} / {d}", "{m} {X}"), ("{A} has", "{v} - {m}", "{t} {X} left")], NOW, s.value - m)


@schema("item", "item", 2)
def buys_packs(s):
    k, n = s.i(2, 9), s.i(2, 20)
    pack = s.pack()
    s.let(k=k, n=n, m=k * n, t=s.value + k * n, pack=pack[0], packs=pack[1])
    return Part(("{A} buys {k} more {packs} with {n} {X} each.", "{B} delivers {k} {packs} of {n} {X} to {A}.", "{A} adds {k} {packs}, each holding {n} {X}."),
                [("the {packs} hold", "{k} * {n}", "{m} {X}"), ("{A} has", "{v} + {m}", "{t} {X}")], NOW, s.value + k * n)


@schema("item", "item", 2)
def uses_daily(s):
    d = s.i(2, 9)
    s.need(s.value - 2 * d >= 2)
    n = s.i(2, min(40, (s.value - 2) // d))
    s.let(d=d, n=n, m=d * n, t=s.value - d * n)
    return Part(("{A} uses {n} {X} a day for {d} days.", "Each day for {d} days, {A} takes {n} of the {X}.", "For {d} days {A} sells {n} {X} per day."),
                [("{A} uses", "{n} * {d}", "{m} {X}"), ("{A} has", "{v} - {m}", "{t} {X} left")], NOW, s.value - d * n)


@schema("item", "item", 1)
def other_more(s):
    k = s.i(2, 150)
    s.let(k=k, t=s.value + k)
    return Part(("{B} has {k} more {X} than {A}.", "{B} owns {k} more {X} than {A} does.", "Compared with {A}, {B} has {k} more {X}."),
                [("{B} has", "{v} + {k}", "{t} {X}")], B_HAS, s.value + k, owner=s.others[0])


@schema("item", "item", 1)
def other_fewer(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{B} has {k} fewer {X} than {A}.", "{B} owns {k} {X} less than {A} does.", "Compared with {A}, {B} has {k} fewer {X}."),
                [("{B} has", "{v} - {k}", "{t} {X}")], B_HAS, s.value - k, owner=s.others[0])


@schema("item", "item", 1)
def other_times(s):
    s.need(s.value <= 250)
    k = s.i(2, 7)
    s.let(k=k, t=s.value * k)
    return Part(("{B} has {k} times as many {X} as {A}.", "{B} owns {k} times the number of {X} that {A} owns.", "{A}'s neighbor {B} has {k} times as many {X}."),
                [("{B} has", "{v} * {k}", "{t} {X}")], B_HAS, s.value * k, owner=s.others[0])


@schema("item", "item", 2)
def other_and_both(s):
    k = s.i(2, 99)
    s.let(k=k, m=s.value + k, t=2 * s.value + k)
    s.need(s.value < 700)
    return Part(("{B} has {k} more {X} than {A}, and the two combine everything they have. {B} stores it all.",
                 "{B}, who has {k} more {X} than {A}, adds {A}'s {X} to {B}'s own."),
                [("{B} has", "{v} + {k}", "{m} {X}"), ("with {A}'s, {B} has", "{m} + {v}", "{t} {X}")],
                ("How many {X} does {B} store?", "How many {X} does {B} have in all?"), 2 * s.value + k, owner=s.others[0])


@schema("item", "item", 1)
def packed_in(s):
    k = s.divisor(s.value, 2, 12)
    pack = s.pack()
    s.need(s.value // k >= 2)
    s.let(k=k, t=s.value // k, pack=pack[0], packs=pack[1])
    return Part(("{A} packs the {X} into {packs} of {k}.", "{A} puts {k} {X} into each {pack} until none are left.",
                 "All the {X} go into {packs}, {k} to a {pack}."),
                [("{A} fills", "{v} / {k}", "{t} {packs}")], ("How many {packs} does {A} fill?", "How many {packs} are there?", "How many {packs} of {X} does {A} have?"),
                s.value // k, noun=pack)


@schema("item", "item", 2)
def leftover(s):
    k = s.i(3, 12)
    left, q = s.value % k, s.value // k
    s.need(left >= 2, q >= 2)
    pack = s.pack()
    s.let(k=k, q=q, m=q * k, t=left, pack=pack[0], packs=pack[1])
    return Part(("{A} packs as many full {packs} of {k} {X} as possible and gives those {packs} away.",
                 "{A} fills {packs} with {k} {X} each, sells every full {pack} and keeps the remainder."),
                [("{A} fills {q} {packs}, that is", "{q} * {k}", "{m} {X}"), ("{A} keeps", "{v} - {m}", "{t} {X}")],
                ("How many {X} does {A} keep?", "How many {X} are left over?"), left)


@schema("item", "item", 1)
def goal_missing(s):
    k = s.i(2, 300)
    s.let(g=s.value + k, t=k)
    return Part(("{A} wants to have {g} {X} and gets {B} to bring all that are still missing.", "{A} needs {g} {X} in all; {B} promises to bring exactly the missing ones."),
                [("{B} must bring", "{g} - {v}", "{t} {X}")], ("How many {X} must {B} bring?", "How many {X} does {B} bring?"), k, owner=s.others[0])


@schema("item", "item", 2)
def guests_bring(s):
    m, k = s.i(2, 12), s.i(2, 20)
    s.let(m=m, k=k, n=m * k, t=s.value + m * k)
    return Part(("{m} friends each bring {A} {k} more {X}.", "{A} is visited by {m} cousins, and each of them brings {k} {X}.",
                 "{m} neighbors drop by, and every one of them leaves {k} {X} with {A}."),
                [("they bring", "{m} * {k}", "{n} {X}"), ("{A} has", "{v} + {n}", "{t} {X}")], NOW, s.value + m * k)


@schema("item", "item", 2)
def animals_take(s):
    m = s.i(2, 9)
    s.need(s.value - 2 * m >= 2)
    k = s.i(2, min(12, (s.value - 2) // m))
    s.let(m=m, k=k, n=m * k, t=s.value - m * k, Z=noun_pair(s.pick(w.ANIMALS))[1])
    return Part(("{m} {Z} come by and take {k} {X} each.", "{A} watches {m} {Z} carry off {k} {X} each.", "Suddenly {m} {Z} each knock {k} {X} into the river."),
                [("they take", "{m} * {k}", "{n} {X}"), ("{A} has", "{v} - {n}", "{t} {X} left")], NOW, s.value - m * k)


@schema("item", "item", 1)
def trades(s):
    s.need(s.value <= 200)
    k = s.i(2, 6)
    y = s.other_noun()
    s.let(k=k, t=s.value * k)
    return Part(("{A} trades every {x} for {k} {Y}.", "{B} swaps all of {A}'s {X}, giving {k} {Y} for each {x}."),
                [("{A} gets", "{v} * {k}", "{t} {Y}")], ("How many {Y} does {A} get?", "How many {Y} does {A} have after the trade?"), s.value * k, noun=y)


@schema("item", "item", 1)
def trades_up(s):
    k = s.divisor(s.value, 2, 10)
    s.need(s.value // k >= 2)
    y = s.other_noun()
    s.let(k=k, t=s.value // k)
    return Part(("{A} trades the {X} for {Y}, giving {k} {X} for each {y}.", "{B} offers one {y} for every {k} {X}, and {A} exchanges all of {his} {X}."),
                [("{A} gets", "{v} / {k}", "{t} {Y}")], ("How many {Y} does {A} get?", "How many {Y} does {A} receive?"), s.value // k, noun=y)


@schema("item", "item", 2)
def two_shares(s):
    m = s.divisor(s.value, 3, 12)
    n = s.value // m
    s.need(n >= 2, m >= 3)
    s.let(m=m, n=n, t=2 * n)
    return Part(("{A} divides the {X} into {m} equal shares, and {B} takes two of the shares.", "The {X} are split into {m} equal piles. {B} gets two piles."),
                [("one share is", "{v} / {m}", "{n} {X}"), ("{B} gets", "2 * {n}", "{t} {X}")], ("How many {X} does {B} get?", "How many {X} does {B} take?"),
                2 * n, owner=s.others[0])


# ---- people ----

LEFT = ("How many {X} are there now?", "How many {X} are there in the end?", "What is the number of {X} then?", "How many {X} is that?")


@schema(None, "people", 1)
def groups_of(s):
    a, n = s.i(3, 15), s.i(4, 40)
    s.noun = s.group()
    s.let(a=a, n=n, t=a * n, x=s.noun[0], X=s.noun[1], e=s.pick(w.EVENTS), box=s.pick(("bus", "van", "train car", "boat", "tent", "room")))
    return Part(("{a} groups of {n} {X} come to the {e}.", "At the {e} there are {a} teams with {n} {X} in each.", "The {e} is attended by {a} clubs, each sending {n} {X}."),
                [("there are", "{a} * {n}", "{t} {X}")], ("How many {X} come to the {e}?", "How many {X} are at the {e}?"), a * n)


@schema(None, "people", 1)
def two_crowds(s):
    a, b = s.i(10, 400), s.i(10, 400)
    s.noun = s.group()
    s.let(a=a, b=b, t=a + b, x=s.noun[0], X=s.noun[1], e=s.pick(w.EVENTS), p=s.pick(w.PLACES))
    return Part(("{a} {X} arrive at the {p} in the morning and {b} more in the afternoon.", "The {e} draws {a} {X} on the first day and {b} {X} on the second.",
                 "A {p} welcomes {a} {X} from the north and {b} {X} from the south."),
                [("there are", "{a} + {b}", "{t} {X}")], ("How many {X} are there in total?", "How many {X} is that altogether?"), a + b)


@schema(None, "people", 2)
def percent_of_group(s):
    p = s.pick((30, 40, 60, 70, 75, 80, 90))
    n = s.i(2, 30) * 20
    s.noun = s.group()
    base = 4 if p == 75 else 10 if p % 20 else 5
    k, t = p * base // 100, n * p // 100
    s.let(n=n, p=p, m=n // base, k=k, b=base, u=100 // base, t=t, x=s.noun[0], X=s.noun[1], e=s.pick(w.EVENTS))
    return Part(("{p}% of the {n} {X} of the town join the {e}.", "Of {n} {X}, {p}% take part in the {e}.", "{n} {X} are invited to the {e}, and {p}% of them come."),
                [("{u}% is", "{n} / {b}", "{m} {X}"), ("{p}% is", "{m} * {k}", "{t} {X}")], ("How many {X} take part?", "How many {X} are at the {e}?"), t)


@schema(None, "people", 2)
def seats_taken(s):
    r, c = s.i(4, 12), s.i(5, 30)
    e = s.i(2, r * c - 4)
    s.noun = s.group()
    s.let(r=r, c=c, e=e, m=r * c, t=r * c - e, x=s.noun[0], X=s.noun[1], p=s.pick(w.PLACES))
    return Part(("The hall of the {p} has {r} rows of {c} seats. All but {e} seats are taken by {X}.", "In the {p}, {X} fill {r} rows of {c} chairs, but {e} chairs stay empty."),
                [("there are", "{r} * {c}", "{m} seats"), ("there are", "{m} - {e}", "{t} {X}")], LEFT, r * c - e)


@schema(None, "people", 1)
def split_in_kinds(s):
    n = s.i(20, 600)
    a = s.below(n)
    s.noun = s.group()
    s.let(n=n, a=a, t=n - a, x=s.noun[0], X=s.noun[1], m=s.pick(w.MOODS))
    return Part(("Of {n} {X}, {a} leave early and the rest stay.", "{n} {X} are registered, but {a} of them are ill today.", "There are {n} {m} {X}; {a} go by bus and the others walk."),
                [("there remain", "{n} - {a}", "{t} {X}")], ("How many {X} are in the other group?", "How many {X} remain?"), n - a)


@schema("people", "people", 1)
def some_leave(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{k} of the {X} go home.", "{k} {X} leave.", "because of the weather {k} {X} give up.", "{k} {X} say goodbye."), [("there remain", "{v} - {k}", "{t} {X}")], LEFT, s.value - k)


@schema("people", "people", 1)
def some_join(s):
    k = s.i(2, 150)
    s.let(k=k, t=s.value + k)
    return Part(("{k} more {X} join them.", "another {k} {X} arrive.", "{k} late {X} turn up."), [("there are", "{v} + {k}", "{t} {X}")], LEFT, s.value + k)


@schema("people", "people", 1)
def part_chosen(s):
    k = s.divisor(s.value, 2, 6)
    s.need(s.value // k >= 2)
    s.let(k=k, t=s.value // k, part={2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth"}[k])
    return Part(("{part} of the {X} are chosen for a special task.", "exactly {part} of the {X} speak a second language, and only they are asked to stay."),
                [("there are", "{v} / {k}", "{t} {X}")], ("How many {X} is that?", "How many {X} are in that group?"), s.value // k)


@schema("people", "people", 2)
def teams_leave(s):
    a, n = s.i(2, 6), s.i(2, 12)
    s.need(s.value - a * n >= 2)
    s.let(a=a, n=n, m=a * n, t=s.value - a * n)
    return Part(("{a} teams of {n} {X} leave.", "{a} boats take away {n} {X} each.", "{n} {X} get into each of {a} taxis and drive off."),
                [("those leaving are", "{a} * {n}", "{m} {X}"), ("there remain", "{v} - {m}", "{t} {X}")], LEFT, s.value - a * n)


@schema("people", "item", 1)
def form_teams(s):
    k = s.divisor(s.value, 2, 12)
    s.need(s.value // k >= 2)
    noun = s.pick((("team", "teams"), ("group", "groups"), ("tent", "tents"), ("table", "tables"), ("canoe", "canoes"), ("cabin", "cabins"), ("wagon", "wagons")))
    s.let(k=k, t=s.value // k, y=noun[0], Y=noun[1])
    return Part(("{A} puts {k} {X} in each {y}.", "{A} divides the {X} so that every {y} has {k} of them.", "each {y} that {A} prepares gets {k} {X}."),
                [("{A} needs", "{v} / {k}", "{t} {Y}")], ("How many {Y} does {A} need?", "How many {Y} are there?"), s.value // k, noun=noun)


@schema("people", "item", 2)
def vehicles(s):
    k = s.i(4, 12)
    left = s.value % k
    s.need(left >= 1, s.value // k >= 2)
    noun = s.pick((("bus", "buses"), ("van", "vans"), ("boat", "boats"), ("minibus", "minibuses"), ("cable car", "cable cars"), ("tent", "tents")))
    q = s.value // k
    s.let(k=k, q=q, m=q * k, r=left, t=q + 1, y=noun[0], Y=noun[1])
    return Part(("{A} rents {Y} for the {X}; each {y} has room for {k} {X} and everyone must get a place.", "A {y} holds {k} {X}. {A} orders just enough {Y} for everybody."),
                [("{q} {Y} hold", "{q} * {k}", "{m} {X}"), ("with one more for the rest {A} needs", "{q} + 1", "{t} {Y}")],
                ("How many {Y} does {A} need?", "How many {Y} does {A} order?"), q + 1, noun=noun)


@schema("people", "item", 1)
def each_gets(s):
    s.need(s.value <= 250)
    k = s.i(2, 8)
    y = s.other_noun()
    s.let(k=k, t=s.value * k)
    return Part(("{A} prepares {k} {Y} for each of the {X}.", "each of the {X} is to receive {k} {Y} from {A}.", "{A} orders {k} {Y} per {x}."),
                [("{A} needs", "{v} * {k}", "{t} {Y}")], ("How many {Y} does {A} need?", "How many {Y} is that?"), s.value * k, noun=y)


@schema("people", "money", 1)
def each_pays(s):
    s.need(s.value <= 300)
    p = s.i(2, 12)
    s.let(p=p, t=s.value * p)
    return Part(("{A} collects {$p} from each of the {X}.", "each of the {X} pays {$p} to {A}.", "{A} charges the {X} {$p} a head."),
                [("{A} collects", "{v} * {p}", "{$t}")], ("How much money does {A} collect?", "How much does {A} receive?"), s.value * p)
