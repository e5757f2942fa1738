// select() and its parts over an op of the test's own: they know no op and no vendor.
#include "select/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "select/desc_text.h"

namespace attune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

enum class Flavour : uint8_t { sweet, sour, bitter };
constexpr std::string_view to_text(Flavour f) {
  constexpr std::string_view kNames[] = {"sweet", "sour", "bitter"};
  return kNames[static_cast<int>(f)];
}

struct JamDesc {
  int64_t size = 64;
  Flavour flavour = Flavour::sweet;
  double heat = 0;
  bool lid = false;
  bool operator==(const JamDesc&) const = default;
};
struct JamParams {};
struct JamCapability {
  Constraint<int64_t> size;
  Constraint<Flavour> flavour;
  Constraint<double> heat;
  Constraint<bool> lid;
};
struct Jam {
  static constexpr std::string_view kName = "jam";
  using Desc = JamDesc;
  using Params = JamParams;
  using Capability = JamCapability;
  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"size", "size", true}, c.size, d.size, def.size, Constraint<int64_t>(range{1, 512}));
    f(FieldName{"flavour", "taste"}, c.flavour, d.flavour, def.flavour,
      Constraint<Flavour>(one_of({Flavour::sweet, Flavour::sour, Flavour::bitter})));
    f(FieldName{"heat", "heat"}, c.heat, d.heat, def.heat, Constraint<double>(range{0, 100}));
    f(FieldName{"lid", "lid"}, c.lid, d.lid, def.lid, Constraint<bool>(one_of({false, true})));
  }
};
std::string to_text(const JamDesc& d) { return fields_text<Jam>(d); }

void boil(const ExecContext&, const JamDesc&, const JamParams&) {}

constexpr Rule<JamDesc> kRules[] = {{"bitter jam needs a lid", [](const JamDesc& d) { return d.flavour != Flavour::bitter || d.lid; }}};

constexpr Kernel<Jam> kPage[] = {
    {.info = {.name = "cpu.jam.quick", .tier = Tier::specialized, .reduction = "a", .device = {.features = kAvx2}},
     .can = {.size = one_of({64, 128}), .flavour = one_of({Flavour::sweet, Flavour::bitter}), .lid = flag},
     .rules = kRules,
     .launch = boil},
    {.info = {.name = "cpu.jam.wide", .tier = Tier::portable, .reduction = "b"},
     .can = {.size = multiple_of{16}, .flavour = any, .heat = any, .lid = flag},
     .launch = boil},
    {.info =
         {.name = "gpu.jam.split", .tier = Tier::specialized, .reduction = "c", .device = {.kind = DeviceKind::cuda, .arch = one_of({Arch::sm90a})}},
     .can = {.size = range{32, 256}},
     .launch = nullptr},
    {.info = {.name = "ref.jam", .tier = Tier::reference, .reduction = "f64"},
     .can = {.size = any, .flavour = any, .heat = any, .lid = flag},
     .launch = boil},
};

std::vector<const Kernel<Jam>*> page() {
  std::vector<const Kernel<Jam>*> out;
  for (const auto& k : kPage) out.push_back(&k);
  return out;
}

DeviceProps avx2() {
  DeviceProps d = find_device("cpu-avx2");
  d.present = true;
  return d;
}

Selection choose(const JamDesc& desc, const DeviceProps& device = avx2(), const std::vector<Measurement>& measured = {}, const Policy& policy = {}) {
  return select<Jam>(page(), device, desc, "breakfast", {}, measured, policy);
}

std::vector<std::string> names(const Selection& s) {
  std::vector<std::string> out;
  for (const auto& e : s.eligible) out.emplace_back(e.kernel->name);
  return out;
}

TEST(Constraint, AdmitsOnlyTheDefaultWhenLeftOut) {
  const Constraint<int64_t> left_out;
  EXPECT_TRUE(left_out.admits(7, 7));
  EXPECT_FALSE(left_out.admits(8, 7));
  EXPECT_EQ(left_out.text(7), "only 7");
}

TEST(Constraint, InsideIsAdmittedAndOutsideIsNot) {
  Rng rng(3);
  const Constraint<int64_t> domain(range{1, 512});
  for (const Constraint<int64_t>& c :
       {Constraint<int64_t>(one_of({64, 128})), Constraint<int64_t>(range{5, 9}), Constraint<int64_t>(multiple_of{16}), Constraint<int64_t>()}) {
    for (int i = 0; i < 200; ++i) {
      EXPECT_TRUE(c.admits(c.inside(rng, domain, 16), 16)) << c.text(16);
      int64_t refused = 0;
      ASSERT_TRUE(c.outside(rng, domain, 16, refused)) << c.text(16);
      EXPECT_FALSE(c.admits(refused, 16)) << c.text(16);
    }
  }
  int64_t unused = 0;
  EXPECT_FALSE(Constraint<int64_t>(any).outside(rng, domain, 16, unused));
}

