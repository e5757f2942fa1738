// JSON Lines as `attune generate --input` reads them: lines, objects, requests.
#include "../../apps/cli/json_lines.h"

#include "core/utf8.h"
#include "harness.h"
#include "loader/chat_messages.h"
#include "loader/chat_template.h"

namespace attune::fuzz {
namespace {

using cli::Json;

std::string rendered(const std::string& messages) {
  static const ChatTemplate chat = ChatTemplate::parse("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}");
  return chat.render(parse_messages(messages), true);
}

/// The lines that are not blank, by the plainest code.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) out.push_back(line);
  }
  return out;
}

void check_line(const std::string& line) {
  Json object;
  if (!accepted([&] { object = cli::parse_object(line); }, true)) return;
  const std::string text = cli::json_line(object);
  promise(utf8_valid(text) && text.find('\n') == text.size() - 1, "what is written is one line of UTF-8", text);
  promise(cli::parse_object(text) == object, "parse(text(x)) == x", text);
  for (const bool chat : {false, true}) {
    accepted(
        [&] {
          const Request r = cli::make_request(object, {rendered, chat, !chat, {}}, {});
          promise(!r.prompt.empty() || !r.token_ids.empty(), "a request has a prompt", text);
        },
        true);
  }
}

}  // namespace

void check(std::string_view input) {
  const MemoryFile file(input);
  cli::LineReader reader(file.path());
  std::vector<std::string> lines;
  std::string line;
  while (reader.next(true, line) == cli::LineReader::Status::line) lines.push_back(line);
  promise(lines == split(input), "lines are those of the file");
  for (const std::string& l : lines) check_line(l);
}

}  // namespace attune::fuzz
