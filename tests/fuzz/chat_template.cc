// A chat template; after a zero byte the messages as JSON may follow.
#include "loader/chat_template.h"

#include <nlohmann/json.hpp>

#include "core/utf8.h"
#include "harness.h"
#include "loader/json_file.h"

namespace attune::fuzz {
namespace {

using nlohmann::ordered_json;

constexpr TemplateLimits kLimits{
    .max_template_bytes = 1 << 14, .max_steps = 100'000, .max_output_bytes = 1 << 18, .max_text_bytes = 1 << 18, .max_items = 10'000};

const ordered_json& usual_messages() {
  static const ordered_json messages = ordered_json::parse(R"([{"role":"system","content":"Be brief."},{"role":"user","content":" 3 + 4 = ? ü"},
    {"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"add","arguments":{"a":3,"b":[1,2.5,true]}}}]},
    {"role":"tool","content":[{"type":"text","text":"7"}]}])");
  return messages;
}

ordered_json messages_of(std::string_view text) {
  ordered_json out = usual_messages();
  if (!text.empty()) accepted([&] { out = ordered_json(parse_json(text, "messages")); });
  return out;
}

}  // namespace

void check(std::string_view input) {
  std::string_view rest = input;
  const std::string_view source = take_part(rest);
  const ordered_json messages = messages_of(rest);
  const ordered_json variables = {{"bos_token", "<s>"}, {"x", -3}, {"y", 2.5}, {"tools", ordered_json::array({{{"name", "add"}}})}};
  std::tm noon{};
  noon.tm_year = 124, noon.tm_mday = 29, noon.tm_mon = 1, noon.tm_hour = 12;
  std::optional<ChatTemplate> parsed;
  if (!accepted([&] { parsed = ChatTemplate::parse(source, kLimits); }, true)) return;
  std::string first, second;
  const bool rendered = accepted([&] { first = parsed->render(messages, true, variables, noon); }, true);
  promise(accepted([&] { second = parsed->render(messages, true, variables, noon); }, true) == rendered, "a rendering comes out the same twice");
  promise(first == second, "a rendering is the same twice", first);
  promise(first.size() <= kLimits.max_output_bytes, "the output keeps its limit");
  promise(utf8_valid(first), "the output is UTF-8", first);
}

}  // namespace attune::fuzz
