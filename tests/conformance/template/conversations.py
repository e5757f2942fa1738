"""Messages and variables in every shape that templates meet."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "look_up_weather",
        "description": "Current weather of a place, with a \"quote\" & <tag>.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "City, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
                "days": {"type": "integer", "minimum": 1, "default": 3},
                "grid": {"type": "array", "items": {"type": "number"}},
            },
            "required": ["place"],
        },
        "return": {"type": "object", "properties": {"degrees": {"type": "number"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}}


def call(name, arguments, id_="abcDEF123"):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = {
    "nothing": [],
    "user": [said("user", "How many legs has a spider?")],
    "system": [said("system", "Answer briefly."), said("user", "Why is the sky blue?")],
    "spaces": [said("system", "  padded \n"), said("user", "\n\t two lines\n next \n\n"), said("assistant", " ok "), said("user", " ")],
    "turns": [said("user", "one"), said("assistant", "two"), said("user", "three"), said("assistant", "four"), said("user", "five")],
    "turns_system": [said("system", "S"), said("user", "one"), said("assistant", "two"), said("user", "three")],
    "ends_assistant": [said("user", "one"), said("assistant", "two")],
    "only_system": [said("system", "alone")],
    "late_system": [said("user", "a"), said("system", "b"), said("assistant", "c")],
    "assistant_first": [said("assistant", "hello"), said("user", "hi")],
    "two_users": [said("user", "a"), said("user", "b")],
    "developer": [said("developer", "dev rules"), said("user", "go")],
    "unknown_role": [said("narrator", "once upon a time"), said("user", "go on")],
    "empty": [said("system", ""), said("user", ""), said("assistant", "")],
    "none_content": [said("user", "a"), said("assistant", None), said("user", "b")],
    "missing_content": [said("user", "a"), {"role": "assistant"}, said("user", "b")],
    "missing_role": [{"content": "who?"}],
    "number_content": [said("user", 42), said("assistant", 2.5), said("user", True)],
    "unicode": [said("user", "naïve ÆØÅ 東京 🙂\u200d👨‍👩‍👧 ﬁ ß İ Σίσυφος"), said("assistant", "Ελληνικά\u2028line\u00a0nbsp"), said("user", "\u3000全角\u3000")],
    "quotes": [said("user", "it's \"quoted\" \\ back\\n <b>&amp;</b> {{ not }} {% code %}"), said("assistant", "'single'\ttab\u0007bell\x7f")],
    "parts": [said("user", [{"type": "text", "text": " look "}, {"type": "image"}, {"type": "text", "text": "what is it?"}])],
    "parts_system": [said("system", [{"type": "text", "text": "Be kind."}]), said("user", [{"type": "text", "text": "hi"}]), said("assistant", [{"type": "text", "text": "hey"}])],
    "parts_odd": [said("user", [{"type": "audio"}, "bare", {"text": "no type"}])],
    "thinking": [
        said("user", "2+2?"),
        said("assistant", "<think>\nadd them\n</think>\n\n4"),
        said("user", "3+3?"),
        said("assistant", "6", reasoning_content="\nadd again\n"),
        said("user", "and 4+4?"),
    ],
    "thinking_last": [said("user", "2+2?"), said("assistant", "\n<think>\nfirst\n</think>\n\n four \n", thinking="first")],
    "tool_call": [
        said("user", "Weather in Bern?"),
        said("assistant", None, tool_calls=[call("look_up_weather", {"place": "Bern", "days": 2, "x": [1, 2.5, None, True], "ü": "é"})]),
        said("tool", "{\"degrees\": 7}", tool_call_id="abcDEF123", name="look_up_weather"),
        said("assistant", "It is 7 degrees."),
        said("user", "Thanks!"),
    ],
    "tool_calls_two": [
        said("system", "Use tools."),
        said("user", "Compare."),
        said("assistant", "Let me see.", tool_calls=[call("look_up_weather", {"place": "Rome"}), call("clock", {}, "zyxWVU987")]),
        said("tool", "12", tool_call_id="abcDEF123"),
        said("tool", {"content": {"time": "noon"}}, tool_call_id="zyxWVU987"),
        said("user", "And now?"),
    ],
    "tool_call_text": [said("user", "go"), said("assistant", "", tool_calls=[call("clock", "{\"zone\": \"UTC\"}")]), said("tool", "noon")],
    "tool_call_bare": [said("user", "go"), said("assistant", "", tool_calls=[{"name": "clock", "arguments": {"zone": "UTC"}}]), said("ipython", {"output": "noon"})],
    "tool_calls_empty": [said("user", "go"), said("assistant", "done", tool_calls=[]), said("user", "more")],
    "long": [said(["user", "assistant"][i % 2], f"message {i}") for i in range(11)],
    "no_think_switch": [said("system", "custom /no_think"), said("user", "go /think please")],
}

BASE = {"bos_token": "<s>", "eos_token": "</s>"}
VARIABLES = {
    "plain": BASE,
    "none": {},
    "tools": {**BASE, "tools": [WEATHER, CLOCK]},
    "tools_empty": {**BASE, "tools": []},
    "switches": {
        **BASE,
        "enable_thinking": False,
        "tools_in_user_message": False,
        "date_string": "01 Mar 2024",
        "builtin_tools": ["search", "code_interpreter"],
        "documents": [{"title": "Doc <1>", "text": "first"}, {"doc_id": 7, "text": "second"}],
        "tools": [CLOCK],
        "pad_token": "<pad>",
    },
    "thinking_on": {**BASE, "enable_thinking": True, "custom_instructions": "Be brief.", "continue_final_message": True, "model_identity": "a helper"},
}