TEST(Check, ListsEveryReasonWithTheNearestValue) {
  const auto reasons = check(kPage[0], find_device("cpu-plain"), JamDesc{.size = 100, .flavour = Flavour::sour, .heat = 3});
  ASSERT_EQ(reasons.size(), 4u);
  EXPECT_EQ(to_text(reasons[0]), "features: needs avx2; got none");
  EXPECT_EQ(to_text(reasons[1]), "size: needs one of {64, 128}; got 100");
  EXPECT_EQ(reasons[1].hint, "size=128");
  EXPECT_EQ(to_text(reasons[2]), "flavour: needs one of {sweet, bitter}; got sour");
  EXPECT_EQ(to_text(reasons[3]), "heat: needs only 0; got 3");
}

TEST(Check, NamesARuleAndAnAbsentBackend) {
  EXPECT_EQ(to_text(check(kPage[0], avx2(), JamDesc{.flavour = Flavour::bitter})), "bitter jam needs a lid");
  EXPECT_EQ(to_text(check(kPage[2], avx2(), JamDesc{})), "built without gpu · device: needs cuda; got cpu");
  EXPECT_TRUE(check(kPage[2], find_device("h200"), JamDesc{}).empty()) << "a device that is not present is judged as if built";
  EXPECT_EQ(to_text(check(kPage[2], find_device("sm80"), JamDesc{})), "arch: needs one of {sm90a}; got sm80");
}

TEST(Select, TakesTheFirstOfTheBestTier) {
  const auto s = choose({});
  EXPECT_EQ(s.chosen->name, "cpu.jam.quick");
  EXPECT_THAT(names(s), ElementsAre("cpu.jam.quick", "cpu.jam.wide", "ref.jam"));
  EXPECT_EQ(choose({.size = 96}).chosen->name, "cpu.jam.wide");
  EXPECT_EQ(choose({.size = 97}).chosen->name, "ref.jam");
}

TEST(Select, MeasurementReplacesTheDefaultOnlyFromThreePercent) {
  const auto with = [](double quick, double wide) { return choose({}, avx2(), {{"cpu.jam.quick", quick}, {"cpu.jam.wide", wide}, {"ref.jam", 1}}); };
  EXPECT_EQ(with(100, 96).chosen->name, "cpu.jam.wide");
  EXPECT_EQ(with(100, 98).chosen->name, "cpu.jam.quick");
  EXPECT_EQ(choose({}, avx2(), {{"cpu.jam.wide", 1}}).chosen->name, "cpu.jam.quick") << "the default is not measured";
}

TEST(Select, RequireIsObeyedOrRefusedWithReasons) {
  const Policy wide{.overrides = {{"jam", "", "cpu.jam.wide", false}}};
  EXPECT_EQ(choose({}, avx2(), {}, wide).chosen->name, "cpu.jam.wide");
  try {
    choose({.size = 97}, avx2(), {}, wide);
    FAIL() << "an ineligible kernel was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::not_supported);
    EXPECT_THAT(e.message(), HasSubstr("size: needs a multiple of 16; got 97"));
  }
}

TEST(Select, PreferFallsBackAndSaysWhy) {
  const auto s = choose({.size = 97}, avx2(), {}, {.overrides = {{"jam", "", "cpu.jam.wide", true}}});
  EXPECT_EQ(s.chosen->name, "ref.jam");
  EXPECT_THAT(s.override_text, HasSubstr("not followed: size: needs a multiple of 16; got 97"));
}

TEST(Select, ARoleBindsItsOverride) {
  const Policy p{.overrides = {{"jam", "dinner", "cpu.jam.wide", false}}};
  EXPECT_EQ(choose({}, avx2(), {}, p).chosen->name, "cpu.jam.quick");
  const Policy both{.overrides = {{"jam", "breakfast", "cpu.jam.wide", false}, {"jam", "", "ref.jam", false}}};
  EXPECT_EQ(choose({}, avx2(), {}, both).chosen->name, "cpu.jam.wide") << "the one with a role is nearer";
}

