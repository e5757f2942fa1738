#pragma once

#include <filesystem>
#include <optional>

#include "attune/engine.h"
#include "engine/sampler.h"
#include "loader/chat_template.h"
#include "loader/generation_config.h"
#include "models/builder.h"

namespace attune {

/// A model ready to run: its parts, and the memory they stand on.
struct LoadedModel {
  std::filesystem::path folder;
  ModelConfig config;
  GenerationConfig generation;
  std::shared_ptr<const Tokenizer> tokenizer;  ///< null if not asked for
  std::optional<ChatTemplate> chat_template;
  std::unique_ptr<Weights> weights;
  std::vector<Buffer> memory;
  std::unique_ptr<Model> model;
  std::optional<SampleKernels> sample_kernels;
  std::unique_ptr<KvCache> kv;
  ModelInfo info;
  std::vector<int32_t> eos_ids;
};

/// The options with what depends on the device filled in.
EngineOptions with_device_defaults(EngineOptions options);

/// What was measured on a device with so many threads, from the tuning table of the cache folder; a broken one is a warning.
std::function<std::vector<Measurement>(std::string_view op, const std::string& desc, const Bucket& bucket)> measurements_of(const std::string& path,
                                                                                                                            const DeviceProps& device,
                                                                                                                            int threads);

/// The device, policy and limits that options ask for. InvalidArgument for a --kernel or --disable-kernel that cannot be read.
KernelBinder::Options binder_options(const EngineOptions& options, int threads);

/// "OP[.ROLE]=NAME" or "OP[.ROLE]=prefer:NAME"
Override parse_override(const std::string& text);

/// An override for a role that the model does not have would bind nothing: InvalidArgument, which lists the roles.
void check_roles(const std::vector<std::string>& kernels, const std::vector<Selection>& selections);

/// What the values of --kernel and --disable-kernel ask for. InvalidArgument also for a pattern that no kernel's name has.
Policy make_policy(const std::vector<std::string>& kernels, const std::vector<std::string>& disable_kernels);

/// Finds the folder, reads every file, selects kernels, places weights, makes the KV cache.
LoadedModel load_model(const EngineOptions& options, KernelBinder& binder, ThreadPool& pool);

/// An OutOfMemory of a load with the option that would help; any other Error as it is.
Error with_memory_advice(const Error& error, const EngineOptions& options);

/// The compute dtype for --dtype and a checkpoint's own dtype.
DType compute_dtype(const std::string& asked, std::optional<DType> checkpoint);

/// The KV dtype for --kv-cache-dtype.
DType kv_dtype(const std::string& asked, DType compute);

}  // namespace attune
