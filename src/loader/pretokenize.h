#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loader/tokenizer_json.h"

namespace attune {

/// A stretch of text that the model encodes by itself.
struct Piece {
  std::string_view text;
  bool at_start = false;  // begins at the first character of the whole input
};

/// The pieces of one text and the buffers that rewritten ones stand in.
struct Pieces {
  std::vector<Piece> list;
  std::deque<std::string> buffers;
};

/// One step that cuts text into pieces: the `pre_tokenizer` of a tokenizer.json.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

/// Null for a null node; NotSupported, with the list of supported types, for an unknown type.
std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const JsonNode& node);

}  // namespace attune
