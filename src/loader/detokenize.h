#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loader/tokenizer_json.h"

namespace attune {

/// One step from tokens to text in the state of one stream: takes tokens in order and gives what is certain to `out`.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void push(std::string token, std::vector<std::string>& out) = 0;
  /// Gives what was held back, and begins anew.
  virtual void finish(std::vector<std::string>& out) = 0;
};

/// The `decoder` of a tokenizer.json: a recipe for chains of steps.
class Decoder {
 public:
  /// NotSupported, with the list of supported types, for an unknown type. Without a decoder tokens are joined by spaces.
  explicit Decoder(const JsonNode& node);
  ~Decoder();
  std::vector<std::unique_ptr<DecodeStep>> chain() const;

  struct Part;

 private:
  void add(const JsonNode& node, bool& fused);
  std::vector<std::unique_ptr<const Part>> parts_;
};

/// Runs tokens through a chain and appends the text to `out`; `finish` ends the stream.
class DecodeChain {
 public:
  explicit DecodeChain(const Decoder& decoder) : steps_(decoder.chain()) {}
  void push(std::string token, std::string& out);
  void finish(std::string& out);

 private:
  void run(size_t step, std::vector<std::string> tokens, std::string& out);
  std::vector<std::unique_ptr<DecodeStep>> steps_;
};

}  // namespace attune
