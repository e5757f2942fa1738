"""Single expressions, and short templates, that exercise the language itself."""

# One expression a line; each is printed alone and inside a list (its repr).
EXPRESSIONS = [line for line in r"""
1
-1
+1
- - 2
1_000
0x_ff
0b101
0o17
00
1.5
1e3
1.5e-7
1E+22
1e16
123456789012345680.0
0.0001
0.00001
1e100
-0.0
5e-324
1.7976931348623157e308
0.1 + 0.2
1/3
2 / 2
7 // 2
-7 // 2
7 // -2
7.5 // 2
-7.5 // 2
7 % 3
-7 % 3
7 % -3
7.5 % 2
-7.5 % 2
7.5 % -2
1e308 * 10
-1e308 * 10
1 // 0
1 % 0
1 / 0
1.0 // 0
0.0 / 0
2 ** 10
2 ** -1
0 ** 0
0 ** -1
2 ** 0.5
2.0 ** 3
-2 ** 2
2 ** 3 ** 2
(-1) ** 1001
3 ** 39
1 + 2 * 3 - 4 // 2
(1 + 2) * 3
true + true
true * 3
-true
+true
not 1
not not 0
1 if true
1 if false
(1 if false) is defined
1 if false else 2 if false else 3
1 if none else 2
'a' if 0.0 else 'b'
1 < 2
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2 == 2
1 == 1.0
1 == true
'a' == 'a'
'a' < 'b'
'a' < 'B'
'é' < 'z'
'￿' < '😀'
[1, 2] < [1, 3]
[1, 2] < [1, 2, 3]
[1, 'a'] < [1, 2]
(1, 2) < (1, 3)
[1] < (1,)
[1] == (1,)
[1, [2, {'a': 3}]] == [1, [2, {'a': 3.0}]]
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
none == none
none == false
none < 1
nothing == nothing
nothing == none
nothing != 1
nothing < 1
1 < nothing
1 in [1, 2]
1 in (1, 2)
1.0 in [1]
3 not in [1, 2]
'a' in 'abc'
'' in 'abc'
1 in 'abc'
'a' in {'a': 1}
[1] in {'a': 1}
'a' in nothing
nothing in [nothing]
nothing in 'abc'
1 in 5
1 in none
'x' in ['xy', 'x']
3 in range(5)
not 'a' in 'b'
1 and 2
0 and 2
1 or 2
'' or 'b'
none or false
nothing or 'x'
not nothing
'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'b'] ~ {'k': none}
'a' ~ nothing ~ 'b'
'a' + 'b'
'a' + 1
1 + 'a'
'a' * 3
3 * 'ab'
'a' * -1
'a' * 1.5
[1] * 2
(1, 'a') * 2
[1] + [2]
[1] + (2,)
(1,) + (2,)
{'a': 1} + {'b': 2}
'a' - 'b'
none + 1
nothing + 1
'a' + nothing
-'a'
-none
-nothing
+'a'
'%s and %s' % ('a', 1)
'%d' % 3.99
'%d items' % 7
'%05d|%-5d|%+d|% d' % (42, 42, 42, 42)
'%.2f|%8.3f|%-8.1f|%08.2f' % (3.14159, 2.71828, 1.05, -1.5)
'%e|%E|%g|%G' % (12345.678, 0.00012, 1e10, 1e-10)
'%x|%X|%o|%#x|%#o' % (255, 255, 8, 255, 8)
'%s' % none
'%s' % [1, 'a']
'%r|%r' % ('a', 1.5)
'%c%c' % ('a', 98)
'%%'  % ()
'%5s|%-5s|%.2s' % ('ab', 'ab', 'abcdef')
'%(a)s %(b)d' % {'a': 'x', 'b': 2}
'%s' % ('a', 'b')
'%s %s' % ('a',)
'%d' % 'a'
'%s' % nothing
'%*d|%.*f' % (5, 42, 2, 3.14159)
'no' % 'x'
'no' % [1]
'%y' % 1
'%s|%s'|format('a', 2)
'%(x)s'|format(x=5)
'{} {}'.format('a', 1)
'{1} {0} {1}'.format('a', 1)
'{a} {b.c} {d[0]} {d[1]}'.format(a=1, b={'c': 2}, d=[3, 4])
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:5}|{:5}'.format('a', 1)
'{:05d}|{:+d}|{:,}|{:_}'.format(42, 42, 1234567, 1234567)
'{:.2f}|{:10.3f}|{:%}|{:.1%}|{:e}|{:g}'.format(3.14159, 2.71828, 0.5, 0.256, 12345.678, 0.0001)
'{:x}|{:X}|{:b}|{:o}|{:#x}'.format(255, 255, 5, 8, 255)
'{{}} {!r} {!s}'.format('a', 'b')
'{} {0}'.format(1)
'{'.format(1)
'}'.format(1)
'{}'.format()
'{x}'.format(y=1)
'{:{}}|'.format('a', 4)
'{:.2}|{:.1}'.format('abc', 'x')
''
'it\'s'
"say \"hi\""
'both \' and "'
'tab\there\nline\\end'
'\x41\u00e9\U0001F600\101'
'\q\z'
'a' 'b' "c"
'a
b'
'\
joined'
'\x00\x1f\x7f\x80\xa0\xad\u200b\u2028\ufeff\U000e0001'
'naïve 東京 🙂'
'naïve 東京 🙂'|length
'naïve 東京 🙂'[2]
'naïve 東京 🙂'[-1]
'naïve 東京 🙂'[::-1]
'naïve 東京 🙂'[6:8]
'naïve'.upper()
'ß'|upper
'ŉǰΐ'|upper
'ﬃ'|title
'ﬃ'.title()
'ǆ'.title()
'İSTANBUL'|lower
'ΣΊΣΥΦΟΣ ΟΣ. Σ'|lower
'ΑΣ\'Α ΑΣ'|lower
"they're bill's o'neill-smith (x)[y]"|title
"they're bill's o'neill-smith"|capitalize
"they're bill's o'neill-smith".title()
'ÉCOLE élan'.capitalize()
'aBc ÉÈ'.swapcase()
'abc'[0]
'abc'[-1]
'abc'[5]
'abc'[1:]
'abc'[:-1]
'abc'[::-1]
'abc'[::2]
'abc'[5:]
'abc'[2:1]
'abc'[-100:100]
'abc'[100:-100:-1]
'abc'[::-2]
'abcdef'[4:1:-1]
'abcdef'[-2::-2]
'abc'[::0]
(bos_token)['a':]
messages[1].content[1:]
'abc'|safe + '<'
'<' + ('a'|safe)
('<'|e)|e
('a'|safe) is escaped
'abc'[none:2]
'abc'[true]
'abc'[1.0]
'abc'[nothing]
'abc'[nothing:]
'abc'.missing
'abc'['upper']()
[1, 2, 3][0]
[1, 2, 3][-1]
[1, 2, 3][3]
[1, 2, 3].0
[1, 2, 3][::-1]
[1, 2, 3][1:]
[1, 2, 3][:2]
(1, 2, 3)[1:]
(1, 2, 3)[-1]
range(10)[2]
range(10)[2:5]
range(10)[::-1]|list
range(10)[8:2:-2]
range(3)
range(1, 3)
range(0, 10, 3)
range(5, 0, -2)|list
range(0)|list
range(3) == range(0, 3, 1)
range(100001)
range(1, 2, 0)
range('a')
range(stop=3)
{'a': 1}['a']
{'a': 1}.a
{'a': 1}.b
{'a': 1}['b']
{'a': 1}.b.c
{'a': 1}[['x']]
{1: 'int', 2.5: 'float', none: 'none', (1, 2): 'tuple'}
{1: 'a', true: 'b', 1.0: 'c'}
{'b': 1, 'a': 2, 'b': 3}
{[1]: 2}
{1: 'x'}[1.0]
{1: 'x'}[true]
{(1, 2): 'x'}[1, 2]
{'items': 1}.items is callable
{'items': 1}['items']
{'a': 1}['keys']()
{}
[]
()
(1,)
(1)
[1, [2, (3,)], {'a': [none, true, 1.5, 'x']}]
[[], {}, (), '']
{'a': 1}.get('a')
{'a': 1}.get('b')
{'a': 1}.get('b', 2)
{'a': 1}.get()
{'a': 1}.get([1])
{'a': 1, 'b': 2}.items()
{'a': 1, 'b': 2}.keys()
{'a': 1, 'b': 2}.values()
{'a': 1}.items()|list
{'a': 1}.keys()[0]
{'a': 1}.keys()|length
{'a': 1}.copy()
{'a': 1}.update({'b': 2})
{'a': 1}.pop('a')
[1].append(2)
[3, 1, 3].count(3)
[3, 1, 3].index(1)
[3, 1, 3].index(9)
[1, 2].copy()
(1, 2, 1).count(1)
(1, 2, 1).index(2)
(1, 2).append is defined
dict(a=1, b='x')
dict({'a': 1}, b=2)
dict([('a', 1), ('b', 2)])
dict([['a', 1, 2]])
dict(1)
namespace(a=1, b='x')
namespace({'a': 1}).a
namespace(a=1).b
namespace(a=1)['a']
namespace(a=1) is mapping
namespace(a=1).items
namespace(items=3).items
namespace() == namespace()
none
None
true
True
false
False
[none, true, false]
nothing
nothing.x
nothing['x']
nothing[1:]
nothing()
nothing is defined
nothing is undefined
nothing is none
nothing is string
nothing is iterable
nothing is sequence
nothing is mapping
nothing is number
nothing is callable
messages[0].nothing is defined
messages[99] is defined
messages[0]['nothing'] is none
none is none
none is defined
none is not none
'a' is string
1 is string
1 is number
1.5 is number
true is number
'1' is number
1 is integer
true is integer
1.0 is integer
1.0 is float
1 is float
true is boolean
1 is boolean
true is true
1 is true
false is false
0 is false
{} is mapping
[] is mapping
[] is sequence
'a' is sequence
{} is sequence
1 is sequence
range(2) is sequence
range(2) is iterable
[] is iterable
'a' is iterable
1 is iterable
none is iterable
{}.items() is sequence
{}.items() is iterable
3 is odd
4 is even
-3 is odd
3.0 is odd
'a' is odd
nothing is odd
9 is divisibleby 3
9 is divisibleby(2)
9 is divisibleby 0
1 is eq 1
1 is equalto(1.0)
1 is ne 2
1 is lt 2
2 is le 2
3 is gt 2
3 is ge 4
3 is greaterthan 2
3 is lessthan 2
1 is in [1, 2]
1 is not in [1, 2]
'a' is in 'abc'
'abc' is lower
'ABC' is upper
'Abc' is lower
'123' is lower
1 is sameas 1
1 is sameas true
1.0 is sameas 1
none is sameas none
'length' is filter
'nope' is filter
'odd' is test
range is callable
'a' is callable
'a' is escaped
1 is not string
1 is string or 2 is number
1 is number and 'a' is string
not 1 is string
'a' is string ~ 'x'
[1, 2, 3] is sequence and [1] is iterable
1 is unknown_test
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
""".split("\n") if line]

