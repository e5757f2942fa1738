#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace attune {

namespace jinja {
struct Template;
}

/// What one rendering may cost. A template is part of a model, so it is not trusted.
struct TemplateLimits {
  uint64_t max_template_bytes = 1u << 20;
  uint64_t max_steps = 10'000'000;  ///< evaluated nodes, visited items, and 64-byte pieces of copied text
  uint64_t max_output_bytes = 64u << 20;
  uint64_t max_text_bytes = 64u << 20;  ///< of any one string
  uint64_t max_items = 1'000'000;       ///< of any one list
};

/// A model's chat template: a Jinja program that turns messages into the prompt, with the output that Jinja2 gives under the
/// settings of Transformers (trim_blocks, lstrip_blocks, immutable sandbox, loop controls).
class ChatTemplate {
 public:
  /// Parses a template. Every error is InvalidArgument and names the line.
  static ChatTemplate parse(std::string_view source, const TemplateLimits& limits = {});

  /// Renders `messages`. `variables` are further names the template may use (bos_token, tools, enable_thinking, …), above the
  /// defaults; `tools` and `documents` are none when not given. `now` is what strftime_now() prints, by default the local time.
  /// An exception that the template raises is an InvalidArgument with the template's own message.
  std::string render(const nlohmann::ordered_json& messages, bool add_generation_prompt,
                     const nlohmann::ordered_json& variables = nlohmann::ordered_json::object(),
                     const std::optional<std::tm>& now = std::nullopt) const;

  /// Variables of every rendering, such as the special tokens of the tokenizer.
  const nlohmann::ordered_json& defaults() const { return defaults_; }
  void set_defaults(nlohmann::ordered_json defaults) { defaults_ = std::move(defaults); }

  /// The template used instead when `tools` are given: some models have one of their own for that.
  void set_tool_template(const ChatTemplate& t) { with_tools_ = t.template_; }

 private:
  TemplateLimits limits_;
  std::shared_ptr<const jinja::Template> template_, with_tools_;
  nlohmann::ordered_json defaults_ = nlohmann::ordered_json::object();
};

/// The chat template of a model folder, with its special tokens as defaults; nothing when the folder has none. Read from
/// chat_template.jinja, else from tokenizer_config.json (one template, or a list of named ones), else from chat_template.json.
std::optional<ChatTemplate> load_chat_template(const std::filesystem::path& folder);

}  // namespace attune
