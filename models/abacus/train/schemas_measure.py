"""Schemas about time, distance, mass, volume, age and points."""

from grammar import Part, schema
import words as w

MINUTES = ("How many minutes does it take {A}?", "How many minutes is that for {A}?", "How long does it take {A}, in minutes?", "Find the number of minutes {A} needs.")
HOURS = ("How many hours does it take {A}?", "How many hours is that for {A}?", "How long is it in hours?")
DAYS = ("How many days does {A} need?", "How many days is that for {A}?", "After how many days is {A} done?")
KM = ("How many {u} does {A} cover?", "How many {u} is that for {A}?", "What distance in {u} does {A} cover?", "Find the distance in {u}.")
AGE = ("How old is {A}?", "What is {A}'s age in years?", "How many years old is {A}?")
B_AGE = ("How old is {B}?", "What is {B}'s age?", "How many years old is {B}?")
POINTS = ("How many points does {A} have?", "What is {A}'s score?", "How many points is that for {A}?")


def unit(s):
    """Binds the unit of length of this story to u."""
    if not hasattr(s, "length"):
        s.length = s.pick(("kilometers", "kilometers", "miles", "miles", "meters", "yards", "leagues"))
    s.let(u=s.length)


# ---- time ----

@schema(None, "min", 1)
def two_durations(s):
    a, b = s.i(5, 180), s.i(5, 180)
    h, g = s.pick(w.HOBBIES), s.pick(w.HOBBIES)
    s.let(a=a, b=b, t=a + b, h=h, g=g)
    return Part(("{A} spends {a} minutes on {h} and {b} minutes on {g}.", "first comes {h} for {a} minutes, then {g} for {b} minutes; that is {A}'s plan."),
                [("{A} needs", "{a} + {b}", "{t} minutes")], MINUTES, a + b)


@schema(None, "min", 2)
def hours_and_minutes(s):
    h, m = s.i(2, 12), s.i(5, 55)
    s.let(h=h, m=m, a=60 * h, t=60 * h + m, e=s.pick(w.EVENTS))
    return Part(("the {e} keeps {A} busy for {h} hours and {m} minutes.", "{A} travels for {h} hours and {m} minutes to reach the {e}."),
                [("the hours are", "{h} * 60", "{a} minutes"), ("{A} needs", "{a} + {m}", "{t} minutes")], MINUTES, 60 * h + m)


@schema(None, "min", 1)
def lap_minutes(s):
    k, m = s.i(2, 12), s.i(3, 40)
    s.let(k=k, m=m, t=k * m, place=s.pick(w.PLACES))
    return Part(("one round of the {place} takes {A} {m} minutes. {A} does {k} rounds.", "{A} walks around the {place} {k} times; each time takes {m} minutes."),
                [("{A} needs", "{k} * {m}", "{t} minutes")], MINUTES, k * m)


@schema(None, "min", 1)
def each_item_minutes(s):
    k, m = s.i(3, 40), s.i(2, 12)
    s.let(k=k, m=m, t=k * m, verb=s.pick(("paint", "clean", "repair", "wrap", "check", "polish", "label", "draw", "carve", "sort", "inspect", "decorate")))
    return Part(("it takes {A} {m} minutes to {verb} one {x}. {A} has {k} {X} to {verb}.", "{A} must {verb} {k} {X} and needs {m} minutes per {x}."),
                [("{A} needs", "{k} * {m}", "{t} minutes")], MINUTES, k * m)


@schema(None, "hour", 1)
def clock_hours(s):
    a, t = s.i(5, 12), s.i(2, 11)
    s.let(a=a, b=a + t, t=t, job=s.pick(w.JOBS))
    return Part(("{A} the {job} works from {a}:00 to {b}:00.", "The {job} {A} starts at {a}:00 and stops at {b}:00."), [("{A} works", "{b} - {a}", "{t} hours")], HOURS, t)


@schema(None, "hour", 2)
def days_of_hours(s):
    d, a, b = s.i(2, 7), s.i(2, 6), s.i(2, 6)
    s.let(d=d, a=a, b=b, m=a + b, t=d * (a + b), h=s.pick(w.HOBBIES), g=s.pick(w.HOBBIES))
    return Part(("On each of {d} days {A} spends {a} hours on {h} and {b} hours on {g}.", "Daily {A} plans {a} hours for {h} and {b} hours for {g}, for {d} days."),
                [("each day it is", "{a} + {b}", "{m} hours"), ("{A} needs", "{d} * {m}", "{t} hours")], HOURS, d * (a + b))


