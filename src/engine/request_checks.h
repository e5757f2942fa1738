#pragma once

#include "engine/load.h"

namespace attune {

/// Throws InvalidArgument for engine options out of range.
void validate(const EngineOptions& options);

/// Throws InvalidArgument unless the prompt's ids exist and fit the context, with room for one token where any is wanted.
void check_prompt(const Request& request, const ModelInfo& model);

/// Sampling parameters as generation_config.json recommends them.
SamplingParams sampling_defaults(const GenerationConfig& config);

/// The chat template over a JSON array of messages, with the generation prompt.
std::string render_chat(const LoadedModel& model, const std::string& messages);

}  // namespace attune
