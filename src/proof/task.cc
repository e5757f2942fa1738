#include "proof/task.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "proof/order.h"
#include "proof/planted.h"
#include "proof/probe.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

template <class Op>
const Kernel<Op>& named(std::string_view name, DeviceKind kind) {
  for (const Kernel<Op>* k : catalogue().template kernels<Op>())
    if (k->info.name == name && k->info.device.kind == kind) return *k;
  const std::string_view plant = name.substr(name.rfind('.') + 1);
  const Kernel<Op>* k = name.starts_with("planted.") ? find_planted<Op>(plant) : nullptr;
  if (k && k->info.name == name && k->info.device.kind == kind) return *k;
  invalid("kernel", fmt::format("a kernel of {} for {}", Op::kName, to_text(kind)), printable(name));
}

template <class Op>
void run(const Task& task, const Kernel<Op>& kernel, const LaunchSite& site, TaskResult& out) {
  const auto c = parse_case<Op>(task.problem);
  RunOptions options{.style = {.guard = task.guard}, .samples = task.samples, .tolerance = task.tolerance, .pool = site.pool, .device = site.device};
  out.result = run_case(kernel, c, options);
  if (!out.result.passed || !task.order) return;
  out.ordered = true;
  out.result.text = check_order(kernel, c, site);
  out.result.passed = out.result.text.empty();
}

template <class Op>
void compare_bits(const Task& task, const Kernel<Op>& kernel, const LaunchSite& site, TaskResult& out) {
  const auto c = parse_case<Op>(task.problem);
  const Kernel<Op>& other = named<Op>(task.other, kernel.info.device.kind);
  ThreadPool one(1);
  out.result.passed = output_bits(kernel, c, site) == output_bits(other, c, LaunchSite(one, site.device));
  if (!out.result.passed)
    out.result.text = fmt::format("{} and {} share the tag {} but not their bits", kernel.info.name, other.info.name, kernel.info.reduction);
}

template <class Op>
void perform_on(const Task& task, const LaunchSite& site, TaskResult& out) {
  const Kernel<Op>& kernel = named<Op>(task.kernel, site.device ? site.device->device().props().kind : DeviceKind::cpu);
  if (task.kind == Task::Kind::run) run(task, kernel, site, out);
  if (task.kind == Task::Kind::tag) compare_bits(task, kernel, site, out);
  if (task.kind == Task::Kind::probe) {
    const ProbeResult probed = probe<Op>(kernel, parse_case<Op>(task.problem).desc, site.device);
    out.result.passed = probed.passed, out.result.text = probed.text, out.result.device_lost = probed.device_lost;
    out.result.inconclusive = probed.inconclusive;
  }
  if constexpr (std::is_same_v<Op, Sample>)
    if (task.kind == Task::Kind::laws) {
      out.laws = check_laws(kernel, 100'000, task.seed, site);
      out.result.passed = std::all_of(out.laws.begin(), out.laws.end(), [](const LawResult& law) { return law.text.empty(); });
    }
}

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(std::isnan(x) ? "nan" : x > 0 ? "inf" : "-inf"); }

double real(const Json& j) {
  if (!j.is_string()) return j.get<double>();
  return j == "nan" ? NAN : j == "inf" ? INFINITY : -INFINITY;
}

std::string line_of(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace); }

template <class F>
auto parse(const char* what, std::string_view line, F&& f) {
  try {
    return f(Json::parse(line));
  } catch (const nlohmann::json::exception& e) {
    invalid(what, "a line that the program itself wrote", e.what());
  }
}

}  // namespace

