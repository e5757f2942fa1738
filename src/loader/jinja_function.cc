#include "loader/jinja_function.h"

#include <fmt/format.h>

#include <algorithm>

#include "loader/jinja_runtime.h"

namespace attune::jinja {
namespace {

struct Parameter {
  std::string_view name;
  bool optional;
};

std::vector<Parameter> parse_params(std::string_view params) {
  std::vector<Parameter> out;
  while (!params.empty()) {
    const size_t end = std::min(params.find(' '), params.size());
    const std::string_view word = params.substr(0, end);
    const bool optional = word.back() == '?';
    out.push_back({word.substr(0, word.size() - (optional ? 1 : 0)), optional});
    params.remove_prefix(std::min(end + 1, params.size()));
  }
  return out;
}

/// What reading a value costs, roughly.
uint64_t weight(const Value& v) {
  if (v.is_text()) return v.bytes().size() / 64;
  return static_cast<uint64_t>(length_of(v).value_or(0)) / 4;
}

}  // namespace

bool Call::flag(size_t i, bool fallback) const { return has(i) ? truth(values[i]) : fallback; }

int64_t Call::integer(size_t i, int64_t fallback) const {
  if (!has(i)) return fallback;
  if (!values[i].is_integral()) mistake("an integer argument", std::string(type_name(values[i])));
  return values[i].integer();
}

const std::string& Call::text(size_t i) const {
  if (!values[i].is_text()) mistake("a text argument", std::string(type_name(values[i])));
  return values[i].bytes();
}

Value run_builtin(Runtime& runtime, const Builtin& builtin, const Value& self, Arguments arguments) {
  uint64_t cost = 1 + weight(self);
  for (const Value& v : arguments.positional) cost += weight(v);
  runtime.budget.charge(cost);
  Call call{runtime, self, {}, {}, {}};
  if (builtin.params == "*") {
    call.rest = std::move(arguments);
    return builtin.run(call);
  }
  const bool positional_only = builtin.params.substr(0, 1) == "/";
  const auto parameters = parse_params(builtin.params.substr(positional_only ? std::min<size_t>(2, builtin.params.size()) : 0));
  if (arguments.positional.size() > parameters.size()) {
    mistake(fmt::format("at most {} arguments for {}", parameters.size(), builtin.name), fmt::format("{}", arguments.positional.size()));
  }
  call.values.resize(parameters.size());
  call.given.resize(parameters.size());
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    call.values[i] = std::move(arguments.positional[i]);
    call.given[i] = true;
  }
  for (auto& [name, value] : arguments.keywords) {
    const auto it = std::find_if(parameters.begin(), parameters.end(), [&n = name](const Parameter& p) { return p.name == n; });
    const auto i = static_cast<size_t>(it - parameters.begin());
    if (positional_only || it == parameters.end() || call.given[i]) {
      mistake(fmt::format("arguments that {} has, each once", builtin.name), name.substr(0, 80));
    }
    call.values[i] = std::move(value);
    call.given[i] = true;
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!call.given[i] && !parameters[i].optional) mistake(fmt::format("the argument {} of {}", parameters[i].name, builtin.name), "none");
  }
  return builtin.run(call);
}

}  // namespace attune::jinja
