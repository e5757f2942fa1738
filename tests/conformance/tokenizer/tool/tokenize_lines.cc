// Reads JSON lines {"text": …}, {"hex": bytes of a text that may be no UTF-8} or {"ids": […]} and writes for each what the tokenizer of a folder
// makes of it:
//   {"ids": with special tokens, "bare": without, "ordinary": special tokens read as text,
//    "text": "ids" decoded, "kept": the same with special tokens}, or {"refused": the offset of the byte where a text is no UTF-8}
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

std::string bytes_of(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

/// The offset that ends "… got byte 0x80 at offset 3".
size_t refused_at(const attune::Error& e) {
  const std::string what = e.what();
  const size_t at = what.rfind("at offset ");
  if (at == std::string::npos) throw;
  return std::stoul(what.substr(at + 10));
}

json answer(const std::shared_ptr<const attune::Tokenizer>& tokenizer, const json& line) {
  json out;
  std::vector<int32_t> ids;
  if (line.contains("ids")) {
    ids = line["ids"].get<std::vector<int32_t>>();
  } else {
    const std::string text = line.contains("hex") ? bytes_of(line["hex"].get<std::string>()) : line["text"].get<std::string>();
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
    for (std::string line; std::getline(std::cin, line);) {
      const json given = json::parse(line);
      json out;
      try {
        out = answer(tokenizer, given);
      } catch (const attune::Error& e) {
        if (!given.contains("hex")) throw;
        out = {{"refused", refused_at(e)}};
      }
      std::cout << out.dump() << '\n';
    }
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
  return 0;
}
