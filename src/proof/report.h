#pragma once

#include <map>
#include <optional>
#include <string>

#include "proof/verify.h"

namespace attune {

/// The whole report as one JSON object: {"held", "seed", "machine", "counts", "kernels", "tags", "required_not_run", "seconds"}.
std::string to_json(const VerifyReport& report, const VerifyOptions& options, const std::string& mode);

/// What is remembered of a kernel: when it was last verified on a machine, and how close to its bound.
struct VerifiedKernel {
  int version = 0;
  int64_t time = 0;  ///< seconds since 1970
  std::string machine, commit;
  bool held = false;
  int64_t cases = 0;
  double max_error_over_bound = 0;
  double nmse_ratio = 0;
  std::string where;  ///< the case that came nearest to its bound
};

/// By kernel name.
using VerifyRecord = std::map<std::string, VerifiedKernel>;

/// Reads a record. A file is hostile: InvalidArgument for what is too large, no JSON, or not of the form; unknown fields are ignored.
VerifyRecord parse_record(std::string_view text);
std::string record_text(const VerifyRecord& record);

/// The record in a file: empty if there is none; a broken one gives nothing, and says why in `complaint`.
VerifyRecord read_record(const std::string& path, std::string* complaint = nullptr);

/// Replaces the file at once, so that a reader never sees half of it; makes its folder. IoError.
void write_record(const std::string& path, const VerifyRecord& record);

/// Adds what a report says of the kernels that ran to their end; the others keep what was known.
void merge(VerifyRecord& record, const VerifyReport& report, const std::string& machine, const std::string& commit, int64_t time);

/// "2026-05-04 13:37 UTC, 214 cases, largest error 0.410 of its bound"; says if kernel or machine were others.
std::string to_text(const VerifiedKernel& v, int version, const std::string& machine);

}  // namespace attune
