#pragma once

#include "arguments.h"

namespace attune::cli {

/// Exit code of a run in which some lines or checks failed.
inline constexpr int kSomeFailed = 1;

/// One function a sub-command; each returns the process's exit code or throws Error.
int run_generate(const Arguments& args);
int run_score(const Arguments& args);
int run_eval(const Arguments& args);
int run_tokenize(const Arguments& args);
int run_detokenize(const Arguments& args);
int run_explain(const Arguments& args);
int run_kernels(const Arguments& args);
int run_bench(const Arguments& args);
int run_verify(const Arguments& args);
/// The child process of `verify`, which no help page names: `attune verify-child DEVICE`, a socket as its standard input.
inline constexpr std::string_view kVerifyChild = "verify-child";
int run_verify_child(const std::string& device);
/// What `verify --mode bench` timed (its JSON), as tables if --markdown or --csv asks for them.
bool wants_bench_tables(const Arguments& args);
void write_bench_tables(const Arguments& args, const std::string& json);
int run_docs(const Arguments& args);
int run_completion(const Arguments& args);

}  // namespace attune::cli
