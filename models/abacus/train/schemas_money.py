"""Schemas about prices, wages, savings and what money buys."""

from grammar import Part, schema
import words as w

COST = ("How much does {A} pay?", "How much money does {A} spend?", "What is the total price {A} pays?", "Find the total cost for {A}.")
EARN = ("How much does {A} earn?", "How much money does {A} earn in total?", "What are {A}'s total earnings?", "Find how much {A} earns.")
MONEY = ("How much money does {A} have now?", "How much money does {A} have in the end?", "What amount does {A} have then?",
         "Work out how much money {A} has.", "How much money is that for {A}?")
B_MONEY = ("How much money does {B} have?", "What amount does {B} have?", "Find how much money {B} has.")


# ---- stories that open with money ----

@schema(None, "money", 1)
def unit_price(s):
    k, p = s.i(2, 30), s.i(2, 30)
    s.let(k=k, p=p, t=k * p)
    return Part(("{A} buys {k} {X} for {$p} each.", "One {x} costs {$p}, and {A} buys {k} of them.", "{A} orders {k} {X} at a price of {$p} per {x}.",
                 "The price of a {x} is {$p}. {A} takes {k}."), [("{A} pays", "{k} * {p}", "{$t}")], COST, k * p)


@schema(None, "money", 3)
def two_goods(s):
    k, p, m, q = s.i(2, 12), s.i(2, 25), s.i(2, 12), s.i(2, 25)
    s.other_noun()
    s.let(k=k, p=p, m=m, q=q, a=k * p, b=m * q, t=k * p + m * q)
    return Part(("{A} buys {k} {X} at {$p} each and {m} {Y} at {$q} each.", "A {x} costs {$p} and a {y} costs {$q}. {A} buys {k} {X} and {m} {Y}."),
                [("the {X} cost", "{k} * {p}", "{$a}"), ("the {Y} cost", "{m} * {q}", "{$b}"), ("{A} pays", "{a} + {b}", "{$t}")], COST, k * p + m * q)


@schema(None, "money", 2)
def change(s):
    k, p, note = s.i(2, 9), s.i(2, 20), s.pick((20, 50, 100, 200))
    s.need(note - k * p >= 2)
    s.let(k=k, p=p, n=note, m=k * p, t=note - k * p)
    return Part(("{A} buys {k} {X} for {$p} each and pays with {$n}.", "{A} gives the seller {$n} for {k} {X} that cost {$p} each.",
                 "With {$n} in {his} pocket, {A} buys {k} {X} at {$p} apiece."),
                [("the {X} cost", "{k} * {p}", "{$m}"), ("{A} has", "{n} - {m}", "{$t} left")],
                ("How much money does {A} have left?", "How much change does {A} get?", "What is left of {A}'s money?"), note - k * p)


@schema(None, "money", 1)
def wage(s):
    p, h = s.i(6, 40), s.i(2, 12)
    s.let(p=p, h=h, t=p * h, job=s.pick(w.JOBS))
    return Part(("{A} works as a {job}, earns {$p} an hour and works {h} hours.", "As a {job}, {A} is paid {$p} per hour. Today it is {h} hours.",
                 "{A}, a {job}, works {h} hours for {$p} per hour."), [("{A} earns", "{p} * {h}", "{$t}")], EARN, p * h)


@schema(None, "money", 2)
def wage_days(s):
    p, h, d = s.i(5, 25), s.i(2, 9), s.i(2, 7)
    s.let(p=p, h=h, d=d, m=h * d, t=p * h * d, job=s.pick(w.JOBS))
    return Part(("{A} helps a {job} for {h} hours a day on {d} days and gets {$p} per hour.", "The {job} pays {A} {$p} per hour. {A} works {h} hours on each of {d} days."),
                [("{A} works", "{h} * {d}", "{m} hours"), ("{A} earns", "{m} * {p}", "{$t}")], EARN, p * h * d)


@schema(None, "money", 1)
def weekly_savings(s):
    p, k = s.i(3, 60), s.i(3, 12)
    s.let(p=p, k=k, t=p * k, u=s.pick(("week", "month", "day")))
    return Part(("{A} saves {$p} every {u} for {k} {u}s.", "For {k} {u}s {A} puts {$p} into a piggy bank each {u}.", "Each {u}, {A} sets {$p} aside. {k} {u}s go by."),
                [("{A} saves", "{k} * {p}", "{$t}")], ("How much does {A} save?", "How much money has {A} saved?", "What are {A}'s savings?"), p * k)


