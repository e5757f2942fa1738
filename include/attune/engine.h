#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attune/request.h"
#include "attune/tokenizer.h"

namespace attune {

/// What an engine is built from. Names follow vLLM's flags.
struct EngineOptions {
  std::string model;     ///< a folder, or a Hugging Face id found in the cache below `hf_cache`
  std::string hf_cache;  ///< root of the Hugging Face cache; empty: local folders only
  std::string device = "cpu";
  std::string dtype = "auto";           ///< auto (the weights'), float32, bfloat16, float16
  std::string kv_cache_dtype = "auto";  ///< auto (the compute dtype), float32, bfloat16, float16, fp8
  std::string load_format = "auto";     ///< auto, safetensors, dummy (random weights from the config alone)
  std::string weights = "auto";         ///< auto, copy (huge pages), mmap (in place)
  int64_t block_size = 0;               ///< 0: chosen with the kernels
  int64_t max_model_len = 0;            ///< 0: the model's
  int64_t max_num_seqs = 64;
  int64_t max_num_batched_tokens = -1;  ///< −1: 512 on the CPU, 2048 on a GPU
  int64_t kv_cache_memory_bytes = 0;    ///< 0: enough for max_num_seqs × max_model_len, at most a quarter of the memory (of a GPU: what is left)
  double gpu_memory_utilization = 0.9;  ///< share of a GPU's memory that weights, pages and scratch may take together
  bool enable_prefix_caching = true;
  bool tokenizer = true;  ///< false: token ids only
  bool probe = true;
  /// Program and arguments of a process that calls verify_child(): kernels of a GPU are first probed there. Empty: in this process.
  std::vector<std::string> child;
  std::string cache_folder;       ///< what is known of this machine: probes of GPU kernels, measured times; empty: nothing is read or kept
  std::optional<bool> invariant;  ///< one order of arithmetic over all phases and batch sizes; unset: on for the CPU, off for GPUs
  bool graphs = true;             ///< decode steps as captured graphs, on GPUs
  /// A decode step is launched before the tokens of the last one are read, where its laws allow; unset: on GPUs.
  std::optional<bool> async_scheduling;
  int threads = 0;  ///< 0: physical cores
  uint64_t seed = 0;
  std::string plant;                         ///< a kernel with a planted defect that is chosen by default (test builds only)
  std::vector<std::string> kernels;          ///< "OP[.ROLE]=NAME" or "OP[.ROLE]=prefer:NAME"
  std::vector<std::string> disable_kernels;  ///< globs
  bool trace_kernels = false;                ///< keep the names of launched kernels
};

/// Counters of an engine since it was made.
struct EngineStats {
  int64_t steps = 0;
  int64_t overlapped_steps = 0;  ///< those launched before the tokens of the step before were read
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t generated_tokens = 0;
  int64_t preemptions = 0;
  int64_t free_blocks = 0, used_blocks = 0, total_blocks = 0;
  double load_seconds = 0;
  double prefill_seconds = 0, decode_seconds = 0;  ///< time in steps that hold prompt tokens, and in the others
};

/// One launch seen by the trace: step, op, role, phase or bucket, kernel.
struct LaunchRecord {
  int64_t step;
  std::string op, role, variant, kernel;
};

/// Facts about the loaded model, for statistics and benchmarks.
struct ModelInfo {
  std::string path, architecture, dtype, kv_cache_dtype, device, device_model;
  int64_t num_layers = 0, hidden_size = 0, vocab_size = 0, max_model_len = 0, block_size = 0, num_blocks = 0;
  int64_t parameters = 0;
  int64_t weight_bytes = 0;            ///< bytes of all weights as they lie in memory
  int64_t weight_bytes_per_token = 0;  ///< bytes a decode step reads at batch 1: all but the embedding rows not used
  int64_t kv_bytes_per_token = 0;
  int threads = 0;
  double weight_seconds = 0;  ///< it took to read the weights, and to bring them to the device
  double probe_seconds = 0;   ///< kernels were checked for, those that were remembered left out
  int64_t graphs = 0;         ///< captured decode steps
  double graph_seconds = 0;
  int64_t workspace_bytes = 0;   ///< scratch memory of the kernels, fixed at load: the most that one of them may need
  std::string workspace_kernel;  ///< that one; empty: none needs any
  std::string block_size_set_by;
  std::string kv_scales;    ///< of 8-bit keys and values: the checkpoint's, or made for each token and head; empty: none
  std::string fingerprint;  ///< of the selections: same inputs and same fingerprint, same bits
};

/// The engine: submit requests, call step() until it returns false. Not thread-safe: one thread drives it.
class Engine {
 public:
  /// Loads the model, selects and probes the kernels. Throws Error.
  explicit Engine(const EngineOptions& options);
  ~Engine();
  Engine(Engine&&) noexcept;

  /// Takes a request; its prompt is tokenized and checked here (Error if it cannot be served). Returns its id.
  uint64_t submit(Request request);

  /// Ends a request; its samples finish with FinishReason::abort in the next step. Unknown ids are ignored.
  void cancel(uint64_t id);

  /// One step: schedule, launch, collect. False when nothing is left to do. A step that fails ends its requests with
  /// FinishReason::error; OutOfMemory is thrown only if no step could be planned, and then nothing has changed.
  bool step();

  const ModelInfo& model() const;
  EngineStats stats() const;

  /// The model's tokenizer; null if it was not loaded.
  const Tokenizer* tokenizer() const;

  bool has_chat_template() const;
  /// Renders `messages` (a JSON array of {"role","content"}) with the model's chat template, generation prompt added.
  std::string apply_chat_template(const std::string& messages_json) const;

  /// Sampling defaults of generation_config.json, on top of SamplingParams{}.
  SamplingParams default_sampling() const;

  /// The selections as one JSON array, as `attune explain --model` prints it.
  std::string selections_json() const;
  /// "attention cpu.attention.avx512_bf16 · matmul cpu.matmul.avx512_bf16"
  std::string kernels_line() const;
  const std::vector<LaunchRecord>& launches() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attune
