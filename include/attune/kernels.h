#pragma once

#include <string>
#include <vector>

namespace attune {

/// The declared kernels of one op, or of all if `op` is empty: as JSON, as a Markdown table (one row a kernel, one column a field), or as text
/// for a terminal. An unknown op is InvalidArgument.
std::string kernels_json(const std::string& op);
std::string kernels_markdown(const std::string& op);
std::string kernels_text(const std::string& op);

/// What `attune explain` is asked.
struct ExplainQuery {
  std::string op;     ///< empty: every op of the model
  std::string model;  ///< folder whose config gives the descs; empty: `desc` or the op's defaults
  std::string hf_cache;
  std::string role;  ///< empty: the op's first
  std::string phase = "decode";
  std::string desc;            ///< desc text
  std::string device = "cpu";  ///< this machine's, or an invented record's name
  std::string dtype = "auto", kv_cache_dtype = "auto";
  long long batch = 1, context = 1024, block_size = 0;
  std::vector<std::string> kernels, disable_kernels;
  std::string tuning_table;   ///< file of measured times (attune bench --save); empty: none
  int threads = 0;            ///< CPU threads that times are looked up for; 0: physical cores
  bool invariant = false;     ///< one order of arithmetic over all phases and batch sizes on a GPU, too; a CPU has no other
  std::string plant;          ///< a kernel with a planted defect that stands before the others (test builds only)
  std::string verify_record;  ///< file in which `attune verify` remembers what held on this machine; empty: none
};

/// The decision with all reasons: JSON (an object for one op, an array without), or text.
std::string explain_json(const ExplainQuery& query);
std::string explain_text(const ExplainQuery& query);

/// Names of the devices that may be asked about: "cpu", "cuda" and the invented records.
std::vector<std::string> device_names();

/// docs/generated/kernels.md and decisions.md.
std::string kernels_page();
std::string decisions_page();

}  // namespace attune
