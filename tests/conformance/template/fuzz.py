"""Random expressions over a small world of values: what they do is decided by Jinja2, not by us."""
import random

# Values by name: written as literals, Jinja2 would fold some operations at compile time, where errors have other effects.
WORLD = {
    "one": "1", "zero": "0", "minus": "-3", "half": "2.5", "seven": "7", "yes": "true", "no": "false", "nil": "none", "blank": "''", "a": "'a'",
    "hello": "'Hello World'", "spaced": "' x '", "wide": "'é😀b'", "digits": "'3.7'", "empty": "[]", "numbers": "[1, 2, 3]", "letters": "['b', 'a']",
    "mixed": "[0, none, 'x']", "pair": "(1, 'b')", "void": "{}", "map": "{'a': 1, 'B': [2]}", "four": "range(4)", "rows": "[{'a': 1}, {'a': 2}]",
    "ns": "namespace(a=1)", "nested": "[[1, 2], [3]]", "commas": "'a,b,,c'", "lines": "'line\\nbreak\\n'",
}
PRELUDE = "".join(f"{{% set {name} = {value} %}}" for name, value in WORLD.items())
ATOMS = [*WORLD, "nothing", "messages", "messages[0]", "messages[1].tool_calls", "bos_token", "messages[0].content", "tools[0]"]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "**"]
FILTERS = ["abs", "capitalize", "count", "default('d')", "default('d', true)", "dictsort", "first", "float", "int", "int(7)", "items|list", "join", "join('-')",
           "join(', ', attribute='a')", "last", "length", "list", "lower", "upper", "title", "trim", "trim('ab ')", "map('string')|list", "map('upper')|list",
           "map(attribute='a')|list", "map(attribute='role', default='?')|list", "max", "min", "reject|list", "select|list", "select('string')|list", "select('odd')|list",
           "selectattr('a')|list", "selectattr('role', 'equalto', 'user')|list", "rejectattr('a', 'defined')|list", "replace('a', 'b')", "reverse|list", "reverse|first", "reverse|join", "round", "round(1)",
           "sort", "sort(reverse=true)", "sort(attribute='a')", "string", "sum", "tojson", "tojson(indent=2)", "unique|list", "wordcount", "indent", "truncate(4)",
           "batch(2)|list", "slice(2)|list", "center(9)", "sum(start=[])", "dictsort(by='value')"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean", "true", "false", "integer", "float", "odd", "even",
         "divisibleby 2", "eq 1", "ne 'a'", "gt 1", "in [1, 'a']", "sameas none", "lower", "upper", "callable"]
METHODS = ["upper()", "lower()", "title()", "strip()", "strip('ab')", "split()", "split(',')", "split('a', 1)", "startswith('a')", "endswith('b')",
           "replace('a', 'X')", "find('b')", "count('a')", "items()", "keys()", "values()", "get('a')", "get('q', 5)", "index('a')", "splitlines()", "a", "role",
           "content", "missing", "join(['x', 'y'])", "0", "rsplit(' ', 1)", "append(1)", "isdigit()", "zfill(6)", "partition(',')", "format(1)", "capitalize()"]
SUBSCRIPTS = ["0", "-1", "'a'", "1:", ":-1", "::-1", "::2", "1:3", "none", "9", "'role'", "-2:", "nothing"]


def expression(rng, depth):
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(ATOMS)
    kind = rng.random()
    inner = expression(rng, depth - 1)
    if kind < 0.25:
        return f"({inner}) {rng.choice(BINARY)} {expression(rng, depth - 1)}" if rng.random() < 0.5 else f"{inner} {rng.choice(BINARY)} ({expression(rng, depth - 1)})"
    if kind < 0.55:
        return f"({inner})|{rng.choice(FILTERS)}"
    if kind < 0.65:
        return f"({inner}) is {rng.choice(['', 'not '])}{rng.choice(TESTS)}"
    if kind < 0.78:
        return f"({inner}).{rng.choice(METHODS)}"
    if kind < 0.88:
        return f"({inner})[{rng.choice(SUBSCRIPTS)}]"
    if kind < 0.94:
        return f"({inner}) if {expression(rng, depth - 1)} else {expression(rng, depth - 1)}"
    if kind < 0.97:
        return f"[{inner}, {expression(rng, depth - 1)}]"
    return f"{rng.choice(['not ', '-', '+'])}({inner})"