TaskResult perform(const Task& task, const LaunchSite& site) {
  const auto start = std::chrono::steady_clock::now();
  TaskResult out;
  note_running_case(task.repro);
  try {
    bool known = false;
    for_each_op([&]<class Op>() {
      if (task.op != Op::kName) return;
      known = true;
      perform_on<Op>(task, site, out);
    });
    if (!known) invalid("op", "the name of an op", printable(task.op));
  } catch (const Error& e) {
    out.result.passed = false, out.result.text = e.what(), out.result.device_lost = e.code() == ErrorCode::device_error;
    out.result.inconclusive = e.code() == ErrorCode::out_of_memory;
  } catch (const std::exception& e) {
    out.result.passed = false, out.result.text = e.what();
  }
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

std::string to_line(const Task& t) {
  return line_of(Json{{"kind", static_cast<int>(t.kind)},
                      {"op", t.op},
                      {"kernel", t.kernel},
                      {"other", t.other},
                      {"problem", t.problem},
                      {"guard", static_cast<int>(t.guard)},
                      {"order", t.order},
                      {"samples", t.samples},
                      {"atol", t.tolerance.atol},
                      {"rtol", t.tolerance.rtol},
                      {"seed", t.seed},
                      {"repro", t.repro}});
}

Task parse_task(std::string_view line) {
  return parse("task", line, [](const Json& j) {
    Task t;
    t.kind = static_cast<Task::Kind>(j.at("kind").get<int>()), t.guard = static_cast<Guard>(j.at("guard").get<int>());
    j.at("op").get_to(t.op), j.at("kernel").get_to(t.kernel), j.at("other").get_to(t.other), j.at("problem").get_to(t.problem);
    j.at("order").get_to(t.order), j.at("samples").get_to(t.samples), j.at("seed").get_to(t.seed), j.at("repro").get_to(t.repro);
    j.at("atol").get_to(t.tolerance.atol), j.at("rtol").get_to(t.tolerance.rtol);
    return t;
  });
}

std::string to_line(const TaskResult& r) {
  const CaseResult& c = r.result;
  Json j{{"passed", c.passed},
         {"text", c.text},
         {"where", c.where},
         {"outputs", c.outputs},
         {"replays", c.replays},
         {"max_error", number(c.max_error)},
         {"max_error_over_bound", number(c.max_error_over_bound)},
         {"nmse", number(c.nmse)},
         {"typical_ratio", number(c.typical_ratio)},
         {"levers", Json::array()},
         {"few_outputs", c.few.outputs},
         {"few_ratios", number(c.few.ratios)},
         {"max_of_tolerance", number(c.max_of_tolerance)},
         {"device_lost", c.device_lost},
         {"inconclusive", c.inconclusive},
         {"ordered", r.ordered},
         {"seconds", r.seconds},
         {"laws", Json::array()}};
  for (const auto& [of, l] : c.levers.all())
    j["levers"].push_back({static_cast<int>(of.first), of.second, number(l.error), number(l.size), number(l.variance), number(l.common)});
  for (const LawResult& law : r.laws) j["laws"].push_back({{"law", law.law}, {"draws", law.draws}, {"text", law.text}});
  return line_of(j);
}

TaskResult parse_task_result(std::string_view line) {
  return parse("task result", line, [](const Json& j) {
    TaskResult r;
    CaseResult& c = r.result;
    j.at("passed").get_to(c.passed), j.at("text").get_to(c.text), j.at("where").get_to(c.where), j.at("outputs").get_to(c.outputs);
    j.at("replays").get_to(c.replays), j.at("device_lost").get_to(c.device_lost), j.at("inconclusive").get_to(c.inconclusive),
        j.at("ordered").get_to(r.ordered), j.at("seconds").get_to(r.seconds);
    c.max_error = real(j.at("max_error")), c.max_error_over_bound = real(j.at("max_error_over_bound")), c.nmse = real(j.at("nmse"));
    for (const Json& l : j.at("levers"))
      c.levers.add({static_cast<OutputKind>(l.at(0).get<int>()), l.at(1).get<int64_t>()},
                   {real(l.at(2)), real(l.at(3)), real(l.at(4)), real(l.at(5))});
    c.few = {j.at("few_outputs").get<int64_t>(), real(j.at("few_ratios"))};
    c.typical_ratio = real(j.at("typical_ratio")), c.max_of_tolerance = real(j.at("max_of_tolerance"));
    for (const Json& law : j.at("laws"))
      r.laws.push_back({.law = law.at("law").get<std::string>(), .draws = law.at("draws").get<int64_t>(), .text = law.at("text").get<std::string>()});
    return r;
  });
}

}  // namespace attune
