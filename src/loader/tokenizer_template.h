#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/tokenizer_json.h"

namespace attune {

/// The `post_processor` of a tokenizer.json, as far as it changes ids: what stands around a text.
class TokenTemplate {
 public:
  /// Nothing for a null node; NotSupported, with the list of supported types, for an unknown type.
  explicit TokenTemplate(const JsonNode& node);
  /// Throws if a template uses an id that is not below `vocab_size`.
  void check(int32_t vocab_size) const;
  std::vector<int32_t> apply(std::vector<int32_t> ids) const;

 private:
  static constexpr int32_t kText = -1;  // stands for the ids of the text
  struct Frame {
    std::string path;
    std::vector<int32_t> ids;
  };
  void add(const JsonNode& node);
  void add_frame(const JsonNode& node);
  std::vector<Frame> frames_;
};

}  // namespace attune
