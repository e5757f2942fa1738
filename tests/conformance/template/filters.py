"""Single expressions that exercise the filters, one a line."""

from expressions import expressions

FILTERS = expressions(r"""
1|unknown_filter
1 if true else 1|unknown_filter
1|unknown_filter if false else 2
' a '|trim
'xxaxx'|trim('x')
'\u3000a\u00a0'|trim
nothing|trim
none|trim
5|trim
'a b'|length
[1, 2]|length
{'a': 1}|count
5|length
none|length
range(7)|length
{}.items()|length
[1, 2]|join
[1, 'a', none, 1.5, true]|join(', ')
'abc'|join('-')
[1, 2]|join(1)
[{'a': 1}, {'a': 2}]|join('-', attribute='a')
[{'a': 1}, {}]|join('-', 'a')
nothing|join(',')
5|join
{'a': 1, 'b': 2}|join(',')
range(4)|join('/')
'abc'|upper
'ABC'|lower
5|upper
none|upper
[1]|upper
'a-b'|replace('-', '+')
'aaa'|replace('a', 'b', 2)
'aaa'|replace('a', 'b', count=1)
'aaa'|replace('', '-')
'aaa'|replace('', '-', 2)
'aé'|replace('', '.')
''|replace('', 'x')
5|replace(5, 6)
'a'|replace('a')
[1, 2, 3]|first
[]|first
'abc'|first
{'a': 1}|first
nothing|first
5|first
[1, 2, 3]|last
[]|last
'abé'|last
{'a': 1, 'b': 2}|last
range(3)|last
([1, 2]|reverse)|last
nothing|last
5|last
nothing|default('x')
none|default('x')
''|default('x')
''|default('x', true)
0|d('x', boolean=true)
false|d('x', true)
nothing|default
nothing|default(none)
nothing.x|default('y')
messages[0].x|default('y')
messages[0].x.y|default('y')
{'a': 1, 'b': 2}|items|list
nothing|items|list
[1]|items|list
'abc'|list
{'a': 1}|list
(1, 2)|list
5|list
none|list
1.5|string
none|string
[1, 'a']|string
'1'|int
' 12 '|int
'-7'|int
'+7'|int
'1_000'|int
'1__0'|int
'3.7'|int
'3.7e2'|int
'abc'|int
'abc'|int(5)
'abc'|int(default=none)
''|int
'ff'|int(0, 16)
'0xff'|int(0, 16)
'0xff'|int(base=0)
'0b11'|int(0, 2)
'012'|int(7, 0)
3.99|int
-3.99|int
none|int
[1]|int
true|int
'inf'|int
'nan'|int
1e3|int
nothing|int
'1.5'|float
'abc'|float
'abc'|float(2.5)
' 1e3 '|float
'.5'|float
'5.'|float
'.'|float
'inf'|float
'-Infinity'|float
'nan'|float
'1_0.5'|float
none|float
3|float
true|float
nothing|float
'0x10'|float
[1, 2, 3]|map('string')|list
['a', 'b']|map('upper')|join
[' a ', 'b']|map('trim')|list
[{'a': 1}, {'a': 2}]|map(attribute='a')|list
[{'a': {'b': 1}}]|map(attribute='a.b')|list
[{'a': [5, 6]}]|map(attribute='a.1')|list
[[1, 2], [3, 4]]|map(attribute=0)|list
[[1, 2], [3, 4]]|map('first')|list
[[1, 2], [3]]|map('join', '-')|list
[{'a': 1}, {}]|map(attribute='a', default='x')|list
[{'a': 1}, {}]|map(attribute='a')|list
[{'a': 1}]|map(attribute='a', wrong=1)|list
[1]|map|list
[1]|map('nope')|list
[]|map('nope')|list
none|map('upper')|list
5|map('upper')|list
['3', '4']|map('int')|sum
[1, 2]|map('upper') is iterable
([1, 2]|map('string'))[0]
([1, 2]|map('string'))|length
true if []|map('string') else false
true if ([]|select) else false
[0, 1, 2, none, '']|select|list
[1, 2, 3, 4]|select('odd')|list
[1, 2, 3, 4]|select('gt', 2)|list
[1, 2, 3, 4]|select('divisibleby', 2)|list
[1, 'a', none]|select('string')|list
[1, 2]|select('nope')|list
[0, 1]|reject|list
[1, 2, 3]|reject('even')|list
[{'a': 1}, {'a': 0}, {}]|selectattr('a')|list
[{'a': 1}, {'a': 2}]|selectattr('a', 'equalto', 2)|list
[{'a': 1}, {'a': 2}]|selectattr('a', '==', 2)|list
[{'a': 1}, {}]|selectattr('a', 'defined')|list
[{'a': {'b': 1}}, {'a': {'b': 2}}]|selectattr('a.b', 'gt', 1)|list
[{'a': 1}, {'a': 2}]|rejectattr('a', 'in', [2, 3])|list
[{'a': 1}, {}]|rejectattr('a')|list
[1]|selectattr|list
messages|selectattr('role', 'equalto', 'user')|list|length
{'b': 1, 'A': 2, 'c': 0}|dictsort
{'b': 1, 'A': 2, 'c': 0}|dictsort(true)
{'b': 1, 'A': 2, 'c': 0}|dictsort(false, 'value')
{'b': 1, 'A': 2, 'c': 0}|dictsort(reverse=true)
{'b': 1, 'A': 2}|dictsort(by='nope')
[1]|dictsort
{1: 'a', 'b': 2}|dictsort
['b', 'A', 'c', 'a']|sort
['b', 'A', 'c', 'a']|sort(case_sensitive=true)
['b', 'A', 'c', 'a']|sort(reverse=true)
[3, 1.5, 2, true]|sort
[3, 'a']|sort
[none, none]|sort
[none, 1]|sort
'hello'|sort
{'b': 1, 'a': 2}|sort
[{'n': 2, 'm': 'x'}, {'n': 1, 'm': 'y'}, {'n': 2, 'm': 'a'}]|sort(attribute='n')
[{'n': 2, 'm': 'x'}, {'n': 1, 'm': 'y'}, {'n': 2, 'm': 'a'}]|sort(attribute='n,m')
[{'n': 2, 'm': 'x'}, {'n': 1, 'm': 'y'}, {'n': 2, 'm': 'a'}]|sort(true, attribute='n')
[{'n': 2}, {}]|sort(attribute='n')
[[2, 1], [1, 2]]|sort(attribute=1)
[1, 2, 1, 3, 2]|unique|list
['a', 'A', 'b']|unique|list
['a', 'A', 'b']|unique(true)|list
[{'a': 1}, {'a': 1}]|unique(attribute='a')|list
[[1], [1]]|unique|list
[1, true, 1.0]|unique|list
[1, 2, 3]|reverse|list
'abc'|reverse
{'a': 1, 'b': 2}|reverse|list
([1, 2]|reverse)[0]
range(3)|reverse|list
5|reverse
[1, 2]|map('string')|reverse
'a\nb\n\nc'|indent
'a\nb\n\nc'|indent(2, true)
'a\nb\n\nc'|indent(2, blank=true)
'a\nb'|indent('--')
'a\nb'|indent(width=1, first=true)
'a\r\nb\x0bc'|indent(1)
''|indent
5|indent
nothing|indent
3.14159|round
3.14159|round(2)
2.5|round
3.5|round
-2.5|round
2.675|round(2)
1234.5|round(-2)
1250|round(-2)
1350|round(-2)
-1250|round(-2)
7|round
7|round(2)
true|round
3.2|round(0, 'ceil')
3.7|round(method='floor')
3.14159|round(3, 'floor')
-3.5|round(0, 'ceil')
7|round(0, 'ceil')
1.5|round(0, 'nope')
'a'|round
none|round
1e300|round(2)
-5|abs
-5.5|abs
true|abs
'a'|abs
[3, 1, 2]|min
[3, 1, 2]|max
['b', 'A']|min
['b', 'A']|min(case_sensitive=true)
['a', 'A']|max
[]|min
[{'n': 2}, {'n': 1}]|max(attribute='n')
[1, 'a']|min
'hello'|max
[1, 2, 3]|sum
[1.5, 2]|sum
[]|sum
[[1], [2]]|sum(start=[])
[{'n': 2}, {'n': 1}]|sum(attribute='n')
[{'n': 2}, {'n': 1}]|sum('n', 10)
['a', 'b']|sum
['a', 'b']|sum(start='')
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3, 4, 5]|batch(2, 'x')|list
[1, 2]|batch(0)|list
[]|batch(3)|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
[1, 2]|slice(0)|list
'a'|safe
'<a href="x">\'&</a>'|e
'<a>'|escape
5|escape
none|e
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foo bar baz qux'|truncate(2)
'foo bar baz qux'|truncate(9, end='…', leeway=0)
'a, b c_d é-f 12'|wordcount
'abc'|center(9)
'abc'|center(8)
'é'|center(4)
'abc'|center
'abc'|attr('upper') is callable
{'a': 1}|attr('a')
'abc'|string|upper|replace('A', 'x')|length
1|tojson
1.0|tojson
1e100|tojson
'a"b\\c\n\t\r\x08\x0c\x01\x7fé😀</script>&<>\''|tojson
'é😀\x7f\u2028'|tojson(ensure_ascii=true)
none|tojson
[true, false, none, 1.5, 'x']|tojson
[]|tojson
{}|tojson
{'a': [1, {'b': 2}], 'c': {}}|tojson
{'a': [1, {'b': 2}], 'c': {}, 'd': []}|tojson(indent=2)
{'a': [1, {'b': 2}], 'c': {}}|tojson(indent=0)
{'a': 1}|tojson(indent='\t')
{'a': [1]}|tojson(indent=-1)
{'a': [1]}|tojson(indent=true)
{'a': [1]}|tojson(indent=none)
{'b': 1, 'a': 2}|tojson(sort_keys=true)
{'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(indent=4, sort_keys=true)
{'a': 1, 'b': 2}|tojson(separators=(',', ':'))
{'a': 1, 'b': 2}|tojson(separators=[', ', '='], indent=1)
{'a': 1}|tojson(separators=(',',))
{1: 2, 1.5: 3, none: 4, true: 5}|tojson
{(1, 2): 3}|tojson
{1: 2, 'a': 3}|tojson(sort_keys=true)
(1, 2)|tojson
range(2)|tojson
nothing|tojson
{'a': nothing}|tojson
{}.items()|tojson
[1]|map('string')|tojson
namespace(a=1)|tojson
'inf'|float|tojson
'nan'|float|tojson
messages|tojson
tools|tojson(indent=4)
tools[0].function.parameters.properties|tojson
tools[0]['function']['return'].properties.degrees
1|tojson(wrong=1)
' a b '.strip()
'xxabxx'.strip('x')
'xyabyx'.strip('xy')
'éaé'.strip('é')
' a '.strip(none)
' a '.lstrip()
' a '.rstrip()
'\n\na\n'.strip('\n')
'a b  c'.split()
'a b  c'.split(' ')
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.split(sep=',', maxsplit=1)
'a,b,c'.split(',')[-1]
'abc'.split('')
''.split()
''.split(',')
' a  b '.split(none, 1)
'a b c d'.rsplit(' ', 2)
' a  b  c '.rsplit(none, 1)
'a,b,c'.rsplit(',', 1)[0]
'a\nb\r\nc\x0bd\u2028e'.splitlines()
'a\nb\n'.splitlines(true)
'a\n\n'.splitlines(keepends=true)
''.splitlines()
'abc'.startswith('a')
'abc'.startswith(('x', 'a'))
'abc'.startswith(['a'])
'abc'.startswith('b', 1)
'abc'.startswith('')
'abc'.startswith('', 9)
'abc'.endswith('c')
'abc'.endswith(('x', 'bc'))
'abc'.endswith('b', 0, 2)
'abc'.startswith(1)
'a-b-a'.replace('a', 'x')
'a-b-a'.replace('a', 'x', 1)
'abc'.replace('', '.')
'a'.replace(1, 2)
'abcabc'.find('c')
'abcabc'.find('c', 3)
'abcabc'.find('c', -3, -1)
'abcabc'.rfind('b')
'éab'.find('b')
'abc'.find('z')
'abc'.find('', 3)
'abc'.find('', 4)
'abc'.index('z')
'abc'.index('b')
'abab'.rindex('b')
'banana'.count('an')
'banana'.count('')
'banana'.count('a', 2)
'-'.join(['a', 'b'])
'-'.join('abc')
'-'.join([1, 2])
'-'.join({'a': 1, 'b': 2})
'-'.join([])
'abc'.upper()
'aBC'.lower()
'a bc'.title()
'abc'.capitalize()
'abc'.center(8, '*')
'abc'.center(7)
'abc'.ljust(5, '.')
'abc'.rjust(5)
'abc'.rjust(5, 'xy')
'42'.zfill(5)
'-42'.zfill(5)
'abc'.removeprefix('a')
'abc'.removesuffix('bc')
'abc'.removesuffix('x')
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('x')
'abc'.rpartition('x')
'abc'.partition('')
'abc'.isalpha()
'ab1'.isalnum()
'123'.isdigit()
'12a'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½'.isnumeric()
''.isdigit()
' \t'.isspace()
'Abc'.islower()
'abc1'.islower()
'ABC'.isupper()
'abc'.isascii()
'é'.isascii()
'abc'.strip(chars='a')
'abc'.nope()
'abc'.upper
'abc'.__class__
'abc'.__len__()
[].__class__.__mro__
{}.__init__
messages.__class__ is defined
''.join(messages|map(attribute='role'))
messages[0].content
messages[0]['content'][:4]
messages[-1]['role']
messages|length - 1
messages[1].tool_calls[0].function.arguments.place
messages[1].tool_calls[0]['function']['arguments'] | items | list
messages[1].tool_calls[0].function.arguments
messages[1].content is none
messages[1]
bos_token ~ eos_token
bos_token + none
tools is not none and tools|length > 1
tools is defined
documents is none
unknown is defined
add_generation_prompt
not add_generation_prompt
add_generation_prompt is true
raise_exception('boom')
raise_exception('a' ~ 1)
raise_exception()
strftime_now('%d %b %Y')
strftime_now('%H:%M')
strftime_now('')
strftime_now('%')
strftime_now(5)
strftime_now(format='%Y')
range(3)|map('string')|join
[[1, 2], [3, 4]]|map('sum')|list
[1, 2, 3]|select('in', [1, 3])|map('string')|join('+')
(1, 2) == (1, 2)
[1, 2][0] + {'a': 3}.a * 2
{'a': {'b': [1, {'c': 'deep'}]}}.a.b[1].c
{'a': 1}.items()|first
{'x': [1, 2]}['x'][1]
[*[1], 2]
dict(**{'a': 1})
dict(**{'a': 1}, a=2)
dict(*[[['a', 1]]])
'{}-{}'.format(*[1, 2])
'{a}'.format(**{'a': 1})
'{a}'.format(**[1])
range(*[1, 4])|list
range(*5)
1 if 2 else 3 ~ 4
'a' in 'abc' and 'b' in 'abc'
'a' not in 'abc' or 1
1 + 1 == 2 and 2 + 2 == 4
not (1 == 2)
1 == 2 == false
-1 ** 2
2 * -3
2 - -3
1 - 1 - 1
100 // 10 // 3
1 ~ 2 + 3
1 ~ 2 * 3
'a' ~ 'b' == 'ab'
[1, 2, 3,]
{'a': 1,}
(1, 2,)
[,]
{,}
1 +
(1
a b
1 2
{'a' 1}
[1 2]
'abc
x.
x|
x is
1 = 2
loop
loop.index
caller
super
varargs
9223372036854775807
-9223372036854775807 - 1
3037000499 * 3037000499
'😀' * 2
'😀a'[1:]
'a😀b'.find('b')
'a😀b'.center(7, '😀')
['a\u0301', 'é']|sort
'Ångström'|lower|upper|capitalize
'ａｂｃ'|upper
'١٢٣'.isdigit()
'hello world foo'|title|replace(' ', '')
1.0 ~ '' 
100000000000000000000.0
1e15
1e17
123456.789e3
0.1
1.10
3.0
1e-5
float
''.join
cycler is defined or true
"a" is sameas "a"
[1,2]|tojson|length
1.5|string ~ 'x'
(none)|string
[nothing]
{'a': nothing}
nothing|string|length
not nothing|default(false)
messages|sort(attribute='role')|map(attribute='role')|list
messages|map(attribute='role')|map('upper')|unique|list
messages|batch(2)|map('length')|list
messages|selectattr('content', 'string')|map(attribute='content')|map('length')|sum
messages|rejectattr('tool_calls', 'undefined')|list|length
messages|map(attribute='content')|select('none')|list
tools|map(attribute='function.name')|join(', ')
tools|selectattr('function.name', 'eq', 'clock')|list|length
tools[0].function.parameters.required|join
(tools|first).function.name|upper
""")
