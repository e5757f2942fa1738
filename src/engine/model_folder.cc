#include "attune/model.h"
#include "attune/options.h"
#include "loader/hf_cache.h"

namespace attune {

std::string hf_cache_folder() { return hf_cache_root(environment).string(); }

std::string model_folder(const std::string& model) { return resolve_model(model, hf_cache_folder()).string(); }

}  // namespace attune
