// What `attune kernels` and `attune explain` say: the catalogue and its decisions as text, JSON and Markdown.
#include "engine/explain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attune/kernels.h"
#include "engine/load.h"
#include "loader/hf_cache.h"
#include "loader/shapes_only.h"
#include "select/desc_text.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

Json reason_json(const Reason& r) {
  Json j{{"code", to_text(r.code)}, {"field", r.field}, {"asked", r.asked}, {"allowed", r.allowed}};
  if (!r.hint.empty()) j["hint"] = r.hint;
  j["text"] = to_text(r);
  return j;
}

Json verified_json(const KernelInfo& kernel, const VerifyRecord& record, const std::string& model) {
  const auto it = record.find(std::string(kernel.name));
  if (it == record.end()) return nullptr;
  const VerifiedKernel& v = it->second;
  return {{"time", v.time},
          {"held", v.held},
          {"cases", v.cases},
          {"version", v.version},
          {"machine", v.machine},
          {"commit", v.commit},
          {"max_error_over_bound", v.max_error_over_bound},
          {"worst", v.where},
          {"text", to_text(v, kernel.version, model)}};
}

/// AMD's marks differ by architecture.
std::string mark_on(const Selection& s, const KernelInfo& kernel) {
  return kernel.device.kind == DeviceKind::hip ? mark_text(kernel, find_device(s.device).arch) : mark_text(kernel);
}

Json selection_json(const Selection& s, const VerifyRecord* record) {
  Json j{{"op", s.op},
         {"role", s.role},
         {"desc", s.desc},
         {"bucket", to_text(s.bucket)},
         {"device", s.device},
         {"as_if_built", s.as_if_built},
         {"chosen", s.chosen ? Json(s.chosen->name) : Json(nullptr)},
         {"eligible", Json::array()},
         {"rejected", Json::array()}};
  for (const auto& e : s.eligible) {
    Json k{{"kernel", e.kernel->name}, {"tier", to_text(e.kernel->tier)}, {"reduction", e.kernel->reduction}, {"mark", mark_on(s, *e.kernel)}};
    if (e.median_us) k["median_us"] = *e.median_us;
    if (record && !s.as_if_built) k["verified"] = verified_json(*e.kernel, *record, find_device(s.device).model);
    j["eligible"].push_back(std::move(k));
  }
  for (const auto& r : s.rejected) {
    Json k{{"kernel", r.kernel->name}, {"reasons", Json::array()}};
    for (const auto& reason : r.reasons) k["reasons"].push_back(reason_json(reason));
    j["rejected"].push_back(std::move(k));
  }
  j["rule"] = s.rule;
  j["override"] = s.override_text.empty() ? Json(nullptr) : Json(s.override_text);
  return j;
}

/// field -> what the kernel admits, in list order.
template <class Op>
std::vector<std::pair<std::string, std::string>> capability_rows(const Kernel<Op>& k) {
  std::vector<std::pair<std::string, std::string>> rows;
  const typename Op::Desc defaults{};
  Op::for_each_field(k.can, defaults, defaults, [&](FieldName name, const auto& constraint, const auto&, const auto& fallback, const auto&) {
    rows.emplace_back(std::string(name.field), constraint.text(fallback));
  });
  return rows;
}

std::string device_need_text(const KernelInfo& k) {
  std::string out{to_text(k.device.kind)};
  if (k.device.arch.kind() != ConstraintKind::unlimited) out += ", arch " + k.device.arch.text(Arch::generic);
  if (k.device.features) out += ", " + features_text(k.device.features);
  if (!k.device.library.name.empty()) out += fmt::format(", {} >= {}", k.device.library.name, k.device.library.min_version);
  return out;
}

void check_op(const std::string& op) {
  std::string known;
  bool found = op.empty();
  for_each_op([&]<class Op>() {
    known += (known.empty() ? "" : ", ") + std::string(Op::kName);
    found |= Op::kName == op;
  });
  if (!found) invalid("op", "one of " + known, printable(op));
}

template <class F>
void for_each_asked(const std::string& op, F&& f) {
  check_op(op);
  for_each_op([&]<class Op>() {
    if (op.empty() || Op::kName == op) f.template operator()<Op>();
  });
}

