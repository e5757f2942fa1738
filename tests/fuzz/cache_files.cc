// The files that remember measured times and probes, and the reader of cache files below them. (verify_record holds the third of these files.)
#include "harness.h"
#include "proof/probe_record.h"
#include "tune/tuning_table.h"

namespace attune::fuzz {
namespace {

void check_times(std::string_view input) {
  TuningTable table;
  const bool taken = accepted([&] { table = TuningTable::parse(input); });
  const MemoryFile file(input);
  std::string complaint;
  promise(read_tuning_table(file.path(), &complaint) == table && taken == complaint.empty(), "a file is taken as its text is", complaint);
  if (!taken) return;
  const std::string text = table.text();
  TuningTable again;
  promise(accepted([&] { again = TuningTable::parse(text); }), "the text of a table parses", text);
  promise(again == table && again.text() == text, "parse(text(x)) == x", text);
  // What is measured now is found among what the file said.
  const TunedTime time{.version = 2, .median_us = 1.5, .spread = 0.25, .samples = 3, .time = 4};
  table.add("device", "matmul", "desc", {1, 1, 16}, "kernel", time);
  bool found = false;
  for (const Measurement& m : table.find("device", "matmul", "desc", {1, 1, 16}))
    found |= m.kernel == "kernel" && m.median_us == time.median_us && m.version == time.version;
  promise(found, "what is added is found");
}

void check_probes(std::string_view input) {
  std::map<std::string, ProbeResult> probes;
  if (!accepted([&] { probes = parse_probes(input); })) return;
  const std::string text = probes_text(probes);
  std::map<std::string, ProbeResult> again;
  promise(accepted([&] { again = parse_probes(text); }), "the text of probes parses", text);
  promise(again.size() == probes.size() && probes_text(again) == text, "parse(text(x)) == x", text);
  for (const auto& [key, probe] : probes) promise(again.at(key).passed == probe.passed, "a verdict stays", key);
}

}  // namespace

void check(std::string_view input) {
  check_times(input);
  check_probes(input);
}

}  // namespace attune::fuzz
