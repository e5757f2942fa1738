// The messages of a request, and the template over them.
#include "loader/chat_messages.h"

#include "core/utf8.h"
#include "harness.h"
#include "loader/chat_template.h"

namespace attune::fuzz {
namespace {

using Json = nlohmann::ordered_json;

void check_message(const Json& m) {
  promise(m.is_object() && !m.at("role").get_ref<const std::string&>().empty(), "a message has a role");
  const bool text = m.contains("content") && m["content"].is_string();
  const bool calls =
      m.contains("tool_calls") && m["tool_calls"].is_array() && !m["tool_calls"].empty() && (!m.contains("content") || m["content"].is_null());
  promise(text || calls, "a message has text, or calls a tool");
}

std::string rendered(const Json& messages) {
  static const ChatTemplate chat = ChatTemplate::parse(
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}\n{% endfor %}");
  return chat.render(messages, true);
}

}  // namespace

void check(std::string_view input) {
  Json messages;
  if (!accepted([&] { messages = parse_messages(input); })) return;
  promise(messages.is_array() && !messages.empty(), "there is a message");
  for (const Json& m : messages) check_message(m);
  const std::string text = messages.dump();
  promise(parse_messages(text) == messages, "parse(text(x)) == x", text);
  std::string prompt;
  if (!accepted([&] { prompt = rendered(messages); }, true)) return;
  promise(utf8_valid(prompt), "a prompt is UTF-8", prompt);
  for (const Json& m : messages)
    promise(prompt.find("<|" + m["role"].get<std::string>() + "|>") != std::string::npos, "every message is in the prompt", prompt);
}

}  // namespace attune::fuzz