@schema(None, "day", 2)
def weeks_and_days(s):
    k, d = s.i(2, 12), s.i(2, 6)
    s.let(k=k, d=d, m=7 * k, t=7 * k + d, place=s.pick(w.TOWNS))
    return Part(("{A} stays in {place} for {k} weeks and {d} days.", "{A}'s journey to {place} lasts {k} weeks and {d} days."),
                [("the weeks are", "{k} * 7", "{m} days"), ("{A} stays", "{m} + {d}", "{t} days")], DAYS, 7 * k + d)


@schema(None, "day", 2)
def pages_left_days(s):
    d, p, a = s.i(3, 20), s.i(3, 20), s.i(5, 90)
    n = d * p + a
    s.need(p <= 12)
    s.let(n=n, a=a, p=p, m=d * p, t=d, topic=s.pick(w.SUBJECTS))
    return Part(("A book about {topic} has {n} pages. {A} has read {a} pages and reads {p} pages a day from now on.", "{A} has finished {a} of the {n} pages of a book about {topic} and reads {p} more each day."),
                [("there remain", "{n} - {a}", "{m} pages"), ("{A} needs", "{m} / {p}", "{t} days")], DAYS, d)


@schema(None, "min", 1)
def fills_tank(s):
    r, t = s.i(2, 12), s.i(4, 80)
    s.let(r=r, n=r * t, t=t, liquid=s.pick(w.LIQUIDS))
    return Part(("{A} fills a tank of {n} liters with {liquid} at {r} liters per minute.", "A tank holds {n} liters of {liquid}; {A}'s pump moves {r} liters per minute."),
                [("{A} needs", "{n} / {r}", "{t} minutes")], MINUTES, t)


@schema(None, "min", 2)
def leaking_tank(s):
    a, b, t = s.i(6, 20), s.i(2, 9), s.i(3, 60)
    s.need(2 <= a - b <= 12)
    s.let(a=a, b=b, m=a - b, n=(a - b) * t, t=t)
    return Part(("{A} fills a barrel of {n} liters. Each minute {a} liters flow in and {b} liters leak out.", "Into {A}'s pool of {n} liters flow {a} liters per minute, while {b} liters per minute run out."),
                [("each minute it gains", "{a} - {b}", "{m} liters"), ("{A} needs", "{n} / {m}", "{t} minutes")], MINUTES, t)


@schema("min", "min", 1)
def adds_break(s):
    k = s.i(3, 90)
    s.let(k=k, t=s.value + k)
    return Part(("on top of that {A} takes a break of {k} minutes.", "{A} is delayed by another {k} minutes.", "tidying up takes {A} {k} more minutes."), [("{A} needs", "{v} + {k}", "{t} minutes")], MINUTES, s.value + k)


@schema("min", "min", 1)
def saves_minutes(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("with some practice {A} saves {k} minutes of that time.", "thanks to {B}'s help {A} is {k} minutes faster than that."), [("{A} needs", "{v} - {k}", "{t} minutes")], MINUTES, s.value - k)


@schema("min", "min", 1)
def minutes_times(s):
    s.need(s.value <= 250)
    k = s.i(2, 7)
    s.let(k=k, t=s.value * k)
    return Part(("{A} does the same on each of {k} days.", "this is repeated by {A} {k} times in total."), [("{A} needs", "{v} * {k}", "{t} minutes")], MINUTES, s.value * k)


@schema("min", "min", 1)
def other_slower(s):
    k = s.i(3, 90)
    s.let(k=k, t=s.value + k)
    return Part(("{B} takes {k} minutes longer than {A} for everything.", "{B} is slower than {A} and needs {k} minutes more."),
                [("{B} needs", "{v} + {k}", "{t} minutes")], ("How many minutes does it take {B}?", "How many minutes does {B} need?"), s.value + k, owner=s.others[0])


