#pragma once

#include "models/builder.h"

namespace attune {

std::unique_ptr<Model> make_llama(ModelBuilder& builder);
std::unique_ptr<Model> make_qwen3(ModelBuilder& builder);
std::unique_ptr<Model> make_gemma2(ModelBuilder& builder);

/// "model.layers.3."
std::string layer_name(int64_t layer);

/// The four projections that every family here names alike. o and down add to the residual stream.
ModelBuilder::LinearSpec qkv_spec(const ModelConfig& c, const std::string& layer);
ModelBuilder::LinearSpec o_spec(const ModelConfig& c, const std::string& layer);
ModelBuilder::LinearSpec gate_up_spec(const ModelConfig& c, const std::string& layer);
ModelBuilder::LinearSpec down_spec(const ModelConfig& c, const std::string& layer);

/// Rows [first, first + rows) of the final activations through the output head.
void head_rows(const ExecContext& ctx, const Linear& head, const Activations& at, int64_t first, int64_t rows, float* out);

}  // namespace attune
