#pragma once

#include <map>
#include <vector>

#include "engine/scheduler.h"
#include "engine/step_inputs.h"
#include "models/model.h"
#include "select/select.h"

namespace attune {

/// What a row of logits is for.
struct RowUse {
  Sequence* sequence;
  int sample;        ///< which of the request's n samples draws from it; −1: a prompt position's log-probability
  int64_t position;  ///< of the token that the row predicts
};

/// What is drawn for the rows of a step, on the device. The tokens stand where the next step's ids are read: a step of the same sequences needs no
/// word from the host.
struct DrawnRows {
  float* logprob = nullptr;  ///< [logits_rows]
  int32_t* token = nullptr;  ///< [logits_rows], right behind
};

/// Turns the slices of a step into a batch on the device and runs the model over it, decode steps by a captured graph where there is one.
class ModelRunner {
 public:
  struct Limits {
    int64_t tokens;       ///< of a step
    int64_t sequences;    ///< of a step
    int64_t longest_kv;   ///< of a sequence
    int64_t logits_rows;  ///< that exist at once
    int64_t vocab;
  };
  /// Bytes of the device that a runner of these limits takes: logits and inputs.
  static int64_t device_bytes(const Limits& limits, int64_t block_size);
  ModelRunner(Device& device, const Stream& stream, Model& model, KvCache& kv, const Limits& limits);

  /// Captures decode steps of graph_sizes() up to the limit, but none that launches one of the `chosen` kernels which declares that it cannot be in a
  /// graph: the log names it, and such steps run eagerly. Returns how many.
  int64_t capture_graphs(const ExecContext& ctx, const std::vector<Selection>& chosen);
  /// Sequences of the steps that graphs are made for: 1, 2, 4, 8, then multiples of 8 below `most`, and `most`.
  static std::vector<int64_t> graph_sizes(int64_t most);

  /// Runs the layers. rows() then tells what each wanted row of logits is for.
  void forward(const ExecContext& ctx, const std::vector<Slice>& slices);
  const std::vector<RowUse>& rows() const { return rows_; }
  /// Rows [first, first + rows) of logits on the device, f32 (rows, vocab); the caller may change them.
  float* logits(const ExecContext& ctx, int64_t first, int64_t rows);
  int64_t logits_rows() const { return limits_.logits_rows; }
  const DrawnRows& drawn() const { return drawn_; }

 private:
  /// One phase's sequences, on the host.
  struct PhaseLists {
    Phase phase = Phase::decode;
    int64_t first_token = 0, num_tokens = 0;
    std::vector<int32_t> q_start{0}, kv_lens;
    std::vector<const BlockTable*> tables;
    int64_t longest_q = 0, longest_kv = 0;
  };
  /// A step's lists, on the host.
  struct StepLists {
    std::vector<int32_t> ids, positions, logits_rows;
    std::vector<int64_t> slot_mapping;
    std::vector<PhaseLists> phases;
    bool ahead = false;  // the ids are what the step before drew
  };

  void list(const std::vector<Slice>& slices);
  void add(const Slice& slice);
  void want_rows(const Slice& slice, int64_t first_row);
  bool every_row_wanted() const;
  const int32_t* place_ids();
  Batch place(int64_t table_stride);
  PhaseBatch place(const PhaseLists& lists, int64_t table_stride);
  void pad_decode(int64_t sequences);
  Batch decode_batch(int64_t sequences);
  Graph capture(const ExecContext& ctx, const Batch& batch);
  int64_t graph_for(int64_t sequences) const;

  Device& device_;
  const Stream& stream_;
  Model& model_;
  KvCache& kv_;
  Limits limits_;
  StepInputs inputs_;
  Event read_;  // nothing that was launched reads the inputs any more
  DrawnRows drawn_;
  const void* to_upload_ = nullptr;  // the first of the step's inputs that the device does not have
  Buffer logits_;
  StepLists lists_;
  std::vector<RowUse> rows_;
  std::map<int64_t, Graph> graphs_;  // by number of sequences
  bool logits_ready_ = false;        // a graph has made them
};

}  // namespace attune
