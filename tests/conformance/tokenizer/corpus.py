"""Text for the tokenizer tests, made from a seed: prose in many scripts, code, emoji, control characters, look-alikes of special
tokens, composed and decomposed forms, random code points."""
import random
import unicodedata

# Ranges of letters, by script; words are drawn from them.
SCRIPTS = {
    "latin": [(0x61, 0x7A)],
    "latin_accents": [(0xE0, 0xF6), (0xF8, 0xFF), (0x100, 0x17F)],
    "vietnamese": [(0x1EA0, 0x1EF9), (0x61, 0x7A)],
    "greek": [(0x3B1, 0x3C9), (0x1F00, 0x1F07)],
    "cyrillic": [(0x430, 0x44F)],
    "armenian": [(0x561, 0x586)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5B9)],
    "arabic": [(0x621, 0x63A), (0x641, 0x64A), (0x64B, 0x652)],
    "syriac": [(0x710, 0x72C)],
    "devanagari": [(0x904, 0x939), (0x93E, 0x94D), (0x958, 0x95F)],
    "bengali": [(0x985, 0x98C), (0x9BE, 0x9C4), (0x9C7, 0x9D7)],
    "tamil": [(0xB85, 0xB8A), (0xBBE, 0xBCD)],
    "telugu": [(0xC05, 0xC0C), (0xC3E, 0xC4D)],
    "sinhala": [(0xD85, 0xD96), (0xDCF, 0xDDE)],
    "thai": [(0xE01, 0xE3A), (0xE40, 0xE4E)],
    "lao": [(0xE94, 0xEB9)],
    "tibetan": [(0xF40, 0xF6C), (0xF71, 0xF81)],
    "myanmar": [(0x1000, 0x103F)],
    "georgian": [(0x10D0, 0x10FA)],
    "hangul": [(0xAC00, 0xD7A3)],
    "jamo": [(0x1100, 0x1112), (0x1161, 0x1175), (0x11A8, 0x11C2)],
    "ethiopic": [(0x1200, 0x1248)],
    "khmer": [(0x1780, 0x17D3)],
    "mongolian": [(0x1820, 0x1842), (0x180B, 0x180E)],
    "hiragana": [(0x3041, 0x3096), (0x3099, 0x309C)],
    "katakana": [(0x30A1, 0x30FA), (0xFF66, 0xFF9F)],
    "han": [(0x4E00, 0x9FFF)],
    "han_extension": [(0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2EBF0, 0x2EE5D), (0xF900, 0xFAD9)],
    "gothic": [(0x10330, 0x10340)],
    "mathematical": [(0x1D400, 0x1D7FF)],
    "todhri": [(0x105C0, 0x105F3), (0x301, 0x307)],
    "tulu": [(0x11380, 0x113D5)],
    "gurung": [(0x16100, 0x16139)],
}
DIGITS = [0x30, 0x660, 0x966, 0xE50, 0xFF10, 0x1D7CE, 0x10D40]
NUMBERS = "½¾²³¹ⅣⅻⒶ①⑳௰〇㊿𐅀"
MARKS = [(0x300, 0x345), (0x5B0, 0x5BD), (0x64B, 0x652), (0x20D0, 0x20F0), (0x1AB0, 0x1ACE), (0x1DF5, 0x1DFF), (0x897, 0x89F)]
SPACES = " \t\n\r\u000b\u000c\u0085\u00a0\u1680\u180e\u2000\u2003\u200a\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
LOOKALIKES = [
    "<s>", "</s>", "<unk>", "<pad>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<bos>", "<eos>",
    "<|im_start", "<| im_start|>", "<|IM_START|>", "＜s＞", "<s", "s>", "<<s>>", "<|endoftext|", "|endoftext|>", "<0x41>", "<0xE4>", "<0xZZ>",
    "[TOOL]", "[left]", "[right]", "[both]", "word", "Word", "WORD", "<n>", "▁", "▁▁", "Ġ", "Ċ", "é<n>", "e\u0301<n>", "ÅNG", "A\u030aNG",
    "\u212bNG", "<|mask|>", "<start_of_turn>", "[INST]", "[/INST]",
]
CONTRACTIONS = "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'Ve 'lL 'D 'ſ 'ﬆ 'ß 'K 's' ''s 'sx ’s ʼn 'İ".split()
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵🇰🇷", "1️⃣", "❤️", "🧑🏿‍🚀", "🫨", "🫩", "🪿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☺", "©️", "〰️"]
CODE = [
    "def f(x: int) -> int:\n    return x ** 2  # square\n", "for (int i = 0; i < n; ++i) {\n\ta[i] += b[i] * 3.14159e-10f;\n}\n",
    "SELECT * FROM t WHERE a >= 10 AND b LIKE '%x%';", "#include <vector>\r\n\r\nint main() { return 0; }\r\n", "{\"k\": [1, 2.5, null, true]}",
    "<div class=\"a-b_c\">&nbsp;</div>", "let mut v: Vec<u8> = vec![0; 1024];", "if x and\\\n        y:\n\n\n        pass", "$HOME/.local/bin:$PATH", "0xDEADBEEF 1_000_000 007",
    "https://example.org/a?b=c&d=%20#e", "a+=b;c-=d;e*=f;//g", "λ x → ∀y∈ℝ: x² ≤ y³", "camelCaseWord snake_case_word SCREAMING_CASE kebab-case", "\\frac{a}{b} \\int_0^\\infty",
]
PUNCTUATION = ".,;:!?-—–…'\"“”‘’()[]{}<>/\\|@#$%^&*_+=~`、。「」！？؟،।"


