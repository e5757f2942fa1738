// Reads JSON lines {"text": …} or {"ids": […]} and writes for each what the tokenizer of a folder makes of it:
//   {"ids": with special tokens, "bare": without, "ordinary": special tokens read as text,
//    "text": "ids" decoded, "kept": the same with special tokens}
// For "text" the pieces of a StreamDecoder must join to what decode() gives, or the program fails.
#include <attune/error.h>
#include <attune/tokenizer.h>

#include <iostream>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;

std::string decoded(const std::shared_ptr<const attune::Tokenizer>& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  const std::string whole = tokenizer->decode(ids, skip);
  attune::StreamDecoder stream(tokenizer, skip);
  std::string joined;
  for (const int32_t id : ids) {
    const std::string piece = stream.push(id);
    (void)json(piece).dump();  // throws unless it is UTF-8
    joined += piece;
  }
  joined += stream.flush();
  if (joined != whole) throw attune::Error(attune::ErrorCode::internal, "stream: expected \"" + whole + "\"; got \"" + joined + "\"");
  return whole;
}

json answer(const std::shared_ptr<const attune::Tokenizer>& tokenizer, const json& line) {
  json out;
  std::vector<int32_t> ids;
  if (line.contains("ids")) {
    ids = line["ids"].get<std::vector<int32_t>>();
  } else {
    const auto& text = line["text"].get_ref<const std::string&>();
    ids = tokenizer->encode(text, true);
    out["ids"] = ids;
    out["bare"] = tokenizer->encode(text, false);
    out["ordinary"] = tokenizer->encode(text, {.add_special_tokens = false, .parse_special = false});
  }
  out["text"] = decoded(tokenizer, ids, true);
  out["kept"] = decoded(tokenizer, ids, false);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenize_lines FOLDER < lines.jsonl\n";
    return 2;
  }
  try {
    const auto tokenizer = attune::Tokenizer::load(argv[1]);
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) std::cout << answer(tokenizer, json::parse(line)).dump() << '\n';
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  return 0;
}