template <class Op>
Json kernel_json(const Kernel<Op>& k) {
  Json j{{"kernel", k.info.name},         {"op", Op::kName},
         {"tier", to_text(k.info.tier)},  {"version", k.info.version},
         {"reduction", k.info.reduction}, {"device", device_need_text(k.info)},
         {"built", k.launch != nullptr},  {"graph", to_text(k.info.graph)},
         {"mark", mark_text(k.info)}};
  for (const auto& [field, text] : capability_rows(k)) j["can"][field] = text;
  j["rules"] = Json::array();
  for (const auto& rule : k.rules) j["rules"].push_back(rule.text);
  return j;
}

template <class Op>
std::string op_markdown() {
  std::string out = fmt::format("## {}\n\nDesc text, at its defaults: `{}`\n\n", Op::kName, to_text(typename Op::Desc{}));
  std::string head = "| kernel | tier | device | built | mark | reduction |", line = "|---|---|---|---|---|---|";
  const auto kernels = catalogue().kernels<Op>();
  for (const auto& [field, text] : capability_rows(*kernels.front())) head += " " + field + " |", line += "---|";
  out += head + " rules |\n" + line + "---|\n";
  for (const auto* k : kernels) {
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |", k->info.name, to_text(k->info.tier), device_need_text(k->info),
                       k->info.backend() == "cpu" || k->info.backend() == "ref"
                           ? "always"
                           : fmt::format("make {}", k->info.backend() == "gpu" ? "cuda / rocm" : k->info.backend()),
                       mark_text(k->info), k->info.reduction);
    for (const auto& [field, text] : capability_rows(*k)) out += " " + text + " |";
    std::string rules;
    for (const auto& rule : k->rules) rules += (rules.empty() ? "" : "; ") + std::string(rule.text);
    out += " " + rules + " |\n";
  }
  return out + "\n";
}

Bucket bucket_of(const ExplainQuery& q) {
  Bucket b;
  while (b.sequences < q.batch) b.sequences *= 2;
  b.longest_kv = 1;
  while (b.longest_kv < q.context) b.longest_kv *= 2;
  b.rows = q.batch;
  return b;
}

Phase parse_phase(const std::string& text) {
  Phase p{};
  parse_enum("--phase", text, kPhases, p);
  return p;
}

/// The same rules as at a load, without a probe: on the CPU, or if asked, one order of arithmetic for all variants of a use.
KernelBinder::Options binder_of(const ExplainQuery& q, const DeviceProps& device) {
  check_plant(q.plant);
  return {.device = device,
          .runtime = open_device(find_device("cpu")),
          .policy = make_policy(q.kernels, q.disable_kernels),
          .limits = {},
          .invariant = q.invariant || device.kind == DeviceKind::cpu,
          .probe = false,
          .required = false,
          .plant = q.plant,
          .measurements = measurements_of(q.tuning_table, device, q.threads > 0 ? q.threads : available_cores())};
}

/// What a model that asks for `desc` asks for beside it: every phase, every bucket of rows. `desc` itself comes last.
template <class Op>
std::vector<Ask<Op>> asks_beside(const typename Op::Desc& desc, const Bucket& bucket) {
  std::vector<Ask<Op>> asks;
  typename Op::Desc d = desc;
  if constexpr (std::is_same_v<Op, Attention>) {
    for (const Phase phase : {Phase::decode, Phase::verify, Phase::prefill})
      if (desc.mask != Mask::tree) d.phase = phase, asks.push_back({std::string(to_text(phase)), d, bucket});  // trees stand outside the order
  } else if constexpr (std::is_same_v<Op, Matmul>) {
    for (const int64_t rows : {1, 64, 512}) d.rows = rows, asks.push_back({fmt::format("rows<={}", rows), d, {1, 1, rows}});
  }
  asks.push_back({"asked", desc, bucket});
  return asks;
}

template <class Op>
Selection select_desc(const ExplainQuery& q, const DeviceProps& device) {
  typename Op::Desc desc = parse_desc<Op>(q.desc);
  if constexpr (std::is_same_v<Op, Attention>)
    if (q.desc.find("phase=") == std::string::npos) desc.phase = parse_phase(q.phase);
  return KernelBinder(binder_of(q, device)).select_all<Op>(q.role, asks_beside<Op>(desc, bucket_of(q))).back();
}