@schema(None, "money", 2)
def savings_with_start(s):
    a, p, k = s.i(10, 300), s.i(3, 40), s.i(3, 12)
    s.let(a=a, p=p, k=k, m=p * k, t=a + p * k, u=s.pick(("week", "month")))
    return Part(("{A} has {$a} and saves {$p} more each {u} for {k} {u}s.", "Starting from {$a}, {A} adds {$p} per {u} for {k} {u}s."),
                [("{A} adds", "{k} * {p}", "{$m}"), ("{A} has", "{a} + {m}", "{$t}")], MONEY, a + p * k)


@schema(None, "money", 2)
def discounted(s):
    p = s.pick((10, 20, 25, 50))
    d, m = 100 // p, s.i(2, 60)
    n = m * d
    s.let(p=p, d=d, n=n, m=m, t=n - m)
    return Part(("A {x} normally costs {$n}. {A} buys it with {p}% off.", "{A} buys a {x} priced at {$n} at a discount of {p}%.",
                 "The shop takes {p}% off the {x}, which costs {$n}, and {A} buys it."),
                [("{p}% is", "{n} / {d}", "{$m}"), ("{A} pays", "{n} - {m}", "{$t}")], COST, n - m)


@schema(None, "money", 2)
def dearer_both(s):
    a, d = s.i(3, 150), s.i(2, 80)
    s.other_noun()
    s.let(a=a, d=d, m=a + d, t=2 * a + d)
    return Part(("A {x} costs {$a}, and a {y} costs {$d} more. {A} buys both.", "{A} buys a {x} for {$a} and a {y} that is {$d} more expensive."),
                [("the {y} costs", "{a} + {d}", "{$m}"), ("{A} pays", "{a} + {m}", "{$t}")], COST, 2 * a + d)


@schema(None, "money", 2)
def resale_profit(s):
    a, d, k = s.i(3, 60), s.i(2, 25), s.i(2, 20)
    s.let(a=a, b=a + d, k=k, d=d, t=d * k)
    return Part(("{A} buys {k} {X} at {$a} each and sells each of them for {$b}.", "{A} pays {$a} for a {x} and sells it for {$b}. {A} does this with {k} {X}."),
                [("the gain on one is", "{b} - {a}", "{$d}"), ("{A} earns", "{k} * {d}", "{$t}")],
                ("How much profit does {A} make?", "What is {A}'s profit?", "How much does {A} gain?"), d * k)


@schema(None, "money", 3)
def tickets(s):
    a, p, b, q = s.i(2, 9), s.i(5, 25), s.i(2, 12), s.i(2, 12)
    s.let(a=a, p=p, b=b, q=q, m=a * p, n=b * q, t=a * p + b * q, place=s.pick(w.PLACES))
    return Part(("At the {place} an adult ticket costs {$p} and a child ticket {$q}. {A} buys {a} adult and {b} child tickets.",
                 "{A} takes {a} adults and {b} children to the {place}. Adults pay {$p} and children {$q}, all paid by {A}."),
                [("the adults cost", "{a} * {p}", "{$m}"), ("the children cost", "{b} * {q}", "{$n}"), ("{A} pays", "{m} + {n}", "{$t}")], COST, a * p + b * q)


@schema(None, "money", 3)
def bills(s):
    a, b = s.i(2, 20), s.i(2, 20)
    p, q = s.pick(((5, 10), (2, 5), (10, 20), (5, 20), (2, 10)))
    s.let(a=a, b=b, p=p, q=q, m=a * p, n=b * q, t=a * p + b * q)
    return Part(("{A} has {a} notes worth {$p} each and {b} notes worth {$q} each.", "In {A}'s purse there are {a} notes of {$p} and {b} notes of {$q}."),
                [("the first notes are worth", "{a} * {p}", "{$m}"), ("the others are worth", "{b} * {q}", "{$n}"), ("{A} has", "{m} + {n}", "{$t}")],
                MONEY, a * p + b * q)


