#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace attune {

/// A pattern of tokenizer.json. Such patterns are written for Oniguruma; constructs that PCRE2 reads differently are rewritten
/// where the meaning can be kept and refused with NotSupported where it cannot. Categories are those of Unicode 16.
class TokenizerRegex {
 public:
  /// Compiles `pattern`; `where` names its place in the file.
  TokenizerRegex(std::string_view pattern, std::string_view where);
  ~TokenizerRegex();
  TokenizerRegex(const TokenizerRegex&) = delete;
  TokenizerRegex& operator=(const TokenizerRegex&) = delete;

  /// Calls `found(begin, end)` for each match in `text` (valid UTF-8), left to right. An empty match that touches the match
  /// before it is passed over.
  void for_each_match(std::string_view text, const std::function<void(size_t begin, size_t end)>& found) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

/// The pattern as PCRE2 must see it. Throws NotSupported for a construct whose meaning differs.
std::string oniguruma_to_pcre2(std::string_view pattern, std::string_view where);

}  // namespace attune