def expressions(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        yield expression(rng, rng.randint(1, 4))


def templates(count, seed):
    """Random white space, tags and assignments: scopes and trimming."""
    rng = random.Random(seed)
    space = lambda: rng.choice(["", "", " ", "\n", "  \n", "\n\n", "\t", " a ", "b\n ", "\n  c"])
    names = ["x", "y", "bos_token", "tools"]
    open_, close = (lambda: rng.choice(["{%", "{%", "{%-", "{%+"])), (lambda: rng.choice(["%}", "%}", "-%}", "+%}"]))

    def tag(words):
        return f"{open_()} {words} {close()}"

    def block(depth):
        out = space()
        for _ in range(rng.randint(1, 4)):
            kind = rng.randint(0, 9 if depth else 4)
            name = rng.choice(names)
            if kind <= 1:
                out += f"{rng.choice(['{{', '{{-'])} {name} {rng.choice(['}}', '-}}'])}"
            elif kind == 2:
                out += tag(f"set {name} = {rng.choice(['1', chr(39) + 'v' + chr(39), rng.choice(names)])}")
            elif kind == 3:
                out += rng.choice(["{# c #}", "{#- c -#}", "{# c\n +#}"])
            elif kind == 4:
                out += tag("raw").replace("+%}", "%}") + space() + "{{ r }}" + space() + tag("endraw")
            elif kind <= 6:
                out += tag(f"if {rng.choice(names + ['true', 'false'])}") + block(depth - 1)
                if rng.random() < 0.4:
                    out += tag(f"elif {rng.choice(names)}") + block(depth - 1)
                if rng.random() < 0.5:
                    out += tag("else") + block(depth - 1)
                out += tag("endif")
            elif kind == 7:
                out += tag(f"for {name} in {rng.choice(['[1, 2]', '[]', chr(39) + 'pq' + chr(39)])}{rng.choice(['', '', ' if x'])}") + block(depth - 1)
                out += rng.choice(["", "{{ loop.index }}", tag("continue"), tag("break")]) + tag("endfor")
            elif kind == 8:
                out += tag(f"set {name}") + block(depth - 1) + tag("endset")
            else:
                macro = rng.choice(["m", "n"])
                out += tag(f"macro {macro}(x, y=bos_token)") + block(depth - 1) + tag("endmacro") + "{{ " + macro + "(1) }}"
            out += space()
        return out

    for _ in range(count):
        yield block(3)


def mutations(sources, count, seed):
    """Templates with a piece removed, doubled, moved or replaced: mostly errors, of every kind."""
    rng = random.Random(seed)
    pieces = ["{%", "%}", "{{", "}}", "{#", "#}", "-", "+", "'", '"', "(", ")", "[", "]", "|", ".", ",", ":", "=", "\n", " if ", " else ", " in ", " is ", " not ",
              "{% endif %}", "{% endfor %}", "{% else %}", "{% set x = 1 %}", "\\", "é", "0", "1.5", "~", "none", "loop"]
    for _ in range(count):
        text = rng.choice(sources)
        for _ in range(rng.randint(1, 3)):
            begin = rng.randrange(len(text) + 1)
            end = min(len(text), begin + rng.choice([0, 1, 2, 5, 20]))
            text = text[:begin] + rng.choice(["", text[begin:end] * 2, rng.choice(pieces), text[end:end + 5]]) + text[end:]
        yield text
