"""Templates in the manner of each family of published ones, in our own words: every construct those use occurs here."""

TEMPLATES = {}

TEMPLATES["marked_turns"] = """{% for message in messages %}{{'<|open|>' + message['role'] + '\\n' + message['content'] + '<|close|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|open|>assistant\\n' }}{% endif %}"""

TEMPLATES["default_system"] = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|open|>system\\nYou help.<|close|>\\n' }}{% endif %}{{'<|open|>' + message['role'] + '\\n' + message['content'] + '<|close|>' + '\\n'}}{% endfor %}
{% if add_generation_prompt %}
{{ '<|open|>assistant\\n' }}
{% endif %}
"""

TEMPLATES["tools_in_system"] = """{%- if tools %}
    {{- '<|open|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You help with everything.' }}
    {%- endif %}
    {{- "\\n\\n# Functions\\n\\nCall any of these:\\n<functions>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</functions>\\nAnswer with <call>{\\"name\\": <name>, \\"arguments\\": <object>}</call>.<|close|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|open|>system\\n' + messages[0]['content'] + '<|close|>\\n' }}
    {%- else %}
        {{- '<|open|>system\\nYou help with everything.<|close|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|open|>' + message.role + '\\n' + message.content + '<|close|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|open|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</call>' }}
        {%- endfor %}
        {{- '<|close|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|open|>user' }}
        {%- endif %}
        {{- '\\n<result>\\n' }}
        {{- message.content }}
        {{- '\\n</result>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|close|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|open|>assistant\\n' }}
{%- endif %}
"""

TEMPLATES["thinking"] = """{%- if tools %}
    {{- '<|open|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "<functions>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</functions><|close|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|open|>system\\n' + messages[0].content + '<|close|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(in_steps=true, last_question=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.in_steps and message.role == "user" and message.content is string and not(message.content.startswith('<result>') and message.content.endswith('</result>')) %}
        {%- set ns.in_steps = false %}
        {%- set ns.last_question = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|open|>' + message.role + '\\n' + content + '<|close|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_question %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|open|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|open|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|open|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<call>\\n{"name": "' ~ tool_call.name ~ '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|close|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|open|>user' }}
        {%- endif %}
        {{- '\\n<result>\\n' ~ content ~ '\\n</result>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|close|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|open|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

TEMPLATES["bracketed"] = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must go user, assistant, user, assistant, …') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<S>>\\n' + system_message + '\\n<</S>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[ASK] ' + content.strip() + ' [/ASK]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

TEMPLATES["headers"] = """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|head|>' + message['role'] + '<|/head|>\\n\\n'+ message['content'] | trim + '<|end|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\\n\\n' }}{% endif %}"""

TEMPLATES["headers_tools"] = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message stands first, so it can be cut off here. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message and tools #}
{{- "<|head|>system<|/head|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: shell\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {{- "You may call these functions:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|end|>" }}

{#- Tools may be part of the first question #}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("There is no question to put the tools into!") }}
{%- endif %}
    {{- '<|head|>user<|/head|>\\n\\n' -}}
    {{- "Answer with a call of one of these functions.\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|end|>"}}
{%- endif %}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n'+ message['content'] | trim + '<|end|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- '<|head|>assistant<|/head|>\\n\\n' -}}
            {{- "<|py|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' + arg_val + '"' }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- endif %}
                {%- endfor %}
            {{- ")" }}
        {%- else  %}
            {{- '<|head|>assistant<|/head|>\\n\\n' -}}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
        {%- endif %}
        {{- "<|end|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|head|>ipython<|/head|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|end|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\\n\\n' }}
{%- endif %}
"""

TEMPLATES["alternating"] = """{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must alternate!') }}{% endif %}{% if message['role'] == 'user' %}{{ '[ASK] ' + message['content'] + ' [/ASK]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant speak!') }}{% endif %}{% endfor %}"""

TEMPLATES["alternating_tools"] = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{#- Users and assistants must alternate, calls and results aside. #}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the system message, turns must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[ASK] " + system_message + "\\n\\n" + message["content"] + "[/ASK]" }}
        {%- else %}
            {{- "[ASK] " + message["content"] + "[/ASK]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Call ids have nine characters!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[RESULTS] {"content": ' + content|string + ", " }}
        {%- if not message.tool_call_id is defined or message.tool_call_id|length != 9 %}
            {{- raise_exception("Call ids have nine characters!") }}
        {%- endif %}
        {{- '"call_id": "' + message.tool_call_id + '"}[/RESULTS]' }}
    {%- else %}
        {{- raise_exception("Unknown role " + message.role + "!") }}
    {%- endif %}
{%- endfor %}
"""

TEMPLATES["turns_trimmed"] = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role here') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<turn>' + role + '\\n' + message['content'] | trim + '</turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<turn>model\\n'}}{% endif %}"""

TEMPLATES["turns_parts"] = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Turns must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<picture>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("What kind of content is this?") }}
    {%- endif -%}
    {{ '</turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<turn>model
'}}
{%- endif -%}
"""

TEMPLATES["lines"] = """{% for message in messages %}
{% if message['role'] == 'system' %}
{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}
{% elif message['role'] == 'user' %}
{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}
{% elif message['role'] == 'assistant' %}
{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|assistant|>\\n' }}{% else %}
{{ eos_token }}{% endif %}
"""

TEMPLATES["last_marks"] = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

TEMPLATES["states"] = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<|U|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<|A|><|calls|><|call|>' + tool['type'] + '<|sep|>' + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments']|tojson + '\\n' + '```' + '<|/call|>'}}{%- set ns.is_first = true -%}{%- else %}{{'\\n' + '<|call|>' + tool['type'] + '<|sep|>' + tool['function']['name']}}{{'<|/calls|><|end|>'}}{%- endif %}{%- endfor %}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}{{'<|/outs|>' + message['content'] + '<|end|>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<|A|>' + content + '<|end|>'}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<|outs|><|out|>' + message['content'] + '<|/out|>'}}{%- set ns.is_output_first = false %}{%- else %}{{'\\n<|out|>' + message['content'] + '<|/out|>'}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<|/outs|>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<|A|><think>\\n'}}{% endif %}"""

TEMPLATES["schema_macros"] = """{%- macro python_type(param) -%}
{%- set basic = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool"
} %}
{%- if basic[param.type] is defined %}
    {{- basic[param.type] }}
{%- elif param.type == "array" %}
    {{- "list[" + python_type(param['items']) + "]" }}
{%- elif param.type == "object" %}
    {%- if param.additionalProperties is defined %}
        {{- "dict[str, " + python_type(param.additionalProperties) + "]" }}
    {%- else %}
        {{- "dict" }}
    {%- endif %}
{%- elif param.type is iterable %}
    {{- "Union[" }}
    {%- for t in param.type %}
      {{- python_type({"type": t}) }}
      {%- if not loop.last %}
        {{- "," }}
      {%- endif %}
    {%- endfor %}
    {{- "]" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro -%}

{{- bos_token }}
{%- for tool in tools or [] %}
    {%- if tool.function is defined %}
        {%- set tool = tool.function %}
    {%- endif %}
    {{- "def " + tool.name + "(" }}
    {%- for name, fields in tool.parameters.properties|items %}
        {{- name + ": " + python_type(fields) }}
        {%- if name not in tool.parameters.required|default([]) %}{{- " = " ~ fields.default|default(none) }}{% endif %}
        {%- if not loop.last %}
            {{- ", " }}
        {%- endif %}
    {%- endfor %}
    {{- ")" }}
    {%- if tool.return is defined %}
        {{- " -> " + python_type(tool.return) }}
    {%- endif %}
    {{- ": " + tool.description + "\\n" }}
{%- endfor %}
{%- for message in messages %}
    {{- message.role|upper ~ ': ' ~ message.content ~ '\\n' -}}
{%- endfor %}
"""

TEMPLATES["typescript"] = """{%- macro kind(spec, tools, depth=0) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}
            {%- if spec['items']['type'] == "string" -%}string[]
            {%- elif spec['items']['type'] in ["number", "integer"] -%}number[]
            {%- else -%}{{- kind(spec['items'], tools, depth + 1) + '[]' -}}
            {%- endif -%}
        {%- else -%}any[]{%- endif -%}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type[0] is defined -%}
        {{- spec.type | join(" | ") -}}
    {%- elif spec.enum -%}
        {{- '"' + spec.enum|join('" | "') + '"' -}}
    {%- elif spec.type == "object" -%}
        {%- if spec.properties -%}
            {{- "{\\n" }}
            {%- for name, value in spec.properties.items() -%}
                {{- name ~ ("?" if name not in (spec.required or []) else "") ~ ": " ~ kind(value, tools, depth=depth + 1) -}}
                {%- if not loop.last %}{{ ", " }}{% endif -%}
            {%- endfor -%}
            {{- "}" }}
        {%- else -%}object{%- endif -%}
    {%- else -%}{{ {"integer": "number", "number": "number", "boolean": "boolean"}.get(spec.type, "string") }}{%- endif -%}
{%- endmacro -%}
{%- macro all_tools(namespace_name, tools) -%}
    {{- "## " + namespace_name + "\\n\\n" }}
    {%- for tool in tools %}
        {%- set tool = tool.function %}
        {{- "// " + tool.description + "\\ntype " + tool.name + " = " }}
        {%- if tool.parameters and tool.parameters.properties %}
            {{- "(_: {\\n" }}
            {%- for param_name, param_spec in tool.parameters.properties.items() %}
                {%- if param_spec.description %}{{- "// " + param_spec.description + "\\n" }}{%- endif %}
                {{- param_name }}
                {%- if param_name not in (tool.parameters.required or []) %}{{- "?" }}{%- endif -%}
                {{- ": " }}
                {{- kind(param_spec, tools) }}
                {%- if param_spec.default is defined -%}
                    {%- if param_spec.enum %}{{- ", // default: " + param_spec.default }}
                    {%- else %}{{- ", // default: " + param_spec.default|tojson }}{%- endif -%}
                {%- else -%}{{- ",\\n" }}{%- endif -%}
            {%- endfor %}
            {{- "}) => any;\\n\\n" }}
        {%- else -%}
            {{- "() => any;\\n\\n" }}
        {%- endif -%}
    {%- endfor %}
{%- endmacro -%}
{%- if tools -%}{{ all_tools("functions", tools) }}{%- endif -%}
{%- for message in messages -%}
    {%- if message.role == 'assistant' and loop.last and not add_generation_prompt -%}
        <|start|>{{ message.role }}<|final|>{{ message.content }}<|return|>
    {%- elif message.role == 'assistant' -%}
        <|start|>{{ message.role }}<|msg|>{{ message.content }}<|end|>
    {%- else -%}
        <|start|>{{ message.role ~ '<|msg|>' ~ message.content }}<|end|>
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|start|>assistant
{%- endif -%}
"""

TEMPLATES["documents"] = """{%- if messages[0]['role'] == 'system' %}
{%- set system_message = messages[0]['content'] %}
{%- set loop_messages = messages[1:] %}
{%- else %}
{%- set system_message = "Knowledge ends in April. Today: " + strftime_now('%B %d, %Y') + "." %}
{%- if tools and documents %}
{%- set system_message = system_message + " Both." %}
{%- elif tools %}
{%- set system_message = system_message + " Tools." %}
{%- elif documents %}
{%- set system_message = system_message + " Documents." %}
{%- endif %}
{%- set loop_messages = messages %}
{%- endif %}
{{- '<|role|>system<|/role|>' + system_message + '<|eot|>
' }}
{%- if tools %}
    {{- '<|role|>tools<|/role|>' }}
    {{- tools | tojson(indent=4) }}
    {{- '<|eot|>
' }}
{%- endif %}
{%- if documents %}
    {%- for document in documents %}
        {{- '<|role|>document ' + ({"id": document.get('doc_id', loop.index)} | tojson) + '<|/role|>
' }}
        {{- document['text'] }}
        {{- '<|eot|>
' }}
    {%- endfor %}
{%- endif %}
{%- for message in loop_messages %}
    {{- '<|role|>' + message['role'] + '<|/role|>' + message['content'] + '<|eot|>
' }}
    {%- if loop.last and add_generation_prompt %}
        {{- '<|role|>assistant' }}
        {%- if controls %}{{- ' ' + controls | tojson()}}{%- endif %}
        {{- '<|/role|>' }}
    {%- endif %}
{%- endfor %}
"""

TEMPLATES["generation_marks"] = """{%- for message in messages %}
{%- if message.role == 'assistant' %}
<a>{% generation %}{{ message.content ~ eos_token }}{% endgeneration %}

{% else %}
<{{ message.role }}>{{ message.content }}
{% endif %}
{%- endfor %}
{% generation %}  tail
{% set inside = 1 %}{{ inside }}{% endgeneration %}[{{ inside }}]"""

TEMPLATES["loop_controls"] = """{% for message in messages %}
{% if message.role == 'system' %}{% continue %}{% endif %}
{% if loop.index > 4 %}{% break %}{% endif %}
{{ loop.index }}/{{ loop.length }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }} {{ loop.previtem.role if not loop.first else '-' }}>{{ message.role }}>{{ loop.nextitem.role if loop.nextitem is defined else '-' }} {{ loop.cycle('a', 'b', 'c') }} {{ loop.changed(message.role) }} {{ loop.depth }}
{% else %}
nobody
{% endfor %}"""

TEMPLATES["loop_filter"] = """{%- set ns = namespace(seen=0) -%}
{%- for m in messages if m.role == 'user' and ns.seen < 2 -%}
{%- set ns.seen = ns.seen + 1 -%}
[{{ loop.index }}:{{ m.content }}{{ ',' if not loop.last }}]
{%- else -%}
none
{%- endfor -%}
{%- for m in messages if m.role == 'assistant' %}({{ loop.length }}{{ loop.revindex0 }}){% endfor %}"""

TEMPLATES["scopes"] = """{% set x = 'outer' %}{% for m in messages %}{{ x }}{% set x = m.role %}{{ x }};{% endfor %}{{ x }}
{% for m in messages %}{% if loop.first %}{% set y = 1 %}{% endif %}{{ y is defined }}{% endfor %}{{ y is defined }}
{% if messages %}{% set z = 'set' %}{% endif %}{{ z }}|{% with w = 1, v = x %}{{ w }}{{ v }}{% set x = 'with' %}{{ x }}{% endwith %}{{ w is defined }}{{ x }}
{% set block %}{% set x = 'block' %}{{ x }}{% for i in range(3) %}{{ i }}{% endfor %}{% endset %}{{ block }}{{ block|length }}{{ x }}
{% for a in messages %}{% for b in messages %}{{ loop.index0 }}{% endfor %}{{ loop.index0 }},{% endfor %}
{% for tools in [1, 2] %}{{ tools }}{% endfor %}{{ tools is none }}{% for q in [1] %}{{ late }}{% endfor %}{% set late = 2 %}{{ late }}"""

TEMPLATES["late_store"] = """{% for q in [1] %}<{{ bos_token }}>{% endfor %}{% set bos_token = 'mine' %}{{ bos_token }}{% for q in [1] %}{% if q == 2 %}{% set eos_token = 'x' %}{% endif %}{{ eos_token }}{% endfor %}{% macro show() %}{{ eos_token }}{{ later }}{% endmacro %}{% set later = 'L' %}{{ show() }}"""

TEMPLATES["macros"] = """{% macro turn(role, text='(none)', mark='#') -%}
{{ mark }}{{ role }}: {{ text }}{{ varargs }}{{ kwargs }}
{% endmacro %}
{% macro wrap(title) %}<{{ title }}>{{ caller() }}</{{ title }}>{% endmacro %}
{% macro give(items) %}{% for i in items %}{{ caller(i, loop.index) }}{% endfor %}{% endmacro %}
{% macro plain(a, b=a) %}{{ a }}{{ b }}{{ a is defined }}{% endmacro %}
{{ turn('x') }}{{ turn('y', 'text') }}{{ turn(role='z', mark='*') }}{{ turn('a', 'b', 'c', 'd', 1, k=2) }}
{% for m in messages %}{{ turn(m.role, m.content) }}{% endfor %}
{% call wrap('b') %}inner {{ messages|length }}{% endcall %}
{% call(item, n) give(['p', 'q']) %}{{ n }}={{ item }};{% endcall %}
{{ plain() }}|{{ plain(1) }}|{{ plain(1, 2) }}|{{ plain(b=3) }}"""

TEMPLATES["white_space"] = """  {% if true %}
  yes
    {% endif %}
a  {%- if true -%}  b  {%- endif +%}
c {%+ if true %} d {% endif %}
    {# a comment #}
e {#- stripped -#} f
{% raw %}{{ raw }} {% if %} {# x #}
{% endraw %}
{%- raw -%}  {{ kept }}  {%- endraw -%}  g
	{{- ' h ' -}}  
i{% set q = 1 %}
j  {{ q }}
{% for m in messages -%}
  * {{ m.role }}
{%+ endfor %}
{{+ 'k' }}{{ 'l\\n' }}
m{%- if false %}x{% endif %}

"""

TEMPLATES["windows_lines"] = "{% if messages %}\r\n  a\r\n{% endif %}\rb\r\n{{ 'c\r\nd' }}\r\n\r\n"

TEMPLATES["filters_on_messages"] = """{{ messages|map(attribute='role')|join(',') }}
{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list }}
{{ messages|rejectattr('role', 'eq', 'user')|list|length }}
{{ messages|selectattr('tool_calls', 'defined')|list|count }}
{{ messages|selectattr('content')|map(attribute='role')|first }}
{{ (messages|selectattr('role', 'in', ['user', 'system'])|list|last).role }}
{{ messages|map(attribute='role')|unique|sort|join('/') }}
{{ messages|map(attribute='missing', default='?')|join }}
{{ messages|groups if messages is groups_test else '' }}{% if false %}{{ 1|no_such_filter }}{% endif %}
{{ messages|map('length')|list }}
{{ messages[-1]|tojson(indent=2) }}
{{ messages|tojson }}
{{ messages|last|dictsort }}
{{ messages[-1].items()|list }}{{ messages[-1].keys()|list }}{{ messages[-1].values()|list|length }}
"""
TEMPLATES["filters_on_messages"] = TEMPLATES["filters_on_messages"].replace("{{ messages|groups if messages is groups_test else '' }}", "")

TEMPLATES["text_methods"] = """{% for m in messages if m.content is string %}
{{ m.content.strip() }}|{{ m.content.lstrip() }}|{{ m.content.rstrip('\\n ') }}|{{ m.content.upper() }}|{{ m.content.lower() }}|{{ m.content.title() }}|{{ m.content.capitalize() }}
{{ m.content|title }}|{{ m.content|capitalize }}|{{ m.content|upper }}|{{ m.content|length }}|{{ m.content[::-1] }}|{{ m.content[1:4] }}|{{ m.content[-3:] }}|{{ m.content[:-2:2] }}|{{ m.content[0] }}|{{ m.content[-1] }}|{{ m.content[99] }}
{{ m.content.split() }}|{{ m.content.split(' ', 1) }}|{{ m.content.rsplit('e', 1) }}|{{ m.content.splitlines() }}|{{ m.content.replace('e', 'E', 1) }}|{{ m.content.find('e') }}|{{ m.content.count('e') }}|{{ m.content.startswith(('a', 'H')) }}
{{ m.content|replace('\\n', '\\\\n') }}|{{ m.content|tojson }}|{{ m.content|tojson(ensure_ascii=true) }}|{{ [m.content] }}|{{ m.content|e }}|{{ m.content|list|first }}|{{ m.content|indent(2) }}|{{ m.content|indent('>', true, true) }}|{{ m.content|truncate(8) }}|{{ m.content|wordcount }}|{{ m.content|center(20) }}|{{ m.content|reverse }}
{% endfor %}"""

TEMPLATES["filter_blocks"] = """{% filter upper %}{% for m in messages %}{{ m.role }} {% endfor %}{% endfilter %}
{% filter replace('a', 'b')|trim %}  banana {{ bos_token }} {% endfilter %}
{% set shout | upper | replace('!', '?') %}hey {{ messages|length }}!{% endset %}{{ shout }}"""

TEMPLATES["switch_words"] = """{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}
{%- set mode = "/think" if enable_thinking else "/no_think" -%}
{%- if messages and messages[0].role == "system" -%}
  {%- set system = messages[0].content -%}
  {%- if "/no_think" in system -%}{%- set mode = "/no_think" -%}{%- elif "/think" in system -%}{%- set mode = "/think" -%}{%- endif -%}
  {%- set instructions = system.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{{- "mode " ~ mode ~ ", " ~ (instructions if instructions else "none") ~ "\\n" -}}
{%- for message in messages -%}
  {%- set content = message.content if message.content is string else message.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join(' ') -%}
  {%- if message.role == "assistant" -%}
    {%- if mode == "/think" -%}{{ "A:" + content.lstrip("\\n") }}{%- else -%}{{ "A:<think>\\n\\n</think>\\n" + content.lstrip("\\n") }}{%- endif -%}
  {%- elif message["role"] != "system" or not loop.first -%}
    {{ message.role[0]|upper ~ ":" + content }}
  {%- endif -%}
  {{ "\\n" }}
{%- endfor -%}"""

TEMPLATES["content_parts"] = """{%- set counter = namespace(images=0, audio=0) -%}
{%- for message in messages -%}
<{{ message['role'] }}>
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- elif message['content'] is none or message['content'] is not defined -%}
(empty)
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
{%- set counter.images = counter.images + 1 -%}
{% if add_picture_id %}Picture {{ counter.images }}: {% endif %}<|img|>
{%- elif 'text' in part -%}
{{ part['text'] }}
{%- else -%}
{{ raise_exception('Unknown part: ' ~ part.type) }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
</{{ message['role'] }}>
{% endfor -%}
{{ counter.images }}"""

TEMPLATES["dialog_pairs"] = """{% if messages|length % 2 == 0 and messages %}{% for i in range(0, messages|length, 2) %}{{ messages[i].content ~ ' -> ' ~ messages[i + 1].content ~ ('; ' if i + 2 < messages|length) }}{% endfor %}{% else %}{{ messages|length ~ ' turns' }}{% endif %}{% for pair in messages|batch(2, 'x') %}[{{ pair|length }}]{% endfor %}{% for part in messages|slice(3) %}({{ part|length }}){% endfor %}"""

TEMPLATES["arguments"] = """{% for message in messages %}{% for tc in message.tool_calls or [] %}{% set fn = tc.function or tc %}{{ fn.name }}({% if fn.arguments is string %}{{ fn.arguments }}{% else %}{% for k, v in fn.arguments.items() %}{{ k }}={{ v|tojson if v is not string else "'" ~ v ~ "'" }}{{ ", " if not loop.last else "" }}{% endfor %}{% endif %}){{ "\\n" }}{% for name in fn.arguments|sort %}{{ name }}{% endfor %}{% endfor %}{% endfor %}"""

TEMPLATES["results_as_text"] = """{%- for message in messages -%}
{%- if message.role in ('tool', 'ipython', 'function') -%}
{%- if message.content is mapping -%}{{ message.content|tojson(indent=1, sort_keys=true) }}
{%- elif message.content is sequence and message.content is not string -%}{{ message.content|join('+') }}
{%- elif message.content is number -%}{{ '%.2f' % message.content }}
{%- else -%}{{ message.content|string }}{%- endif -%}
{%- elif message.role is in ['user', 'assistant'] and message.content is not none and message.content is defined -%}
{{ message['content']|string|trim ~ '\\n' }}
{%- endif -%}
{%- endfor -%}"""

TEMPLATES["reads_ahead"] = """{%- set last_user = namespace(i=-1) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set last_user.i = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for m in messages|reverse -%}{{ m.role[:1] }}{%- endfor -%}:
{%- for m in messages -%}
{{ '>' if loop.index0 == last_user.i else '-' }}{{ (m.content or '')|string|truncate(12, true, '…', 0) }}
{%- endfor -%}"""

TEMPLATES["dates"] = """{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %B %Y, %H:%M:%S %p %j %A %a %b %y %%') }}{{ strftime_now('') }}{{ strftime_now('[%Z%z] ü') }}"""

TEMPLATES["joined_system"] = """{%- set parts = [] -%}
{%- set systems = messages|selectattr('role', 'in', ['system', 'developer'])|map(attribute='content')|select('string')|list -%}
{%- if systems|length > 1 -%}{{ raise_exception('one system message only, got ' ~ systems|length) }}{%- endif -%}
{{ systems|join('\\n') }}{{ (systems + ['x', 'y'])|join(', ') }}{{ parts is sameas parts }}{{ [1, 2] + [3] }}{{ (1, 2) + (3,) }}"""

TEMPLATES["forbidden_change"] = """{% set list = [] %}{% for m in messages %}{% set _ = list.append(m.role) %}{% endfor %}{{ list|length }}"""
TEMPLATES["forbidden_change_unused"] = """{% set list = [1] %}{{ list.append is defined }}{{ {}.update is defined }}{{ {'update': 1}['update'] }}{{ ({'pop': 1}).pop is defined }}{{ 'x'.__class__ is defined }}{{ [].__len__ }}|"""
TEMPLATES["raises"] = """{% for m in messages %}{% if m.role not in ['user', 'assistant', 'system'] %}{{ raise_exception('unexpected role: ' + m.role + ' "quoted"\\n') }}{% endif %}{{ m.role }}{% endfor %}"""
TEMPLATES["unknown_tag"] = "{% if messages %}{% surprise %}{% endif %}"
TEMPLATES["unclosed"] = "{% for m in messages %}{{ m }}"
TEMPLATES["undefined_attribute"] = "{{ nothing.here }}"
TEMPLATES["undefined_text"] = "[{{ nothing }}{{ messages.nothing }}{{ nothing is defined }}{{ nothing|default('d') }}{{ (nothing or 'o') }}{{ nothing ~ 'c' }}{{ nothing|length }}{{ nothing|list }}{{ [nothing] }}]"
TEMPLATES["numbers"] = """{{ messages|length / 2 }} {{ messages|length // 2 }} {{ messages|length ** 2 }} {{ -(messages|length) }} {{ 7 % 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 1e3 }} {{ 0.1 + 0.2 }} {{ 10 ** 20 if false else 1.5e300 * 10 }} {{ 3|float }} {{ '3.7'|int }} {{ 2.5|round }} {{ 3.14159|round(2) }} {{ 1 < 2 < 3 }} {{ 3 == 3.0 }} {{ true + 1 }} {{ 5 is odd }} {{ 4 is divisibleby 2 }}"""