@schema(None, "money", 1)
def rent(s):
    p, k = s.i(20, 150), s.i(2, 9)
    s.let(p=p, k=k, t=p * k, place=s.pick(("room", "studio", "garage", "boat", "cabin", "piano", "workshop", "bicycle", "garden", "stall")))
    return Part(("{A} rents a {place} for {$p} a month and keeps it {k} months.", "For {k} months {A} pays {$p} a month for a {place}."),
                [("{A} pays", "{k} * {p}", "{$t}")], COST, p * k)


@schema(None, "money", 2)
def with_tip(s):
    p = s.pick((5, 10, 20, 25))
    d, m = 100 // p, s.i(2, 30)
    n = m * d
    s.let(p=p, d=d, n=n, m=m, t=n + m)
    return Part(("{A}'s meal costs {$n}, and {A} adds a tip of {p}%.", "The bill is {$n} before a tax of {p}%, and {A} pays everything.", "{A} orders dinner for {$n} and tips {p}%."),
                [("{p}% is", "{n} / {d}", "{$m}"), ("{A} pays", "{n} + {m}", "{$t}")], COST, n + m)


@schema(None, "money", 1)
def split_bill(s):
    m, t = s.i(2, 12), s.i(3, 90)
    s.let(n=m * t, m=m, t=t, e=s.pick(w.EVENTS))
    return Part(("{A} and friends, {m} people in all, share a bill of {$n} equally.", "The {e} costs {$n}, split equally between {m} people. {A} is one of them."),
                [("{A} pays", "{n} / {m}", "{$t}")], COST, t)


@schema(None, "money", 2)
def fee_and_rate(s):
    a, p, k = s.i(2, 60), s.i(2, 15), s.i(3, 20)
    what, unit = s.pick((("taxi", "mile"), ("boat", "hour"), ("plumber", "hour"), ("scooter", "kilometer"), ("gym", "month"), ("printer", "page"), ("guide", "hour"), ("club", "meeting")))
    s.let(a=a, p=p, k=k, m=p * k, t=a + p * k, what=what, unit=unit)
    return Part(("A {what} costs {$a} plus {$p} per {unit}. {A} pays for {k} {unit}s.", "{A} uses a {what} with a fixed fee of {$a} and {$p} for each {unit}; it is {k} {unit}s."),
                [("the {unit}s cost", "{k} * {p}", "{$m}"), ("{A} pays", "{a} + {m}", "{$t}")], COST, a + p * k)


@schema(None, "money", 1)
def price_total(s):
    a, b = s.i(5, 400), s.i(5, 400)
    s.other_noun()
    s.let(a=a, b=b, t=a + b)
    return Part(("{A} buys a {x} for {$a} and a {y} for {$b}.", "A {x} costs {$a} and a {y} costs {$b}; {A} takes both."), [("{A} pays", "{a} + {b}", "{$t}")], COST, a + b)


@schema(None, "money", 1)
def purse_left(s):
    n = s.i(20, 600)
    a = s.below(n)
    s.let(n=n, a=a, t=n - a)
    return Part(("{A} has {$n} and spends {$a} on a {x}.", "From {$n}, {A} pays {$a} for a {x}.", "{A} takes {$n} to the {x} shop and spends {$a}."),
                [("{A} has", "{n} - {a}", "{$t} left")], MONEY, n - a)


# ---- things to money ----

@schema("item", "money", 1)
def sells_each(s):
    s.need(s.value <= 300)
    p = s.i(2, 12)
    s.let(p=p, t=s.value * p)
    return Part(("{A} sells the {X} for {$p} each.", "{A} sells all the {X} at {$p} apiece.", "{B} buys all of {A}'s {X}, paying {$p} per {x}.", "Every {x} is sold by {A} for {$p}."),
                [("{A} gets", "{v} * {p}", "{$t}")], ("How much money does {A} get?", "How much does {A} earn from the {X}?", "How much does {A} receive?"), s.value * p)


@schema("item", "money", 2)
def sells_lots(s):
    k = s.divisor(s.value, 2, 12)
    n, p = s.value // k, s.i(2, 30)
    s.need(n >= 2, n * p <= 2000)
    s.let(k=k, n=n, p=p, t=n * p)
    return Part(("{A} sells the {X} in sets of {k}, asking {$p} for a set.", "A set of {k} {X} sells for {$p}, and {A} sells all of them."),
                [("there are", "{v} / {k}", "{n} sets"), ("{A} gets", "{n} * {p}", "{$t}")], ("How much money does {A} get?", "How much does {A} earn from the sets?"), n * p)


