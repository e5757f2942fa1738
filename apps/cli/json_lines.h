#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "attune/engine.h"
#include "attune/error.h"

namespace attune::cli {

using Json = nlohmann::ordered_json;

/// Reads a file, or stdin for "-", line by line.
class LineReader {
 public:
  /// IoError if the file cannot be opened.
  explicit LineReader(const std::string& path);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  enum class Status { line, not_yet, end };
  /// The next line that is not blank, without its end. With `wait` false it gives not_yet rather than wait for a slow writer; an interrupt
  /// gives not_yet, too.
  Status next(bool wait, std::string& line);
  /// Number of the line last given, from 1.
  int64_t number() const { return number_; }
  const std::string& path() const { return path_; }

 private:
  bool take_line(std::string& line);

  std::string path_;
  int fd_ = -1;
  bool at_end_ = false;
  std::string buffer_;
  size_t begin_ = 0, searched_ = 0;
  int64_t number_ = 0;
};

/// The object of a line; InvalidArgument for what is not JSON, not an object, nested too deeply, or names a field twice.
Json parse_object(const std::string& line);

/// How prompts become tokens.
struct PromptStyle {
  std::function<std::string(const std::string&)> render;  ///< messages as JSON text → prompt
  bool chat;                                              ///< "prompt" goes through the template
  bool raw_asked;                                         ///< --raw: "messages" are refused
  std::vector<std::string> labels = {};                   ///< fields that this command knows beside those of a request
};

/// The request of {"id"?, "prompt"|"messages"|"token_ids", …sampling}; InvalidArgument for any other field.
Request make_request(const Json& line, const PromptStyle& style, const SamplingParams& base);

/// {"code", "message"}
Json error_json(const Error& e);

/// One line of output; text that is not UTF-8 is repaired.
std::string json_line(const Json& j);

/// [[id, logprob], …] of each position.
Json top_json(const std::vector<TokenLogprob>& all, bool first_is_null);

}  // namespace attune::cli
