// attune tokenize, attune detokenize: texts to token ids and back.
#include <fmt/format.h>

#include <charconv>

#include "attune/model.h"
#include "commands.h"
#include "engine_flags.h"
#include "json_lines.h"
#include "terminal.h"

namespace attune::cli {
namespace {

std::shared_ptr<const Tokenizer> load_tokenizer(const Arguments& args) { return Tokenizer::load(model_folder(model_path(args))); }

/// The arguments, else the lines of stdin.
template <class F>
void for_each_input(const Arguments& args, F&& f) {
  for (const std::string& text : args.positionals()) f(text);
  if (!args.positionals().empty()) return;
  LineReader reader("-");
  std::string line;
  while (reader.next(true, line) == LineReader::Status::line) f(line);
}

/// "1 2 3", "1,2,3" or "[1, 2, 3]".
std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(" ,[]\t"); at != std::string::npos; at = text.find_first_not_of(" ,[]\t", at)) {
    const size_t end = std::min(text.find_first_of(" ,[]\t", at), text.size());
    int32_t id = 0;
    if (std::from_chars(text.data() + at, text.data() + end, id).ptr != text.data() + end)
      fail(ErrorCode::invalid_argument, "ID", "token ids", "'" + text.substr(at, end - at) + "'");
    ids.push_back(id);
    at = end;
  }
  return ids;
}

}  // namespace

int run_tokenize(const Arguments& args) {
  const auto tokenizer = load_tokenizer(args);
  for_each_input(args, [&](const std::string& text) {
    const auto ids = tokenizer->encode(text, !args.has("--no-add-special-tokens"));
    if (args.has("--json")) {
      Json tokens = Json::array();
      for (const int32_t id : ids) tokens.push_back(tokenizer->token(id));
      write_out(json_line({{"token_ids", ids}, {"tokens", tokens}}));
    } else {
      write_out(fmt::format("{}\n", fmt::join(ids, " ")));
    }
  });
  return 0;
}

int run_detokenize(const Arguments& args) {
  const auto tokenizer = load_tokenizer(args);
  const auto put = [&](const std::vector<int32_t>& ids) {
    for (const int32_t id : ids)
      if (id < 0 || tokenizer->token(id).empty())
        fail(ErrorCode::invalid_argument, "ID", fmt::format("ids of tokens, below {}", tokenizer->vocab_size()), std::to_string(id));
    const std::string text = tokenizer->decode(ids, args.has("--skip-special-tokens"));
    write_out(args.has("--json") ? json_line({{"text", text}}) : text + "\n");
  };
  if (!args.positionals().empty()) {
    put(parse_ids(fmt::format("{}", fmt::join(args.positionals(), " "))));
    return 0;
  }
  for_each_input(args, [&](const std::string& line) { put(parse_ids(line)); });
  return 0;
}

}  // namespace attune::cli