@schema("min", "hour", 1)
def minutes_to_hours(s):
    s.need(s.value % 60 == 0, s.value >= 120)
    s.let(t=s.value // 60)
    return Part(("{A} writes this time down in hours.", "{B} wants to know {A}'s time in full hours."), [("it is", "{v} / 60", "{t} hours")], ("How many hours is it?", "What is the time in hours?"), s.value // 60)


@schema("min", "item", 1)
def made_per_minute(s):
    s.need(s.value <= 300)
    k = s.i(2, 9)
    s.let(k=k, t=s.value * k)
    return Part(("during all these minutes {B} makes {k} {X} per minute.", "in the same time {B} prints {k} {X} every minute."), [("{B} makes", "{v} * {k}", "{t} {X}")],
                ("How many {X} does {B} make?", "How many {X} does {B} have then?"), s.value * k, owner=s.others[0])


@schema("min", "item", 1)
def made_every_minutes(s):
    k = s.divisor(s.value, 2, 12)
    s.need(s.value // k >= 2)
    s.let(k=k, t=s.value // k)
    return Part(("during this time {B} finishes one {x} every {k} minutes.", "{B} needs {k} minutes for a {x} and works for the same time as {A}."), [("{B} makes", "{v} / {k}", "{t} {X}")],
                ("How many {X} does {B} make?", "How many {X} does {B} finish?"), s.value // k, owner=s.others[0])


@schema("hour", "hour", 1)
def hours_more(s):
    k = s.i(2, 30)
    s.let(k=k, t=s.value + k)
    return Part(("{A} adds {k} more hours.", "another {k} hours are needed by {A}."), [("it is", "{v} + {k}", "{t} hours")], HOURS, s.value + k)


@schema("hour", "hour", 1)
def hours_times(s):
    s.need(s.value <= 100)
    k = s.i(2, 9)
    s.let(k=k, t=s.value * k)
    return Part(("{A} does this on each of {k} weekends.", "it is the same for {A} in each of {k} months."), [("it is", "{v} * {k}", "{t} hours")], HOURS, s.value * k)


@schema("hour", "min", 1)
def hours_to_minutes(s):
    s.need(s.value <= 24)
    s.let(t=s.value * 60)
    return Part(("{A} notes the time in minutes.", "for the timetable {A} changes these hours into minutes."), [("it is", "{v} * 60", "{t} minutes")], ("How many minutes is it?", "What is the time in minutes?"), s.value * 60)


@schema("hour", "money", 1)
def paid_hours(s):
    s.need(s.value <= 99)
    p = s.i(4, 25)
    s.let(p=p, t=s.value * p)
    return Part(("for these hours {A} is paid {$p} per hour.", "{A} earns {$p} for each of these hours."), [("{A} earns", "{v} * {p}", "{$t}")], ("How much does {A} earn?", "What are {A}'s earnings?"), s.value * p)


@schema("hour", "dist", 1)
def rides_hours(s):
    s.need(s.value <= 40)
    p = s.i(3, 60)
    unit(s)
    s.let(p=p, t=s.value * p)
    return Part(("for the same number of hours {A} rides at {p} {u} per hour.", "{B} moves for as many hours and covers {p} {u} each hour."), [("the distance is", "{v} * {p}", "{t} {u}")], ("What is the distance in {u}?", "How many {u} is it?"), s.value * p)


@schema("day", "day", 1)
def days_more(s):
    k = s.i(2, 60)
    s.let(k=k, t=s.value + k)
    return Part(("{A} adds {k} more days.", "rain makes it {k} days longer for {A}."), [("it is", "{v} + {k}", "{t} days")], DAYS, s.value + k)


@schema("day", "day", 1)
def days_fewer(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{A} finishes {k} days sooner than that.", "{k} of these days are skipped by {A}."), [("it is", "{v} - {k}", "{t} days")], DAYS, s.value - k)


@schema("day", "hour", 1)
def hours_each_day(s):
    s.need(s.value <= 99)
    h = s.i(2, 12)
    s.let(h=h, t=s.value * h)
    return Part(("on each of these days {A} works {h} hours.", "{A} studies {h} hours on every one of these days."), [("it is", "{v} * {h}", "{t} hours")], HOURS, s.value * h)


@schema("day", "item", 1)
def items_each_day(s):
    s.need(s.value <= 150)
    k = s.i(2, 12)
    s.let(k=k, t=s.value * k)
    return Part(("on each of these days {A} gets {k} {X}.", "{A} collects {k} {X} on every one of these days."), [("{A} has", "{v} * {k}", "{t} {X}")], ("How many {X} does {A} have?", "How many {X} does {A} collect?"), s.value * k)


@schema("day", "money", 1)
def paid_days(s):
    s.need(s.value <= 99)
    p = s.i(10, 90)
    s.let(p=p, t=s.value * p)
    return Part(("{A} pays {$p} per day for all these days.", "each of these days costs {A} {$p}."), [("{A} pays", "{v} * {p}", "{$t}")], ("How much does {A} pay?", "How much is it in total?"), s.value * p)


# ---- distance ----

@schema(None, "dist", 1)
def speed_time(s):
    p, h = s.i(3, 90), s.i(2, 10)
    unit(s)
    s.let(p=p, h=h, t=p * h, way=s.pick(("cycles", "drives", "walks", "rides", "sails", "runs", "travels", "skates")))
    return Part(("{A} {way} at {p} {u} per hour for {h} hours.", "for {h} hours {A} {way} {p} {u} each hour."), [("{A} covers", "{p} * {h}", "{t} {u}")], KM, p * h)


@schema(None, "dist", 3)
def two_legs(s):
    p, h, q, g = s.i(3, 60), s.i(2, 8), s.i(3, 60), s.i(2, 8)
    unit(s)
    s.let(p=p, h=h, q=q, g=g, m=p * h, n=q * g, t=p * h + q * g)
    return Part(("{A} drives {h} hours at {p} {u} per hour and then {g} hours at {q} {u} per hour.", "{A} travels at {p} {u} an hour for {h} hours, rests, and goes on at {q} {u} an hour for {g} hours."),
                [("the first part is", "{p} * {h}", "{m} {u}"), ("the second part is", "{q} * {g}", "{n} {u}"), ("{A} covers", "{m} + {n}", "{t} {u}")], KM, p * h + q * g)


@schema(None, "dist", 2)
def round_trips(s):
    d, k = s.i(3, 60), s.i(2, 9)
    unit(s)
    s.let(d=d, k=k, m=2 * d, t=2 * d * k, place=s.pick(w.PLACES))
    return Part(("the {place} is {d} {u} from {A}'s home. {A} goes there and back {k} times.", "{A} makes {k} round trips to the {place}, which is {d} {u} away."),
                [("one round trip is", "2 * {d}", "{m} {u}"), ("{A} covers", "{k} * {m}", "{t} {u}")], KM, 2 * d * k)


@schema(None, "dist", 1)
def laps(s):
    k, d = s.i(2, 12), s.i(3, 120)
    unit(s)
    s.let(k=k, d=d, t=k * d)
    return Part(("{A} completes {k} laps of {d} {u} each.", "a lap is {d} {u} long, and {A} finishes {k} laps."), [("{A} covers", "{k} * {d}", "{t} {u}")], KM, k * d)


@schema(None, "dist", 2)
def remaining_trip(s):
    n = s.i(60, 900)
    a = s.i(10, n // 2)
    b = s.below(n - a)
    unit(s)
    s.let(n=n, a=a, b=b, m=n - a, t=n - a - b, place=s.pick(w.TOWNS))
    return Part(("the road to {place} is {n} {u} long. {A} covers {a} {u} on the first day and {b} on the second; the rest is for the third day.",
                 "{A} has to go {n} {u} to {place}: {a} {u} by train, {b} {u} by bus and the rest on foot."),
                [("after the first part there remain", "{n} - {a}", "{m} {u}"), ("the last part is", "{m} - {b}", "{t} {u}")],
                ("How many {u} are left for {A}?", "How long is the last part in {u}?"), n - a - b)


@schema(None, "dist", 2)
def perimeter(s):
    a, b = s.i(4, 200), s.i(3, 150)
    unit(s)
    s.let(a=a, b=b, m=a + b, t=2 * (a + b), place=s.pick(w.PLACES))
    return Part(("the {place} is a rectangle {a} {u} long and {b} {u} wide. {A} walks around it once.", "{A} builds a fence around a rectangular {place} of {a} by {b} {u}."),
                [("length and width are", "{a} + {b}", "{m} {u}"), ("the way around is", "2 * {m}", "{t} {u}")], ("How many {u} is the way around?", "What is the perimeter in {u}?"), 2 * (a + b))


@schema(None, "dist", 2)
def apart(s):
    p, q, h = s.i(3, 50), s.i(3, 50), s.i(2, 9)
    unit(s)
    s.let(p=p, q=q, h=h, m=p + q, t=(p + q) * h)
    return Part(("{A} and {B} start together and move in opposite directions at {p} and {q} {u} per hour for {h} hours.", "{A} goes east at {p} {u} an hour, {B} goes west at {q} {u} an hour. {h} hours pass."),
                [("each hour the gap grows by", "{p} + {q}", "{m} {u}"), ("they are apart", "{m} * {h}", "{t} {u}")], ("How many {u} are they apart?", "How many {u} lie between {A} and {B}?"), (p + q) * h)


@schema(None, "dist", 2)
def ahead(s):
    q, d, h = s.i(3, 60), s.i(2, 30), s.i(2, 12)
    unit(s)
    s.let(p=q + d, q=q, h=h, m=d, t=d * h)
    return Part(("{A} rides {p} {u} per hour and {B} rides {q} {u} per hour. They ride the same way for {h} hours.", "in a race of {h} hours {A} goes {p} {u} an hour but {B} only {q}."),
                [("each hour {A} gains", "{p} - {q}", "{m} {u}"), ("{A} is ahead by", "{m} * {h}", "{t} {u}")], ("How many {u} is {A} ahead?", "What is {A}'s lead in {u}?"), d * h)


@schema("dist", "dist", 1)
def goes_on(s):
    k = s.i(2, 250)
    unit(s)
    s.let(k=k, t=s.value + k)
    return Part(("another {k} {u} are added to that.", "{A} adds {k} {u} more."), [("it is", "{v} + {k}", "{t} {u}")], ("How many {u} is it in total?", "How many {u} is it altogether?"), s.value + k)


@schema("dist", "dist", 1)
def there_and_back(s):
    s.need(s.value <= 700)
    unit(s)
    s.let(t=s.value * 2)
    return Part(("{A} covers this distance there and back.", "{A} covers that distance twice."), [("it is", "2 * {v}", "{t} {u}")], ("How many {u} is it in total?", "How many {u} does {A} cover?"), s.value * 2)


@schema("dist", "dist", 1)
def other_further(s):
    k = s.i(2, 150)
    unit(s)
    s.let(k=k, t=s.value + k)
    return Part(("{B}'s distance is {k} {u} longer than that.", "{B} covers {k} {u} more than this distance."), [("{B} covers", "{v} + {k}", "{t} {u}")], ("How many {u} does {B} cover?", "What is {B}'s distance in {u}?"), s.value + k, owner=s.others[0])


@schema("dist", "dist", 1)
def other_shorter(s):
    k = s.below(s.value)
    unit(s)
    s.let(k=k, t=s.value - k)
    return Part(("{B} covers {k} {u} less than this distance.", "{B}'s distance is {k} {u} shorter."), [("{B} covers", "{v} - {k}", "{t} {u}")], ("How many {u} does {B} cover?", "What is {B}'s distance in {u}?"), s.value - k, owner=s.others[0])


@schema("dist", "hour", 1)
def at_speed(s):
    p = s.divisor(s.value, 2, 12)
    s.need(s.value // p >= 2)
    unit(s)
    s.let(p=p, t=s.value // p)
    return Part(("{B} covers the same distance at {p} {u} per hour.", "for that distance {B} goes {p} {u} every hour."), [("{B} needs", "{v} / {p}", "{t} hours")], ("How many hours does {B} need?", "How many hours does it take {B}?"), s.value // p, owner=s.others[0])


@schema("dist", "item", 2)
def posts(s):
    g = s.divisor(s.value, 2, 12)
    unit(s)
    noun = s.pick((("post", "posts"), ("tree", "trees"), ("lamp", "lamps"), ("flag", "flags"), ("marker", "markers"), ("sign", "signs"), ("bench", "benches"), ("bush", "bushes")))
    s.let(g=g, m=s.value // g, t=s.value // g + 1, y=noun[0], Y=noun[1])
    s.need(s.value // g >= 2)
    return Part(("along a straight line of that length {A} sets a {y} every {g} {u}, also at both ends.", "{A} places {Y} {g} {u} apart along a straight path of this length, with one at each end."),
                [("there are", "{v} / {g}", "{m} gaps"), ("{A} needs", "{m} + 1", "{t} {Y}")], ("How many {Y} does {A} need?", "How many {Y} are there?"), s.value // g + 1, noun=noun)


@schema("dist", "money", 1)
def paid_distance(s):
    s.need(s.value <= 250)
    p = s.i(2, 9)
    unit(s)
    s.let(p=p, t=s.value * p)
    return Part(("for this distance {A} collects {$p} per unit from a sponsor.", "a sponsor pays {A} {$p} for each of these {u}."), [("{A} gets", "{v} * {p}", "{$t}")], ("How much money does {A} get?", "How much does the sponsor pay?"), s.value * p)


# ---- mass and volume, as countable measures ----

@schema(None, "item", 2)
def recipe(s):
    a, k, n = s.i(2, 6), s.i(2, 9), s.i(2, 30)
    stuff, measure = s.pick(w.STUFFS), s.pick((("cup", "cups"), ("spoon", "spoons"), ("gram", "grams"), ("scoop", "scoops")))
    y = (f"{measure[0]} of {stuff}", f"{measure[1]} of {stuff}")
    s.let(a=a, n=n, b=a * k, k=k, t=n * k, y=y[0], Y=y[1], food=s.pick(w.FOODS).split("/")[0])
    return Part(("a {food} recipe for {a} people needs {n} {Y}. {A} cooks for {b} people.", "to serve {a} people {A} takes {n} {Y}, but today {b} people are coming."),
                [("the recipe is made", "{b} / {a}", "{k} times"), ("{A} needs", "{n} * {k}", "{t} {Y}")], ("How many {Y} does {A} need?", "How many {Y} are used?"), n * k, noun=y)


@schema(None, "item", 2)
def weighed(s):
    a, b, e = s.i(20, 300), s.i(2, 40), s.i(2, 20)
    stuff = s.pick(w.STUFFS)
    s.need(a > b + e)
    y = ("kilogram of " + stuff, "kilograms of " + stuff)
    s.let(a=a, b=b, e=e, m=a - b, t=a - b - e, y=y[0], Y=y[1])
    s.need(a - b - e >= 2)
    return Part(("a full cart of {stuff} weighs {a} kilograms; the cart alone weighs {b}. {A} spills {e} kilograms.".replace("{stuff}", stuff),
                 "{A} weighs a barrel with {stuff}: {a} kilograms. The empty barrel weighs {b} kilograms, and {e} kilograms of {stuff} are wet and thrown away.".replace("{stuff}", stuff)),
                [("the load weighs", "{a} - {b}", "{m} kilograms"), ("{A} has", "{m} - {e}", "{t} {Y}")], ("How many {Y} does {A} have?", "How many {Y} are left?"), a - b - e, noun=y)


@schema(None, "item", 2)
def mixture(s):
    k, t = s.i(2, 9), s.i(3, 60)
    n = k * t
    a = s.below(n)
    p, q = s.pick(w.LIQUIDS), s.pick(w.LIQUIDS)
    s.need(p != q)
    y = s.pick((("bottle", "bottles"), ("jug", "jugs"), ("canister", "canisters"), ("flask", "flasks"), ("pitcher", "pitchers")))
    s.let(a=a, b=n - a, n=n, k=k, t=t, p=p, q=q, y=y[0], Y=y[1])
    return Part(("{A} mixes {a} liters of {p} with {b} liters of {q} and fills {Y} of {k} liters.", "{a} liters of {p} and {b} liters of {q} are stirred by {A} and poured into {Y} that hold {k} liters each."),
                [("the mixture is", "{a} + {b}", "{n} liters"), ("{A} fills", "{n} / {k}", "{t} {Y}")], ("How many {Y} does {A} fill?", "How many {Y} are needed?"), t, noun=y)


# ---- ages ----

@schema(None, "age", 1)
def older_by(s):
    a, d = s.i(3, 60), s.i(2, 30)
    s.let(a=a, d=d, t=a + d)
    return Part(("{A} is {d} years older than {B}, who is {a}.", "{B} is {a} years old. {A} is {d} years older."), [("{A} is", "{a} + {d}", "{t} years old")], AGE, a + d)


@schema(None, "age", 1)
def younger_by(s):
    a = s.i(12, 80)
    d = s.below(a)
    s.let(a=a, d=d, t=a - d)
    return Part(("{A} is {d} years younger than {B}, who is {a}.", "{B} is {a} years old, and {A} is {d} years younger."), [("{A} is", "{a} - {d}", "{t} years old")], AGE, a - d)


@schema(None, "age", 1)
def times_as_old(s):
    a, k = s.i(3, 20), s.i(2, 5)
    s.let(a=a, k=k, t=a * k)
    return Part(("{A} is {k} times as old as {B}. {B} is {a}.", "{B} is {a} years old and {A} is {k} times that age."), [("{A} is", "{k} * {a}", "{t} years old")], AGE, a * k)


@schema(None, "age", 2)
def age_sum_difference(s):
    b, d = s.i(4, 50), s.i(2, 30)
    s.let(s=2 * b + d, d=d, m=2 * b, t=b)
    return Part(("together {A} and {B} are {s} years old, and {B} is {d} years older than {A}.", "the ages of {A} and {B} add up to {s}. {A} is {d} years younger than {B}."),
                [("without the difference it is", "{s} - {d}", "{m} years"), ("{A} is", "{m} / 2", "{t} years old")], AGE, b)


@schema(None, "age", 2)
def half_then_more(s):
    t, d = s.i(4, 45), s.i(2, 20)
    s.let(a=2 * t, h=t, d=d, t=t + d)
    return Part(("{C} is {a}. {B} is half as old as {C}, and {A} is {d} years older than {B}.", "{A} is {d} years older than {B}, who is half the age of {C}. {C} is {a}."),
                [("{B} is", "{a} / 2", "{h} years old"), ("{A} is", "{h} + {d}", "{t} years old")], AGE, t + d)


@schema("age", "age", 1)
def relative_older(s):
    d = s.i(2, 40)
    s.let(d=d, t=s.value + d)
    return Part(("{B} is {d} years older than {A}.", "{A}'s neighbor {B} is {d} years older than {A}."), [("{B} is", "{v} + {d}", "{t} years old")], B_AGE, s.value + d, owner=s.others[0])


@schema("age", "age", 1)
def relative_younger(s):
    d = s.below(s.value)
    s.let(d=d, t=s.value - d)
    return Part(("{B} is {d} years younger than {A}.", "{A}'s friend {B} is {d} years younger than {A}."), [("{B} is", "{v} - {d}", "{t} years old")], B_AGE, s.value - d, owner=s.others[0])


@schema("age", "age", 1)
def relative_times(s):
    s.need(s.value <= 40)
    k = s.i(2, 4)
    s.let(k=k, t=s.value * k)
    return Part(("{B}'s old tortoise is {k} times as old as {A}, and it is called {C}.", "{C}, the oldest oak of the village, is {k} times as old as {A}."),
                [("{C} is", "{v} * {k}", "{t} years old")], ("How old is {C}?", "What is {C}'s age?"), s.value * k, owner=s.others[1])


@schema("age", "age", 1)
def years_later(s):
    d = s.i(2, 30)
    s.let(d=d, t=s.value + d)
    return Part(("{d} years pass for everybody.", "{d} years go by."), [("{A} is then", "{v} + {d}", "{t} years old")], ("How old is {A} then?", "What is {A}'s age then?"), s.value + d)


@schema("age", "age", 2)
def ages_added(s):
    d = s.i(2, 30)
    s.let(d=d, m=s.value + d, t=2 * s.value + d)
    return Part(("{B} is {d} years older than {A}. By chance {C} is exactly as old as both together.", "{C} is as old as {A} and {B} together, and {B} is {d} years older than {A}."),
                [("{B} is", "{v} + {d}", "{m} years old"), ("{C} is", "{m} + {v}", "{t} years old")], ("How old is {C}?", "What is {C}'s age?"), 2 * s.value + d, owner=s.others[1])


@schema("age", "item", 1)
def candles(s):
    s.let(y="candle", Y="candles", t=s.value * 2)
    return Part(("{A}'s cake gets two candles for each year of {his} age.", "For {A}'s birthday there are two candles per year of age."), [("{A} gets", "{v} * 2", "{t} candles")],
                ("How many candles does {A} get?", "How many candles are there?"), s.value * 2, noun=("candle", "candles"))


# ---- points ----

@schema(None, "points", 3)
def game_points(s):
    a, p, b, q = s.i(2, 12), s.i(2, 10), s.i(2, 12), s.i(2, 10)
    s.need(p != q)
    s.let(a=a, p=p, b=b, q=q, m=a * p, n=b * q, t=a * p + b * q, c=s.pick(w.COLORS))
    return Part(("In a game a {c} target is worth {p} points and a white one {q} points. {A} hits {a} {c} and {b} white targets.",
                 "{A} hits {a} {c} targets for {p} points each and {b} white targets for {q} points each."),
                [("the {c} targets give", "{a} * {p}", "{m} points"), ("the white targets give", "{b} * {q}", "{n} points"), ("{A} has", "{m} + {n}", "{t} points")], POINTS, a * p + b * q)


@schema(None, "points", 2)
def quiz_points(s):
    n, p = s.i(6, 40), s.i(2, 10)
    a = s.below(n)
    s.let(n=n, a=a, p=p, m=n - a, t=(n - a) * p, topic=s.pick(w.SUBJECTS))
    return Part(("A quiz about {topic} has {n} questions worth {p} points each. {A} answers {a} of them wrong.", "{A} takes a test on {topic}: {n} questions, {p} points for each right answer. {a} answers are wrong."),
                [("right answers:", "{n} - {a}", "{m}"), ("{A} has", "{m} * {p}", "{t} points")], POINTS, (n - a) * p)


@schema(None, "points", 3)
def average_points(s):
    t = s.i(10, 90)
    a, b = s.i(5, 90), s.i(5, 90)
    c = 3 * t - a - b
    s.need(2 <= c <= 150)
    s.let(a=a, b=b, c=c, m=a + b, n=3 * t, t=t, game=s.pick(w.HOBBIES))
    return Part(("In {game} {A} scores {a}, {b} and {c} points, and the average counts.", "{A}'s three scores in {game} are {a}, {b} and {c}. Only their average counts."),
                [("the first two give", "{a} + {b}", "{m} points"), ("all three give", "{m} + {c}", "{n} points"), ("{A}'s average is", "{n} / 3", "{t} points")],
                ("What is {A}'s average?", "How many points does {A} get on average?"), t)


@schema("points", "points", 1)
def bonus_points(s):
    k = s.i(2, 150)
    s.let(k=k, t=s.value + k)
    return Part(("{A} gets a bonus of {k} points.", "{k} more points go to {A}."), [("{A} has", "{v} + {k}", "{t} points")], POINTS, s.value + k)


@schema("points", "points", 1)
def penalty_points(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{A} loses {k} points for being late.", "a penalty costs {A} {k} points."), [("{A} has", "{v} - {k}", "{t} points")], POINTS, s.value - k)


@schema("points", "points", 1)
def rival_points(s):
    k = s.i(2, 120)
    s.let(k=k, t=s.value + k)
    return Part(("{B} scores {k} points more than {A}.", "{B} beats {A} by {k} points."), [("{B} has", "{v} + {k}", "{t} points")],
                ("How many points does {B} have?", "What is {B}'s score?"), s.value + k, owner=s.others[0])


@schema("points", "points", 1)
def points_multiplied(s):
    s.need(s.value <= 250)
    k = s.i(2, 4)
    s.let(k=k, t=s.value * k)
    return Part(("{A} draws a card that multiplies {his} points by {k}.", "a magic wheel makes {A}'s points {k} times as many."), [("{A} has", "{v} * {k}", "{t} points")], POINTS, s.value * k)


@schema("points", "item", 1)
def points_for_prizes(s):
    k = s.divisor(s.value, 2, 12)
    s.need(s.value // k >= 2)
    y = s.other_noun()
    s.let(k=k, t=s.value // k)
    return Part(("{A} exchanges all points for {Y}; one {y} costs {k} points.", "for every {k} points {A} gets one {y}."), [("{A} gets", "{v} / {k}", "{t} {Y}")], ("How many {Y} does {A} get?", "How many {Y} does {A} win?"), s.value // k, noun=y)
