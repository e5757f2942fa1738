"""Single expressions that exercise the language itself: literals, operators, subscripts, functions and tests."""


def expressions(text):
    """One expression a line; a backslash or an open quote at the end of a line continues it."""
    joined = []
    for line in filter(None, text.split("\n")):
        if joined and (joined[-1].endswith("\\") or joined[-1] == "'a"):
            joined[-1] += "\n" + line
        else:
            joined.append(line)
    return joined


# Each is printed alone and inside a list (its repr).
EXPRESSIONS = expressions(r"""
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
""")