@schema("item", "money", 2)
def keeps_and_sells(s):
    k = s.below(s.value)
    m, p = s.value - k, s.i(2, 10)
    s.need(m <= 250)
    s.let(k=k, m=m, p=p, t=m * p)
    return Part(("{A} keeps {k} {X} and sells the others for {$p} each.", "except for {k} {X}, {A} sells everything at {$p} per {x}."),
                [("{A} sells", "{v} - {k}", "{m} {X}"), ("{A} gets", "{m} * {p}", "{$t}")], ("How much money does {A} get?", "How much does {A} receive?"), m * p)


# ---- money to money ----

@schema("money", "money", 1)
def earns_more(s):
    k = s.i(2, 250)
    s.let(k=k, t=s.value + k)
    return Part(("to that amount {A} adds {$k} from {his} wallet.", "{B} adds {$k} to {A}'s amount.", "{A} adds another {$k} to that sum.", "the amount grows by {$k} thanks to {B}."),
                [("{A} has", "{v} + {k}", "{$t}")], MONEY, s.value + k)


@schema("money", "money", 1)
def spends(s):
    k = s.below(s.value)
    s.other_noun()
    s.let(k=k, t=s.value - k)
    return Part(("of that amount {A} gets {$k} back from {B}.", "the amount shrinks by {$k} because {A} has a voucher for a {y}.", "{A} takes {$k} away from that sum for a {y}.", "{$k} of this money goes to {B}."),
                [("{A} has", "{v} - {k}", "{$t}")], ("How much money remains for {A}?", "What amount does {A} have in the end?", "How much is it then for {A}?"), s.value - k)


