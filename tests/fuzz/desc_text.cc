// Desc text and case text of every op: `attune verify --desc`, `attune bench --desc`.
#include "harness.h"
#include "proof/cases.h"

namespace attune::fuzz {
namespace {

template <class Op>
void check_op(std::string_view input) {
  Case<Op> c;
  if (!accepted([&] { c = parse_case<Op>(input); })) return;
  const std::string text = to_text(c);
  Case<Op> again;
  promise(accepted([&] { again = parse_case<Op>(text); }), "the text of a case parses", text);
  promise(again == c, "parse(to_text(x)) == x", text);
  promise(to_text(again) == text, "text comes out the same twice", text);
}

}  // namespace

void check(std::string_view input) {
  for_each_op([&]<class Op>() { check_op<Op>(input); });
}

}  // namespace attune::fuzz
