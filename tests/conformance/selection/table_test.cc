// Every invented device × every way of steering × the corners of every field: the decisions as text, so that a change shows in review.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "ops/catalogue.h"
#include "select/select.h"

namespace attune {
namespace {

/// The desc's default with one field at each of the corners of its domain, of `any` and of every kernel's constraint.
template <class Op>
std::vector<typename Op::Desc> corners() {
  using Desc = typename Op::Desc;
  std::vector<Desc> out{Desc{}};
  std::set<std::string> seen{to_text(Desc{})};
  const auto add = [&](const Desc& d) {
    if (seen.insert(to_text(d)).second) out.push_back(d);
  };
  const auto with_field = [&](size_t index, auto&& values_of) {
    size_t i = 0;
    const Desc defaults{};
    Op::for_each_field(
        typename Op::Capability{}, defaults, defaults, [&](FieldName, const auto&, const auto& value, const auto&, const auto& domain) {
          if (i++ != index) return;
          using T = std::decay_t<decltype(value)>;
          for (const T& v : values_of(domain)) {
            Desc d;
            size_t j = 0;
            Op::for_each_field(typename Op::Capability{}, d, defaults, [&](FieldName, const auto&, auto& slot, const auto&, const auto&) {
              if (j++ == index)
                if constexpr (std::is_same_v<std::decay_t<decltype(slot)>, T>) slot = v;
            });
            add(d);
          }
        });
  };
  size_t fields = 0;
  const Desc defaults{};
  Op::for_each_field(typename Op::Capability{}, defaults, defaults, [&](FieldName, const auto&, const auto&, const auto&, const auto&) { ++fields; });
  for (size_t f = 0; f < fields; ++f) {
    with_field(f, [](const auto& domain) {
      using T = std::decay_t<decltype(domain.value(0))>;
      std::vector<T> values;
      if (domain.kind() == ConstraintKind::listed)
        for (int i = 0; i < domain.count(); ++i) values.push_back(domain.value(i));
      if constexpr (std::is_same_v<T, int64_t>)
        for (const int64_t v : {1, 2, 3, 7, 16, 20, 64, 80, 96, 128, 256, 512, 513, 1024})
          if (domain.admits(v, 0)) values.push_back(v);
      if constexpr (std::is_same_v<T, double>) values.push_back(50);
      return values;
    });
  }
  return out;
}

struct Steering {
  const char* name;
  Policy policy;
};

template <class Op>
std::vector<Steering> steerings() {
  const std::string op{Op::kName};
  std::vector<Steering> out{{"-", {}}};
  out.push_back({"disable *.avx512*", {.disabled = {"*.avx512*"}}});
  out.push_back({"disable cpu.*", {.disabled = {"cpu.*"}}});
  out.push_back({"prefer plain", {.overrides = {{op, "", "cpu." + op + ".plain", true}}}});
  out.push_back({"require avx2", {.overrides = {{op, "", "cpu." + op + ".avx2", false}}}});
  return out;
}

template <class Op>
std::string line(const DeviceProps& device, const Steering& steering, const typename Op::Desc& desc) {
  std::string out = fmt::format("{} | {} | {} | {} -> ", Op::kName, device.name, steering.name, to_text(desc));
  try {
    const Selection s = select<Op>(catalogue().kernels<Op>(), device, desc, "", {}, {}, steering.policy);
    out += s.chosen ? s.chosen->name : "none";
    for (const auto& r : s.rejected) {
      std::string fields;
      for (const auto& reason : r.reasons) fields += (fields.empty() ? "" : ",") + reason.field;
      if (fields != "device") out += fmt::format("; {} {}", r.kernel->name, fields);
    }
  } catch (const Error& e) {
    out += "error " + std::string(to_text(e.code()));
  }
  return out + "\n";
}

/// FNV-1a, to hold the whole product in a line where it is not listed.
uint64_t digest(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return h;
}

/// Every corner without steering, and with it on the widest CPU, a line each; the rest of the product as one digest a device and steering.
std::string table() {
  std::string out;
  for_each_op([&]<class Op>() {
    const auto descs = corners<Op>();
    for (const DeviceProps& device : invented_devices())
      for (const Steering& s : steerings<Op>()) {
        std::string lines;
        for (const auto& d : descs) lines += line<Op>(device, s, d);
        const bool listed = std::string_view(s.name) == "-" || device.name == "cpu-avx512-bf16";
        out +=
            listed ? lines : fmt::format("{} | {} | {} | {} descs -> digest {:016x}\n", Op::kName, device.name, s.name, descs.size(), digest(lines));
      }
  });
  return out;
}

TEST(SelectionTable, IsWhatIsStored) {
  const std::string stored_path = std::string(ATTUNE_SOURCE_DIR) + "/tests/conformance/selection/table.txt";
  const std::string actual_path = std::string(ATTUNE_BINARY_DIR) + "/selection_table.txt";
  const std::string actual = table();
  std::ofstream(actual_path) << actual;
  std::stringstream stored;
  stored << std::ifstream(stored_path).rdbuf();
  EXPECT_GT(std::count(actual.begin(), actual.end(), '\n'), 1000);
  EXPECT_TRUE(stored.str() == actual) << "decisions changed; compare, and if it is meant: cp " << actual_path << " " << stored_path;
}

}  // namespace
}  // namespace attune
