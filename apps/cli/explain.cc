// attune explain, attune kernels: what is declared, and why which kernel is chosen.
#include "attune/bench.h"
#include "attune/kernels.h"
#include "attune/model.h"
#include "attune/verify.h"
#include "commands.h"
#include "engine_flags.h"
#include "terminal.h"

namespace attune::cli {
namespace {

int64_t positive(const Arguments& args, std::string_view flag, int64_t fallback) {
  const int64_t x = args.integer(flag, fallback);
  if (x < 1 || x > int64_t{1} << 31) fail(ErrorCode::invalid_argument, args.source(flag), "an integer from 1 to 2147483648", std::to_string(x));
  return x;
}

/// A desc says everything itself: what makes descs of a model would be ignored beside it.
void refuse_beside_desc(const Arguments& args) {
  for (const char* flag : {"--model", "--dtype", "--kv-cache-dtype", "--block-size"})
    if (args.has(flag) && args.source(flag) == flag)
      fail(ErrorCode::invalid_argument, "--desc", std::string("no ") + flag + " beside it, for a desc names all that is asked", "both");
}

}  // namespace

int run_explain(const Arguments& args) {
  ExplainQuery q;
  const auto& words = args.positionals();
  if (words.size() > 1) fail(ErrorCode::invalid_argument, "explain", "one OP", words[1] + " after " + words[0]);
  if (!words.empty()) q.op = words[0];
  q.desc = args.text("--desc");
  if (q.desc.empty())
    q.model = model_path(args, false);
  else
    refuse_beside_desc(args);
  if (!q.desc.empty() && q.op.empty()) fail(ErrorCode::invalid_argument, "--desc", "an OP whose desc it is", "none");
  q.hf_cache = hf_cache_folder();
  q.verify_record = verify_record_path();
  q.tuning_table = tuning_table_file();
  q.threads = static_cast<int>(args.integer("--threads", q.threads));
  q.invariant = args.has("--invariant");
  q.plant = args.text("--plant");
  q.role = args.text("--role");
  q.phase = args.text("--phase", q.phase);
  q.device = args.text("--device", q.device);
  q.dtype = args.text("--dtype", q.dtype);
  q.kv_cache_dtype = args.text("--kv-cache-dtype", q.kv_cache_dtype);
  q.batch = positive(args, "--batch", q.batch);
  q.context = positive(args, "--context", q.context);
  q.block_size = args.integer("--block-size", q.block_size);
  q.kernels = args.list("--kernel");
  q.disable_kernels = args.list("--disable-kernel");
  write_out(args.has("--json") ? explain_json(q) + "\n" : explain_text(q));
  return 0;
}

int run_kernels(const Arguments& args) {
  if (!args.positionals().empty()) fail(ErrorCode::invalid_argument, "kernels", "--op OP", args.positionals()[0]);
  if (args.has("--json") && args.has("--markdown"))
    fail(ErrorCode::invalid_argument, args.source("--markdown"), "either --json or --markdown", "both");
  const std::string op = args.text("--op");
  write_out(args.has("--json") ? kernels_json(op) + "\n" : args.has("--markdown") ? kernels_markdown(op) : kernels_text(op));
  return 0;
}

}  // namespace attune::cli
