// The record of verified kernels, which `attune explain` reads back.
#include "harness.h"
#include "proof/report.h"

namespace attune::fuzz {

void check(std::string_view input) {
  VerifyRecord record;
  const bool taken = accepted([&] { record = parse_record(input); });
  const MemoryFile file(input);
  std::string complaint;
  const VerifyRecord read = read_record(file.path(), &complaint);
  promise(taken == complaint.empty(), "a file is taken as its text is", complaint);
  promise(record_text(read) == record_text(record), "a file holds what its text holds");
  if (!taken) return;
  const std::string text = record_text(record);
  VerifyRecord again;
  promise(accepted([&] { again = parse_record(text); }), "the text of a record parses", text);
  promise(record_text(again) == text, "parse(to_text(x)) == x", text);
  for (const auto& [name, kernel] : record) promise(!to_text(kernel, 1, "here").empty(), "a record has a text");
}

}  // namespace attune::fuzz