TEST(Select, PolicyAndProbeRefuse) {
  EXPECT_EQ(choose({}, avx2(), {}, {.disabled = {"cpu.*.qu?ck"}}).chosen->name, "cpu.jam.wide");
  const auto s = choose({}, avx2(), {}, {.failed_probe = {{"cpu.jam.quick", "error 3 of 1"}}});
  EXPECT_EQ(s.chosen->name, "cpu.jam.wide");
  EXPECT_EQ(to_text(s.rejected[0].reasons), "failed its probe: error 3 of 1");
  const auto shared = choose({}, avx2(), {}, {.disabled = {"cpu.jam.q*"}, .reduction = "b"});
  EXPECT_EQ(shared.chosen->name, "cpu.jam.wide");
  const std::vector<Reason>& refused = shared.rejected[0].reasons;
  EXPECT_EQ(to_text(refused), "disabled by --disable-kernel cpu.jam.q* · all phases share the order of arithmetic b; this kernel's is a");
  EXPECT_EQ(refused.at(1).asked, "b");
  EXPECT_EQ(refused.at(1).allowed, "a");
}

TEST(Select, LogLineHoldsOpRoleChosenAndEveryOtherWithReasons) {
  EXPECT_EQ(log_text(choose({.size = 96})),
            "jam.breakfast [size=96]: cpu.jam.wide (first eligible kernel of the best tier (portable), in catalogue order); passed over: "
            "ref.jam (eligible, unmeasured); cpu.jam.quick (size: needs one of {64, 128}; got 96); "
            "gpu.jam.split (built without gpu · device: needs cuda; got cpu)");
}

TEST(DescText, ReadsWhatItWrites) {
  const JamDesc d{.size = 33, .flavour = Flavour::bitter, .heat = 2.5, .lid = true};
  EXPECT_EQ(to_text(d), "size=33 taste=bitter heat=2.5 lid=yes");
  EXPECT_EQ(parse_desc<Jam>(to_text(d)), d);
  EXPECT_EQ(to_text(JamDesc{}), "size=64");
}

/// Jam whose desc text has one key more, and whose fields constrain each other.
struct Preserve : Jam {
  static constexpr std::string_view kMoreKeys = "jars";
  static bool parse_word(std::string_view key, std::string_view value, JamDesc& d) {
    if (key != kMoreKeys) return false;
    int64_t jars = 0;
    parse_value(key, value, jars);
    d.size = 32 * jars, d.lid = true;
    return true;
  }
  static void validate(const JamDesc& d) {
    validate_fields<Preserve>(d);
    if (d.lid && d.heat > 50) bad_value("heat", "at most 50 under a lid", value_text(d.heat));
  }
};

/// Why a desc text is refused.
template <class Op>
std::string message_of(const char* text) {
  try {
    parse_desc<Op>(text);
  } catch (const Error& e) {
    return e.message();
  }
  return "accepted";
}

TEST(DescText, AnOpMayHaveKeysThatAreNoFields) {
  EXPECT_EQ(parse_desc<Preserve>("jars=3 taste=sour"), (JamDesc{.size = 96, .flavour = Flavour::sour, .lid = true}));
  EXPECT_EQ(parse_desc<Preserve>("size=7"), JamDesc{.size = 7});
  const auto message = message_of<Preserve>;
  EXPECT_EQ(message("colour=red"), "desc: expected one of the keys jars, size, taste, heat, lid; got colour");
  EXPECT_EQ(message("jars=17"), "size: expected 1..512; got 544");
  EXPECT_EQ(message("jars=1 heat=60"), "heat: expected at most 50 under a lid; got 60");
}

TEST(DescText, RefusesWithTheKey) {
  const auto message = message_of<Jam>;
  EXPECT_EQ(message("taste=salty"), "taste: expected one of {sweet, sour, bitter}; got salty");
  EXPECT_EQ(message("size=0"), "size: expected 1..512; got 0");
  EXPECT_EQ(message("heat=nan"), "heat: expected a finite number; got nan");
  EXPECT_EQ(message("colour=red"), "desc: expected one of the keys size, taste, heat, lid; got colour");
  EXPECT_EQ(message("size"), "desc: expected words of the form key=value; got size");
  EXPECT_EQ(message("size=1 size=2"), "desc: expected each key once; got size twice");
  EXPECT_EQ(message("lid=true"), "lid: expected yes or no; got true");
}

TEST(Glob, Matches) {
  EXPECT_TRUE(glob_matches("cpu.*", "cpu.jam.wide"));
  EXPECT_TRUE(glob_matches("*wide", "cpu.jam.wide"));
  EXPECT_FALSE(glob_matches("*wide?", "cpu.jam.wide"));
  EXPECT_FALSE(glob_matches("", "x"));
}

}  // namespace
}  // namespace attune
