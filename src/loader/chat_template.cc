#include "loader/chat_template.h"

#include <fmt/format.h>

#include <fstream>
#include <string_view>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/jinja_eval.h"
#include "loader/jinja_json.h"
#include "loader/jinja_parser.h"
#include "loader/json_file.h"

namespace attune {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kWhere = "chat_template";
constexpr std::string_view kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

void add_variables(jinja::Dict& to, const ordered_json& from, std::string_view what) {
  if (!from.is_object()) invalid(kWhere, fmt::format("{} as a JSON object", what), from.type_name());
  for (const auto& [key, value] : from.items()) to.set(jinja::Value(key), jinja::from_json(value));
}

std::optional<std::string> read_text(const std::filesystem::path& path, uint64_t max_bytes) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(path, missing)) return std::nullopt;
  const auto size = std::filesystem::file_size(path, missing);
  const std::string where = printable(path.filename().string());
  if (missing) fail(ErrorCode::io_error, where, "a file that can be read", missing.message());
  if (size > max_bytes) invalid(where, fmt::format("a file of at most {} bytes", max_bytes), fmt::format("{}", size));
  std::string text(static_cast<size_t>(size), '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in.read(text.data(), static_cast<std::streamsize>(size))) fail(ErrorCode::io_error, where, "a file that can be read", "a failure");
  return text;
}

nlohmann::json read_json(const std::filesystem::path& path) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(path, missing)) return nlohmann::json::object();
  nlohmann::json json = read_json_file(path);
  if (!json.is_object()) invalid(path.filename().string(), "a JSON object", json.type_name());
  return json;
}

/// The template called `name`, of a value that is one template or a list of named ones.
std::optional<std::string> named_template(const nlohmann::json& value, std::string_view name) {
  if (value.is_string()) return name == "default" ? std::optional(value.get<std::string>()) : std::nullopt;
  if (!value.is_array()) return std::nullopt;
  for (const auto& entry : value) {
    if (!entry.is_object() || !entry.contains("name") || !entry.contains("template")) continue;
    if (entry["name"] == name && entry["template"].is_string()) return entry["template"].get<std::string>();
  }
  return std::nullopt;
}

/// A special token as written in the file: text, or an object with its content.
std::optional<std::string> token_text(const nlohmann::json& config, std::string_view name) {
  const auto it = config.find(name);
  if (it == config.end()) return std::nullopt;
  const nlohmann::json& v = it->is_object() && it->contains("content") ? (*it)["content"] : *it;
  return v.is_string() && !v.get_ref<const std::string&>().empty() ? std::optional(v.get<std::string>()) : std::nullopt;
}

ordered_json special_tokens(const nlohmann::json& config, const nlohmann::json& more) {
  ordered_json out = ordered_json::object();
  for (const std::string_view name : kSpecialTokens) {
    auto token = token_text(config, name);
    if (!token && !config.contains(name)) token = token_text(more, name);
    if (token) out[std::string(name)] = *token;
  }
  return out;
}

}  // namespace

ChatTemplate ChatTemplate::parse(std::string_view source, const TemplateLimits& limits) {
  if (source.size() > limits.max_template_bytes) {
    invalid(kWhere, fmt::format("a template of at most {} bytes", limits.max_template_bytes), fmt::format("{}", source.size()));
  }
  if (!utf8_valid(source)) invalid(kWhere, "a template in UTF-8", "other bytes");
  ChatTemplate out;
  out.limits_ = limits;
  try {
    out.template_ = std::make_shared<const jinja::Template>(jinja::parse_template(source));
  } catch (const jinja::SyntaxMistake& m) {
    invalid(fmt::format("{} line {}", kWhere, m.line), m.expected, m.got);
  }
  return out;
}

std::string ChatTemplate::render(const ordered_json& messages, bool add_generation_prompt, const ordered_json& variables,
                                 const std::optional<std::tm>& now) const {
  int line = 0;
  try {
    jinja::Dict names;
    names.set(jinja::Value("tools"), jinja::Value(jinja::None{}));
    names.set(jinja::Value("documents"), jinja::Value(jinja::None{}));
    add_variables(names, defaults_, "the default variables");
    add_variables(names, variables, "the variables");
    names.set(jinja::Value("messages"), jinja::from_json(messages));
    names.set(jinja::Value("add_generation_prompt"), jinja::Value(add_generation_prompt));
    const bool has_tools = with_tools_ && !names.find_name("tools")->is_none();
    jinja::Budget budget;
    budget.max_steps = limits_.max_steps;
    budget.max_text_bytes = limits_.max_text_bytes;
    budget.max_items = limits_.max_items;
    jinja::Runtime runtime(names, budget, now);
    try {
      return jinja::run_template(has_tools ? *with_tools_ : *template_, runtime, limits_.max_output_bytes);
    } catch (const jinja::Mistake&) {
      line = runtime.line;
      throw;
    }
  } catch (const jinja::Raised& r) {
    throw Error(ErrorCode::invalid_argument, r.message);
  } catch (const jinja::Mistake& m) {
    const bool is_limit = m.expected.rfind("at most ", 0) == 0;
    invalid(line > 0 && !is_limit ? fmt::format("{} line {}", kWhere, line) : std::string(kWhere), m.expected, printable(m.got, 200));
  }
}

std::optional<ChatTemplate> load_chat_template(const std::filesystem::path& folder) {
  const nlohmann::json config = read_json(folder / "tokenizer_config.json");
  const nlohmann::json tokens = read_json(folder / "special_tokens_map.json");
  std::optional<std::string> source = read_text(folder / "chat_template.jinja", TemplateLimits{}.max_template_bytes), with_tools;
  if (!source && config.contains("chat_template")) {
    source = named_template(config["chat_template"], "default");
    with_tools = named_template(config["chat_template"], "tool_use");
  }
  if (!source) {
    const nlohmann::json separate = read_json(folder / "chat_template.json");
    if (separate.contains("chat_template")) source = named_template(separate["chat_template"], "default");
  }
  if (!source) return std::nullopt;
  ChatTemplate out = ChatTemplate::parse(*source);
  if (with_tools) out.set_tool_template(ChatTemplate::parse(*with_tools));
  out.set_defaults(special_tokens(config, tokens));
  return out;
}

}  // namespace attune