/// What is known of a model's KV pages: size, who set it, and what window layers hold without need.
std::string kv_text(const KvPlan& plan, const std::vector<KvLayer>& layers, int64_t context) {
  int64_t windowed = 0, wasted = 0;
  for (const KvLayer& l : layers) {
    if (l.window == 0) continue;
    ++windowed;
    const int64_t needed = std::min(context, l.window + plan.block_size);
    wasted += (context - needed) * KvCache::bytes_per_token({l}, plan.dtype, plan.scales);
  }
  const std::string scales = plan.scales == Scales::none ? "" : " (" + scales_text(plan.scales) + ")";
  std::string out = fmt::format("kv  {}{} in pages of {} tokens ({}), layout hnd, {} bytes a token\n", to_text(plan.dtype), scales, plan.block_size,
                                plan.set_by, KvCache::bytes_per_token(layers, plan.dtype, plan.scales));
  if (windowed > 0)
    out += fmt::format(
        "    {} of {} layers have a window and keep all their pages: at {} tokens of context {} bytes a sequence are held that no row reads\n",
        windowed, layers.size(), context, wasted);
  return out + "\n";
}

struct ModelDecisions {
  std::vector<Selection> selections;
  std::string kv;
};

/// The decisions of a model, from its config, and from the scales of its checkpoint for 8-bit keys and values: the same code as a load, over
/// weights that nobody reads.
ModelDecisions select_model(const ExplainQuery& q, const DeviceProps& device) {
  const auto folder = resolve_model(q.model, q.hf_cache);
  const ModelConfig config = ModelConfig::load(folder, supported_architectures());
  KernelBinder binder(binder_of(q, device));
  LoadOptions l;
  l.compute = compute_dtype(q.dtype, config.dtype);
  l.kv_dtype = kv_dtype(q.kv_cache_dtype, l.compute);
  std::optional<Weights> stored;
  if (is_f8(l.kv_dtype) && Weights::in(folder)) stored = Weights::open(folder);
  const Weights weights(std::make_unique<ShapesOnly>(config.dtype.value_or(DType::f32), std::move(stored)));
  l.block_size = q.block_size;
  l.copy_weights = false, l.max_tokens = device.kind == DeviceKind::cpu ? 512 : 2048;
  ModelBuilder builder(config, weights, binder, l);
  make_model(builder);
  binder.bind<Sample>("greedy", {{"rows", SampleDesc{.vocab = config.vocab_size, .greedy_only = true}, {}}});
  binder.bind<Sample>("full", {{"rows", SampleDesc{.vocab = config.vocab_size, .greedy_only = false}, {}}});
  return {binder.selections(), kv_text(builder.kv_plan(), builder.kv_layers(), q.context)};
}

bool wanted(const Selection& s, const ExplainQuery& q) {
  if (!q.op.empty() && s.op != q.op) return false;
  if (!q.role.empty() && s.role != q.role) return false;
  if (s.op != "attention") return s.op != "matmul" || q.op.empty() || s.bucket.rows >= q.batch;
  const bool names_phase = s.desc.find(" phase=") != std::string::npos;
  return q.phase == "decode" ? !names_phase : s.desc.find(" phase=" + q.phase) != std::string::npos;
}

ModelDecisions decide_all(const ExplainQuery& q) {
  check_op(q.op);
  parse_phase(q.phase);
  const DeviceProps device = find_device(q.device);
  ModelDecisions out;
  if (!q.model.empty() && q.desc.empty()) {
    out = select_model(q, device);
    std::erase_if(out.selections, [&](const Selection& s) { return !wanted(s, q); });
    return out;
  }
  for_each_asked(q.op, [&]<class Op>() { out.selections.push_back(select_desc<Op>(q, device)); });
  return out;
}

}  // namespace

std::vector<Selection> model_selections(const ExplainQuery& q) { return select_model(q, find_device(q.device)).selections; }

std::string selection_to_json(const Selection& s, const VerifyRecord* record) { return selection_json(s, record).dump(); }

std::string selections_to_json(const std::vector<Selection>& all, const VerifyRecord* record) {
  Json j = Json::array();
  for (const auto& s : all) j.push_back(selection_json(s, record));
  return j.dump();
}