_JOINED = []
for _line in EXPRESSIONS:  # a backslash or an open quote at the end of a line continues the expression
    if _JOINED and (_JOINED[-1].endswith("\\") or _JOINED[-1] == "'a"):
        _JOINED[-1] += "\n" + _line
    else:
        _JOINED.append(_line)
EXPRESSIONS = _JOINED

# Templates of a few statements each, for what expressions cannot show.
STATEMENTS = [
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = 'xy' %}{{ a }}{{ b }}",
    "{% set a, (b, c) = 1, (2, 3) %}{{ a }}{{ b }}{{ c }}",
    "{% set a, b = [1] %}",
    "{% set a, b = 1 %}",
    "{% set a = 1, %}{{ a }}",
    "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}{{ ns }}",
    "{% set ns = {} %}{% set ns.a = 1 %}",
    "{% set ns.a = 1 %}",
    "{% set ns = namespace(a=[]) %}{% for i in range(3) %}{% set ns.a = ns.a + [i] %}{% endfor %}{{ ns.a }}",
    "{% set ns = namespace(a=1) %}{% for i in [1] %}{% set ns.a = 2 %}{% endfor %}{{ ns.a }}{{ ns.b }}",
    "{% set ns = namespace() %}{% set ns.text %}x{{ 1 }}{% endset %}{{ ns.text }}",
    "{% set true = 1 %}",
    "{% set 1 = 1 %}",
    "{% set x %}a{% endset %}{{ x }}",
    "{% set x | upper %}a{% endset %}{{ x }}",
    "{% set x | replace('a', y) %}{% set y = 'b' %}aa{% endset %}{{ x }}",
    "{% set x = 1 if false %}{{ x is defined }}[{{ x }}]",
    "{% for i in [1, 2, 3] %}{{ i }}{% else %}e{% endfor %}",
    "{% for i in [] %}{{ i }}{% else %}e{% endfor %}",
    "{% for i in [1, 2] %}{% continue %}{% else %}e{% endfor %}",
    "{% for i in [1, 2] %}{% break %}{% else %}e{% endfor %}",
    "{% for i in [1, 2] %}{{ i }}{% break %}{% else %}e{% endfor %}",
    "{% for i in [1, 2, 3] if i != 2 %}{{ i }}{{ loop.index }}{{ loop.length }}{% endfor %}",
    "{% for i in [1, 2, 3] if i > 5 %}{{ i }}{% else %}none{% endfor %}",
    "{% for i in nothing %}{{ i }}{% else %}e{% endfor %}",
    "{% for i in none %}{% endfor %}",
    "{% for i in 5 %}{% endfor %}",
    "{% for c in 'aé😀' %}{{ c }}{{ loop.index }}{% endfor %}",
    "{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{{ loop.last }}{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2} %}{{ k }}{{ v }}{% endfor %}",
    "{% for k, v in [[1, 2], (3, 4), 'xy'] %}{{ k }}{{ v }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, in [(1,)] %}{{ a }}{% endfor %}",
    "{% for i in 1, 2, 3 %}{{ i }}{% endfor %}",
    "{% for i in [3, 1] | sort %}{{ i }}{% endfor %}",
    "{% for i in [1, 2] + [3] %}{{ i }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for i in (1, 2) if true %}{{ loop.revindex }}{% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.first }}{{ loop.last }};{% endfor %}",
    "{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}",
    "{% for i in [1, 2, 3, 4] %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}",
    "{% for i in [1, 2] %}{{ loop }}{% endfor %}",
    "{% for i in [1, 2] %}{{ loop.nope }}{{ loop['index'] }}{{ loop.length }}{% endfor %}",
    "{% for i in [1, 2] %}{% set outer = loop %}{% for j in [1] %}{{ outer.index }}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% for i in [1, 2] %}{% for j in [1, 2] %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }}{% endfor %}{% endfor %}",
    "{% for i in [1] %}{{ i }}{% endfor %}{{ i }}{{ loop is defined }}",
    "{% for i in [1, 2] recursive %}{{ i }}{% endfor %}" if False else "{% for loop in [1] %}{% endfor %}",
    "{% for i in [1] %}{% set loop = 2 %}{% endfor %}",
    "{% for i in range(3) %}{% set x = i %}{% endfor %}{{ x }}",
    "{% set x = 0 %}{% for i in range(3) %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% for i in range(2) %}{{ x }}{% set x = i %}{% endfor %}",
    "{% for i in range(3) if x is not defined %}{% set x = i %}{{ x }}{% endfor %}",
    "{% set g = [1, 2, 3]|map('string') %}{% for i in g %}{{ i }}{% break %}{% endfor %}{{ g|join }}{{ g|list }}",
    "{% set g = [3, 4]|select %}{{ g|first }}{{ g|first }}{{ g|first }}",
    "{% set g = [1, 2]|reverse %}{{ g|list }}{{ g|list }}",
    "{% break %}",
    "{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for i in [1, 2] %}{% set x %}a{% continue %}{% endset %}b{% endfor %}c",
    "{% if 1 %}a{% elif 2 %}b{% else %}c{% endif %}",
    "{% if 0 %}a{% elif 2 %}b{% else %}c{% endif %}",
    "{% if 0 %}a{% elif '' %}b{% else %}c{% endif %}",
    "{% if nothing %}a{% endif %}b",
    "{% if not nothing is defined %}a{% endif %}",
    "{% if (1, 2) %}a{% endif %}",
    "{% if 1, 0 %}a{% endif %}",
    "{% if true: %}a{% endif %}",
    "{% if 0.0 %}a{% elif none %}b{% elif [] %}c{% elif {} %}d{% elif range(0) %}e{% elif namespace() %}f{% endif %}",
    "{% if false %}{{ 1|nope }}{% endif %}ok",
    "{% if false %}{% for i in [] %}{{ 1|nope }}{% endfor %}{% endif %}ok",
    "{% if true %}{{ 1|nope }}{% endif %}",
    "{% if 1|nope %}{% endif %}",
    "{% if false %}{{ 1 is nope }}{% else %}{{ 2 }}{% endif %}",
    "{% if x is defined %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% if false %}{% set tools = 1 %}{% endif %}{{ tools|length }}",
    "{% if true %}{% set q = 1 %}{% endif %}{% for i in [1] %}{{ q }}{% set q = 2 %}{{ q }}{% endfor %}{{ q }}",
    "{% for i in [1] %}{{ bos_token }}{% set bos_token = 1 %}{{ bos_token }}{% endfor %}{{ bos_token }}",
    "{% for i in [1] %}{% if false %}{% set bos_token = 1 %}{% endif %}{{ bos_token }}{% endfor %}",
    "{% for i in [1] %}{{ bos_token }}{% endfor %}{% set bos_token = 1 %}",
    "{% if false %}{% set bos_token = 1 %}{% endif %}{% for i in [1] %}{{ bos_token }}{% endfor %}",
    "{% macro m() %}{{ bos_token }}{% endmacro %}{% set bos_token = 1 %}{{ m() }}",
    "{% macro m() %}{{ bos_token }}{% set bos_token = 2 %}{{ bos_token }}{% endmacro %}{{ m() }}{{ bos_token }}",
    "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}",
    "{% for v in [1, 2] %}{% macro m() %}{{ v }}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=1, a=0) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 'a', x=2) }}",
    "{% macro m(a, b) %}{{ b is defined }}{% endmacro %}{{ m(1) }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{{ messages|length }}{% endcall %}",
    "{% macro m() %}[{{ caller(1, b=2) }}]{% endmacro %}{% call(a, b=5, c=6) m() %}{{ a }}{{ b }}{{ c }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro a() %}{{ caller() }}{% endmacro %}{% macro b() %}{% call a() %}<{{ caller() }}>{% endcall %}{% endmacro %}{% call b() %}z{% endcall %}",
    "{% call nothing() %}{% endcall %}",
    "{% call 1 %}{% endcall %}",
    "{% macro m(a, a) %}{% endmacro %}" if False else "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro m(caller) %}{% endmacro %}{{ m(1) }}",
    "{% macro outer(x) %}{% macro inner() %}{{ x }}{% endmacro %}{{ inner() }}{{ inner() }}{% endmacro %}{{ outer(1) }}{{ outer(2) }}",
    "{% set ns = namespace() %}{% macro outer(x) %}{% macro inner() %}{{ x }}{% endmacro %}{% set ns.f = inner %}{% endmacro %}{{ outer(7) }}{{ ns.f() }}",
    "{% macro m() %} a {% endmacro %}[{{ m() }}][{{ m()|trim }}]{{ m()|length }}{{ m() ~ 'x' }}{{ m() + 'y' }}",
    "{% macro m() %}{% set x = 1 %}{% endmacro %}{{ m() }}{{ x is defined }}",
    "{% filter upper %}a{{ 'b' }}{% endfilter %}",
    "{% filter replace('a', 'b')|upper %}banana{% endfilter %}",
    "{% filter length %}abc{% endfilter %}",
    "{% filter nope %}{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a is defined }}{{ c is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a is defined }}",
    "{% print 1, 'a' %}{% print bos_token %}",
    "{% generation %}a{{ bos_token }}{% endgeneration %}b",
    "{% set x = 1 %}{% generation %}{{ x }}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
    "{% for m in messages %}{% generation %}{{ m.role }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% for m in messages %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{{ 1 }}{{ 'a', 2 }}{{ 1, }}",
    "{{ }}",
    "{{",
    "{% if",
    "{%",
    "{#",
    "{# a",
    "{% %}",
    "{% if %}{% endif %}",
    "{% endif %}",
    "{% for %}{% endfor %}",
    "{% for i %}{% endfor %}",
    "{% for i in %}{% endfor %}",
    "{% if 1 %}{% endfor %}",
    "{% if 1 %}{% else %}{% elif 2 %}{% endif %}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% import 'x' as y %}",
    "{% do 1 %}",
    "{{ 'a' }} } }} %} #}",
    "{ { % # {}",
    "a\n{% if 1 %}\nb\n{% endif %}\nc\n",
    "a\n  {% if 1 %}\n  b\n  {% endif %}\nc\n\n",
    "  {{ 1 }}  \n  {% if 1 %}  \n  x",
    "a {% if 1 -%} b {%- endif %} c",
    "a {%- if 1 +%}\n b {%+ endif %} c",
    "a\n\n{%- if 1 %}\n\nb{% endif -%}\n\nc",
    "\n{# c #}\nx{#- d -#}\n y {#+ e +#}\nz",
    "  {# c #}  x\n  {#- c #}\n  y",
    "a {{- 1 -}} b {{ 2 -}}\n\n c {{- 3 }}",
    "\t{% raw %}\n{{ x }}{% endif %}\n\t{% endraw %}\ny",
    "a {%- raw -%} b {%- endraw -%} c",
    "{% raw %}{% raw %}{% endraw %}",
    "{% raw %}",
    "a\r\nb\rc\n{% if 1 %}\r\nd{% endif %}\r\n",
    "\n",
    "\n\n",
    "",
    " ",
    "x\n{{ 'y' }}\n",
    "{{ 'a' }}\n{{ 'b' }}\n\n",
    "{% set x = 'a' -%}   \n  {{ x }}",
    "{{ {'a': {'b': 1}}.a.b }}{{ {'a': {'b': 2}}['a']['b'] }}{{ {'x':{}}}}",
    "{{ '}}' }}{{ '{{' }}{{ \"%}\" }}",
    "{{ [1, [2, 3]][1][0] }}",
    "{{ (1) }}{{ ((1)) }}{{ ((1),) }}",
    "{{ a.b if a is defined else 'none' }}",
    "{{ 'x' if a.b }}",
    "é{{ 'ü' }}\u2028{% set ñ = 1 %}{{ ñ }}\u00a0{%- if 1 %} 東{% endif %}",
    "{{ 1 }}\u3000{%- if 1 -%}\u3000x\u00a0{%- endif %}",
    "{% set a = namespace(x=1) %}{% set b = a %}{% set b.x = 2 %}{{ a.x }}{{ a == b }}{{ a in [b] }}",
    "{% set x = [1, 2] %}{% set y = x + [3] %}{{ x }}{{ y }}",
    "{% set d = dict(a=1) %}{% set d = dict(d, b=2) %}{{ d }}{{ d|length }}",
    "{{ range(3)|list }}{% for i in range(2, 8, 3) %}{{ i }}{% endfor %}",
    "{% set tools = tools or [] %}{{ tools|length }}",
    "{%- set found = namespace(v=false) -%}{%- for m in messages -%}{%- if m.role == 'tool' and not found.v -%}{%- set found.v = true -%}{{ loop.index0 }}{%- endif -%}{%- endfor -%}",
    "{{ messages[0].role.upper() ~ messages[0]['content'].split()[0] }}",
    "{% for m in messages | rejectattr('role', 'equalto', 'tool') %}{{ m.role }} {% endfor %}",
    "{% for m in messages[1:] %}{{ m.role }}{% endfor %}{% for m in messages[:-1]|reverse %}{{ m.role }}{% endfor %}",
    "{% set caller = 1 %}{{ caller }}{% macro m() %}{{ caller }}{% endmacro %}{{ m() }}",
    "{% macro loop() %}x{% endmacro %}{{ loop() }}",
    "{% set range = 5 %}{{ range }}{% for i in [1] %}{{ range }}{% endfor %}",
    "{% set messages = messages[2:] %}{{ messages|length }}{% for i in [1] %}{% set messages = [] %}{{ messages }}{% endfor %}{{ messages|length }}",
]
