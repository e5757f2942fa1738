#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "loader/jinja_value.h"

namespace attune::jinja {

/// Where a name lives: `hops` functions outwards, then slot `slot` of that function's variables.
struct Variable {
  int hops = 0;
  int slot = -1;
};

enum class ExpressionKind {
  constant,
  name,
  list,
  tuple,
  dict,       // kids: key, value, key, value, …
  attribute,  // kids[0] . text
  item,       // kids[0] [ kids[1] ]
  slice,      // kids[0] [ kids[1] : kids[2] : kids[3] ], null where left out
  call,       // kids[0] ( arguments )
  filter,     // kids[0] | text ( arguments ); kids[0] is null inside a filter block
  test,       // kids[0] is text ( arguments )
  negate,     // - kids[0]
  plus,       // + kids[0]
  logical_not,
  logical_and,
  logical_or,
  binary,       // kids[0] text kids[1]
  concatenate,  // kids[0] ~ kids[1] ~ …
  compare,      // kids[0] comparisons[0] kids[1] comparisons[1] …
  conditional,  // kids[0] if kids[1] else kids[2], which may be null
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  ExpressionKind kind = ExpressionKind::constant;
  int line = 0;
  int height = 1;  ///< longest path to a leaf
  std::string text;
  Value constant;
  Variable variable;
  std::vector<ExpressionPtr> kids;
  std::vector<std::string> comparisons;
  // The rest of a call, filter or test.
  std::vector<ExpressionPtr> arguments;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  ExpressionPtr star, star_star;
};

/// What is assigned to: a name, an attribute of a namespace, or several of them.
struct Target {
  enum class Kind { name, attribute, tuple };
  Kind kind = Kind::name;
  int line = 0;
  std::string name;
  std::string attribute;
  Variable variable;
  std::vector<Target> kids;
};

/// How one variable starts when its scope is entered.
struct InitialValue {
  enum class Kind { missing, context, copy };
  Kind kind = Kind::missing;
  int slot = 0;
  std::string name;  ///< context: the name looked up among the variables of the render and the globals
  Variable from;     ///< copy
};

using Scope = std::vector<InitialValue>;

enum class StatementKind {
  data,
  print,
  if_chain,
  for_loop,
  set,
  set_block,
  macro,
  call_block,
  filter_block,
  with,
  generation,
  loop_break,
  loop_continue
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

struct Statement {
  StatementKind kind = StatementKind::data;
  int line = 0;
  int height = 1;
  std::string text;                        // data; macro: its name
  std::vector<ExpressionPtr> expressions;  // print: what; if: the tests; for: the iterable, then the test or null; set: the value;
                                           // set_block: the filters or null; call_block: the call; filter_block: the filters; with: the values
  std::vector<Target> targets;             // for: one (its copy for the test in `test_target`); set: one; with: several; macro: its own name
  Target test_target;
  std::vector<Block> blocks;            // the body; if: one a test, then else; for: body, else
  Scope scope, test_scope, else_scope;  // scope: of the body
  int loop_slot = -1;                   // for: where `loop` lives
  // macro and call_block
  std::vector<Target> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  int slots = 0;                        // variables of the function
  int caller_slot = -1, kwargs_slot = -1, varargs_slot = -1;
  bool has_functions = false;    // defines macros or call blocks of its own
  bool explicit_caller = false;  // "caller" is one of the parameters
};

struct Template {
  Block body;
  Scope scope;
  int slots = 0;
};

}  // namespace attune::jinja