@schema("money", "money", 2)
def buys_with_it(s):
    k = s.i(2, 9)
    s.need(s.value >= 2 * k + 2)
    p = s.i(2, min(40, (s.value - 2) // k))
    s.other_noun()
    s.let(k=k, p=p, m=k * p, t=s.value - k * p)
    return Part(("with the same amount of money in hand {A} buys {k} {Y} at {$p} each.", "{A} takes exactly that much money to a shop and buys {k} {Y} for {$p} each."),
                [("the {Y} cost", "{k} * {p}", "{$m}"), ("{A} has", "{v} - {m}", "{$t} left")], ("How much money is left?", "How much money does {A} have left?", "How much does {A} bring home?"), s.value - k * p)


@schema("money", "money", 2)
def part_donated(s):
    k = s.divisor(s.value, 2, 6)
    m = s.value // k
    s.need(m >= 2, s.value - m >= 2)
    s.let(k=k, m=m, t=s.value - m, part={2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth"}[k], place=s.pick(w.PLACES))
    return Part(("{part} of that amount goes to the {place}.", "{A} gives {part} of that sum to the {place}.", "{B} refunds {part} of the money, which {A} passes on to the {place}."),
                [("that part is", "{v} / {k}", "{$m}"), ("{A} is left with", "{v} - {m}", "{$t}")], ("How much is left for {A}?", "What amount remains?", "How much money remains with {A}?"), s.value - m)


@schema("money", "money", 2)
def percent_added(s):
    p = s.pick((5, 10, 20, 25, 50))
    d = 100 // p
    s.need(s.value % d == 0, s.value // d >= 2)
    s.let(p=p, d=d, m=s.value // d, t=s.value + s.value // d)
    return Part(("the amount rises by {p}%.", "a bonus of {p}% is added to that amount.", "one year later {A} notes that the sum has grown by {p}%."),
                [("{p}% is", "{v} / {d}", "{$m}"), ("{A} now counts", "{v} + {m}", "{$t}")], ("What is the amount then?", "What is the new amount?", "How much is it now?"), s.value + s.value // d)


@schema("money", "money", 1)
def split_money(s):
    m = s.divisor(s.value, 2, 12)
    s.need(s.value // m >= 2)
    s.let(m=m, t=s.value // m)
    return Part(("that amount is divided equally between {m} people, among them {B}.", "{m} friends, including {B}, split this amount evenly.", "{B} and others, {m} people together, share that sum in equal parts."),
                [("{B}'s part is", "{v} / {m}", "{$t}")], ("What is {B}'s part?", "How much money is {B}'s share?"), s.value // m, owner=s.others[0])


@schema("money", "money", 1)
def repeated(s):
    s.need(s.value <= 300)
    k = s.i(2, 9)
    s.let(k=k, t=s.value * k, u=s.pick(("weeks", "months", "times", "days", "seasons", "years")))
    return Part(("exactly the same happens {k} {u} in a row, and all amounts are added up.", "{A} repeats this for {k} {u} in total and adds up the amounts.",),
                [("altogether it is", "{v} * {k}", "{$t}")], ("What is the total amount?", "How much is it in total?"), s.value * k)


@schema("money", "money", 1)
def other_more_money(s):
    k = s.i(2, 200)
    s.let(k=k, t=s.value + k)
    return Part(("{B} has {$k} more than that amount.", "{B}'s wallet holds {$k} more than this sum."), [("{B} has", "{v} + {k}", "{$t}")], B_MONEY, s.value + k, owner=s.others[0])


@schema("money", "money", 1)
def other_less_money(s):
    k = s.below(s.value)
    s.let(k=k, t=s.value - k)
    return Part(("{B} has {$k} less than that amount.", "{B}'s wallet holds {$k} less than this sum."), [("{B} has", "{v} - {k}", "{$t}")], B_MONEY, s.value - k, owner=s.others[0])


@schema("money", "money", 1)
def other_times_money(s):
    s.need(s.value <= 250)
    k = s.i(2, 6)
    s.let(k=k, t=s.value * k)
    return Part(("{B} has {k} times that amount.", "{B} owns {k} times as much money as this sum."), [("{B} has", "{v} * {k}", "{$t}")], B_MONEY, s.value * k, owner=s.others[0])


@schema("money", "money", 1)
def price_goal(s):
    k = s.i(2, 300)
    s.other_noun()
    s.let(g=s.value + k, t=k)
    return Part(("{A} compares that amount with the price of a {y}, which is {$g}, and borrows exactly the difference from {B}.", "a {y} costs {$g}. {B} lends {A} the difference between this price and that amount."),
                [("{B} lends", "{g} - {v}", "{$t}")], ("How much does {B} lend?", "What is the difference?", "How much does {A} borrow?"), k)


@schema("money", "money", 2)
def overtime(s):
    p, h = s.i(5, 30), s.i(2, 10)
    s.let(p=p, h=h, m=p * h, t=s.value + p * h)
    return Part(("{A} also earns {$p} per hour for {h} hours, and this is added to that amount.", "to that sum {A} adds the pay for {h} hours at {$p} per hour."),
                [("the extra pay is", "{p} * {h}", "{$m}"), ("the sum is", "{v} + {m}", "{$t}")], ("What is the sum?", "What is the final amount?", "How much money is that in all?"), s.value + p * h)


# ---- money to things ----

@schema("money", "item", 1)
def spends_all(s):
    p = s.divisor(s.value, 2, 12)
    s.need(s.value // p >= 2)
    y = s.other_noun()
    s.let(p=p, t=s.value // p)
    return Part(("for the same amount {B} can buy {Y} at {$p} each and does so.", "with exactly that amount {B} buys {Y} that cost {$p} each.", "{B} spends the same amount on {Y}, which cost {$p} apiece."),
                [("{B} buys", "{v} / {p}", "{t} {Y}")], ("How many {Y} does {B} buy?", "How many {Y} does {B} get?"), s.value // p, owner=s.others[0], noun=y)


@schema("money", "item", 1)
def coins_of(s):
    p = s.pick((2, 5, 10))
    s.need(s.value % p == 0, s.value // p >= 2)
    y = s.pick((("coin", "coins"), ("banknote", "banknotes"), ("voucher", "vouchers"), ("gift card", "gift cards")))
    s.let(p=p, t=s.value // p, y=y[0], Y=y[1])
    return Part(("{A} changes an equal amount into {Y} of {$p} each.", "that amount is counted out to {A} in {Y} worth {$p} each."),
                [("{A} gets", "{v} / {p}", "{t} {Y}")], ("How many {Y} does {A} get?", "How many {Y} are there?"), s.value // p, noun=y)
