#pragma once

#include "engine/sequence.h"

namespace attune {

/// Ends a sequence where its token, its text or a limit says so, and tells which text is certain.
struct StopRules {
  std::vector<int32_t> eos_ids;
  int64_t max_model_len = 0;

  /// Appends a drawn token and what it adds to the text; sets the finish reason if a rule ends the sequence.
  void append(Sequence& sequence, int32_t token) const;

  /// The text that became certain since the last call: all but what a stop string might yet cut.
  static std::string_view take_certain_text(Sequence& sequence);
};

}  // namespace attune
