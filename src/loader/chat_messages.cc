#include "loader/chat_messages.h"

#include "core/error.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 64;

/// The text of a list of parts, joined by line ends as other servers do: templates of text models take a string.
std::string joined_parts(const std::string& where, const Json& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Json& part = parts[i];
    const bool is_text = part.is_object() && part.value("type", Json()) == "text" && part.contains("text") && part["text"].is_string();
    if (!is_text)
      invalid(where, "text, or parts {\"type\": \"text\", \"text\"}", printable(part.dump(-1, ' ', false, Json::error_handler_t::replace)));
    text += (i > 0 ? "\n" : "") + part["text"].get<std::string>();
  }
  return text;
}

/// Refuses what a template would stumble over, naming the message; a list of text parts becomes one text.
void check_messages(Json& messages) {
  if (!messages.is_array() || messages.empty())
    invalid("messages", "an array of {\"role\", \"content\"}", messages.is_array() ? "[]" : messages.type_name());
  for (size_t i = 0; i < messages.size(); ++i) {
    Json& m = messages[i];
    const std::string where = fmt::format("messages[{}]", i);
    if (!m.is_object()) invalid(where, "an object {\"role\", \"content\"}", m.type_name());
    if (!m.contains("role") || !m["role"].is_string()) invalid(where + ".role", "a string", m.contains("role") ? m["role"].type_name() : "none");
    if (m["role"].get_ref<const std::string&>().empty()) invalid(where + ".role", "a string such as user", "an empty one");
    const bool none = !m.contains("content") || m["content"].is_null();
    if (none && m.contains("tool_calls") && m["tool_calls"].is_array() && !m["tool_calls"].empty())
      continue;  // an assistant's call may stand without text
    if (none) invalid(where + ".content", "a string", m.contains("content") ? "null" : "none");
    if (m["content"].is_array())
      m["content"] = joined_parts(where + ".content", m["content"]);
    else if (!m["content"].is_string())
      invalid(where + ".content", "a string", m["content"].type_name());
  }
}

}  // namespace

nlohmann::ordered_json parse_messages(std::string_view text) {
  const auto bounded = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest) invalid("messages", fmt::format("at most {} levels of JSON", kDeepest), "more");
    return true;
  };
  Json messages(Json::value_t::discarded);
  if (text.find('\0') == text.npos) messages = Json::parse(text, bounded, false);  // which would stop at a zero byte
  if (messages.is_discarded()) invalid("messages", "a JSON array of {\"role\", \"content\"}", printable(text));
  check_messages(messages);
  return messages;
}

}  // namespace attune
