#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace attune {

/// Looks up a variable of the environment; the library does not read it here itself.
using EnvironmentLookup = std::function<std::optional<std::string>(std::string_view)>;

/// The cache folder of the Hugging Face tools: HF_HUB_CACHE, else $HF_HOME/hub, else huggingface/hub below $XDG_CACHE_HOME or ~/.cache.
std::filesystem::path hf_cache_root(const EnvironmentLookup& env);

/// The folder of a model: `arg` itself if it is a folder, else the snapshot of the Hugging Face id `org/name` or `name`, with an optional
/// `@revision` (main unless given), below `cache_root`. Nothing is downloaded: if the model is missing or incomplete, IoError holds the
/// command that would fetch it, `hf download org/name`. An `arg` that can be neither is InvalidArgument.
std::filesystem::path resolve_model(const std::string& arg, const std::filesystem::path& cache_root);

}  // namespace attune