def pick(rng, ranges):
    low, high = rng.choice(ranges)
    return chr(rng.randint(low, high))


def word(rng, ranges, longest=9):
    s = "".join(pick(rng, ranges) for _ in range(rng.randint(1, longest)))
    kind = rng.random()
    return s.upper() if kind < 0.05 else s.capitalize() if kind < 0.2 else s


def number(rng):
    base = rng.choice(DIGITS)
    return "".join(chr(base + rng.randrange(10)) for _ in range(rng.randint(1, 7)))


def prose(rng, script):
    ranges = SCRIPTS[script]
    parts = []
    for _ in range(rng.randint(1, 12)):
        parts.append(word(rng, ranges))
        kind = rng.random()
        if kind < 0.1:
            parts.append(number(rng))
        elif kind < 0.2:
            parts.append(rng.choice(CONTRACTIONS))
        elif kind < 0.4:
            parts.append(rng.choice(PUNCTUATION))
        parts.append(rng.choice([" ", " ", " ", " ", "", "  ", "\n", rng.choice(SPACES)]))
    return "".join(parts)


def any_code_point(rng):
    kind = rng.random()
    if kind < 0.3:
        return rng.randrange(0x80)
    if kind < 0.6:
        return rng.randrange(0x80, 0x3000)
    c = rng.randrange(0x110000) if kind < 0.8 else rng.randrange(0x10000, 0x20000)
    return c if not 0xD800 <= c < 0xE000 else 0xFFFD


def marked(rng):
    out = []
    for _ in range(rng.randint(1, 6)):
        out.append(pick(rng, SCRIPTS[rng.choice(list(SCRIPTS))]))
        out.extend(pick(rng, MARKS) for _ in range(rng.randint(0, 4)))
    return "".join(out)


def spaces(rng):
    parts = []
    for _ in range(rng.randint(1, 6)):
        parts.append(rng.choice(SPACES) * rng.randint(1, 4) if rng.random() < 0.5 else "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 5))))
        parts.append(rng.choice(["", "a", "1", "x1", ".", "é", "中", rng.choice(LOOKALIKES)]))
    return "".join(parts)


def lookalikes(rng):
    return "".join(rng.choice([rng.choice(LOOKALIKES), rng.choice(SPACES), " ", word(rng, SCRIPTS["latin"], 3), "é", "_", "9"]) for _ in range(rng.randint(1, 8)))


def line(rng, kind):
    """One text of kind number `kind`; there are KINDS."""
    k = kind % KINDS
    if k < 8:
        return prose(rng, list(SCRIPTS)[(kind // KINDS + k * 5) % len(SCRIPTS)])
    if k == 8:
        return rng.choice(CODE) + rng.choice(CODE)
    if k == 9:
        return "".join(rng.choice([rng.choice(EMOJI), " ", word(rng, SCRIPTS["latin"], 4)]) for _ in range(rng.randint(1, 8)))
    if k == 10:
        return "".join(chr(rng.choice([rng.randrange(32), rng.randrange(0x7F, 0xA0), rng.randrange(0x20, 0x7F)])) for _ in range(rng.randint(1, 20)))
    if k in (11, 12):
        return lookalikes(rng)
    if k == 13:
        return unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC", "NFKD"]), prose(rng, rng.choice(list(SCRIPTS))) + marked(rng))
    if k == 14:
        return marked(rng)
    if k == 15:
        return spaces(rng)
    if k == 16:
        return "".join(rng.choice([number(rng), rng.choice(NUMBERS), rng.choice([" ", "", ".", ",", "-", "x"])]) for _ in range(rng.randint(1, 8)))
    if k == 17:
        return "".join(word(rng, SCRIPTS[rng.choice(list(SCRIPTS))], 3) for _ in range(rng.randint(1, 8)))
    return "".join(chr(any_code_point(rng)) for _ in range(rng.randint(1, 24)))


KINDS = 20
FIXED = ["", " ", "  ", "\n", "\0", "a", " a", "a ", "▁", "<s>", "<s><s>", " <s> ", "\u0301", "\U0010ffff", "a" * 3000, " " * 500, " " * 500 + "x", "\n" * 300, "ab" * 700,
         "🙂" * 200, "\u0301\u0316" * 200, "é" * 300, "1" * 400, "中" * 300, "-" * 333, "x" + "\u00a0" * 99 + "y"]


def lines(count, seed):
    rng = random.Random(seed)
    out = list(FIXED)
    for i in range(count - len(out)):
        out.append(line(rng, i))
    return out[:count]


def training_text(seed):
    """Text to train on: mostly prose and code, so that merges of many scripts exist."""
    rng = random.Random(seed)
    latin = [word(rng, SCRIPTS["latin"], 7) for _ in range(120)]
    out = []
    for i in range(1500):
        out.append(" ".join(rng.choice(latin) + rng.choice(["", "", "", "'s", ",", ".", "'ll"]) for _ in range(12)))
        out.append(line(rng, i))
        out.append(rng.choice(CODE))
    return out
