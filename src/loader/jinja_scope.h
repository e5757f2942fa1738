#pragma once

#include "loader/jinja_ast.h"

namespace attune::jinja {

/// Gives every name of the template its variable, and every scope the initial values of its own. A name's scope is decided
/// from the text alone, as in Jinja: what a loop or a block assigns is its own, `if` opens no scope, and a name that is
/// assigned in a scope is looked up outside only where the text reads it first.
void resolve_names(Template& t);

}  // namespace attune::jinja
