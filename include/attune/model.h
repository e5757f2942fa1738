#pragma once

#include <string>

namespace attune {

/// Root of the Hugging Face cache of this user: HF_HUB_CACHE, else $HF_HOME/hub, else huggingface/hub below $XDG_CACHE_HOME or ~/.cache.
std::string hf_cache_folder();

/// The folder of a model: itself if it is one, else the snapshot of a Hugging Face id in that cache. IoError with the command that would
/// fetch it if it is missing.
std::string model_folder(const std::string& model);

}  // namespace attune
