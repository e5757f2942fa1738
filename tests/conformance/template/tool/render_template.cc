// Reads requests, one JSON object a line: {"template" | "folder", "messages", "add_generation_prompt", "variables", "now"?}.
// Answers each with one line: {"text"} or {"error"}.

#include <cstdio>
#include <iostream>
#include <map>
#include <string>

#include "attune/error.h"
#include "loader/chat_template.h"

namespace {

using nlohmann::ordered_json;

std::optional<std::tm> time_of(const ordered_json& request) {
  if (!request.contains("now")) return std::nullopt;
  std::tm now{};
  if (strptime(request["now"].get<std::string>().c_str(), "%Y-%m-%d %H:%M:%S", &now) == nullptr) return std::nullopt;
  return now;
}

attune::ChatTemplate template_of(const ordered_json& request) {
  if (!request.contains("folder")) return attune::ChatTemplate::parse(request["template"].get<std::string>());
  const auto folder = request["folder"].get<std::string>();
  auto loaded = attune::load_chat_template(folder);
  if (!loaded) throw attune::Error(attune::ErrorCode::invalid_argument, folder + ": expected a chat template; got none");
  return *std::move(loaded);
}

ordered_json answer(const std::string& line) {
  try {
    const ordered_json request = ordered_json::parse(line);
    const auto t = template_of(request);
    const auto variables = request.value("variables", ordered_json::object());
    return {{"text", t.render(request["messages"], request.value("add_generation_prompt", false), variables, time_of(request))}};
  } catch (const attune::Error& e) {
    return {{"error", e.message()}};
  }
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line).dump() << '\n';
  return 0;
}
