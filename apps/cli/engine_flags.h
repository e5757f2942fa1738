#pragma once

#include <string>

#include "arguments.h"
#include "attune/engine.h"

namespace attune::cli {

/// What --model names, else the embedded model, found relative to the program. Empty if that is absent and `required` is false.
std::string model_path(const Arguments& args, bool required = true);

/// The engine that the flags ask for. A local folder without tokenizer.json is opened without one if `text` is false.
EngineOptions engine_options(const Arguments& args, bool text);

/// Loads it, showing progress.
Engine open_engine(const EngineOptions& options);

/// `p` changed by the sampling flags; checked.
SamplingParams sampling_params(const Arguments& args, SamplingParams p);

/// Whether prompts go through the chat template: --chat, --raw, else `fallback` where the model has a template.
bool use_chat(const Arguments& args, const Engine& engine, bool fallback);

/// With --trace-kernels: one line on stderr for each distinct (op, role, variant, kernel), with its launches; with --json one object.
void write_trace(const Arguments& args, const Engine& engine);

}  // namespace attune::cli