std::string selection_to_text(const Selection& s, const VerifyRecord* record) {
  std::string out = fmt::format("{}{}{}  {}\n", s.op, s.role.empty() ? "" : ".", s.role, s.desc);
  out += fmt::format("  device    {}{}\n", s.device,
                     s.as_if_built ? " (not this machine: kernels are judged as if built; only a run can tell their speed)" : "");
  out += fmt::format("  chosen    {}\n  rule      {}\n", s.chosen ? s.chosen->name : "none", s.rule);
  if (!s.override_text.empty()) out += fmt::format("  override  {}\n", s.override_text);
  for (const auto& e : s.eligible) {
    out += fmt::format("  eligible  {:<32} {:<12} {:<9} {}\n", e.kernel->name, to_text(e.kernel->tier), mark_on(s, *e.kernel),
                       e.median_us ? fmt::format("{:.1f} us", *e.median_us) : "unmeasured");
    if (!record || s.as_if_built) continue;
    const auto it = record->find(std::string(e.kernel->name));
    out += fmt::format(
        "            {:<32}   verified: {}\n", "",
        it == record->end() ? "never on this machine (attune verify)" : to_text(it->second, e.kernel->version, find_device(s.device).model));
  }
  for (const auto& r : s.rejected) {
    out += fmt::format("  rejected  {:<32} {}\n", r.kernel->name, to_text(r.reasons));
    for (const auto& reason : r.reasons)
      if (!reason.hint.empty()) out += fmt::format("            {:<32}   would work: {}\n", "", reason.hint);
  }
  return out + fmt::format("  to force  --kernel {}{}{}=NAME, or =prefer:NAME\n", s.op, s.role.empty() ? "" : ".", s.role);
}

std::string chosen_line(const std::vector<Selection>& all) {
  std::string out;
  for (const std::string op : {"attention", "matmul"}) {
    std::vector<std::string_view> names;
    for (const auto& s : all)
      if (s.op == op && s.chosen && std::find(names.begin(), names.end(), s.chosen->name) == names.end()) names.push_back(s.chosen->name);
    out += (out.empty() ? "" : " · ") + op;
    for (const auto& n : names) out += " " + std::string(n);
  }
  return out;
}

std::string kernels_json(const std::string& op) {
  Json j = Json::array();
  for_each_asked(op, [&]<class Op>() {
    for (const auto* k : catalogue().kernels<Op>()) j.push_back(kernel_json(*k));
  });
  return j.dump();
}

std::string kernels_markdown(const std::string& op) {
  std::string out;
  for_each_asked(op, [&]<class Op>() { out += op_markdown<Op>(); });
  return out;
}

std::string kernels_text(const std::string& op) {
  std::string out;
  for_each_asked(op, [&]<class Op>() {
    out += std::string(Op::kName) + "\n";
    for (const auto* k : catalogue().kernels<Op>()) {
      out += fmt::format("  {:<34} {:<12} {:<9} {}\n", k->info.name, to_text(k->info.tier), k->launch ? "built" : "not built",
                         device_need_text(k->info));
      std::string fields;
      for (const auto& [field, text] : capability_rows(*k))
        if (text != "any") fields += (fields.empty() ? "" : " · ") + field + ": " + text;
      if (!fields.empty()) out += "      " + fields + "\n";
    }
  });
  return out;
}

std::string explain_json(const ExplainQuery& q) {
  const auto all = decide_all(q).selections;
  if (!q.op.empty() && all.empty()) invalid("--role", "a role of " + q.op + " in this model", printable(q.role));
  const VerifyRecord record = read_record(q.verify_record);
  if (q.op.empty()) return selections_to_json(all, &record);
  Json first = selection_json(all.front(), &record);
  for (size_t i = 1; i < all.size(); ++i) first["others"].push_back(selection_json(all[i], &record));
  return first.dump();
}

std::string explain_text(const ExplainQuery& q) {
  const ModelDecisions all = decide_all(q);
  if (all.selections.empty()) invalid("--role", "a role of " + q.op + " in this model", printable(q.role));
  std::string out = q.op.empty() || q.op == "attention" ? all.kv : "";
  std::string complaint;
  const VerifyRecord record = read_record(q.verify_record, &complaint);
  for (const auto& s : all.selections) out += selection_to_text(s, &record) + "\n";
  if (!complaint.empty()) out += "what was verified is unknown: " + complaint + "\n";
  return out;
}

std::vector<std::string> device_names() {
  std::vector<std::string> names{"cpu", "cuda"};
  for (const auto& d : invented_devices()) names.push_back(d.name);
  return names;
}

}  // namespace attune
