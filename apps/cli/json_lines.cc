#include "json_lines.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <set>

#include "attune/options.h"
#include "terminal.h"

namespace attune::cli {
namespace {

constexpr size_t kLongestLine = size_t{256} << 20;
constexpr int kDeepest = 32;

[[noreturn]] void bad_field(const std::string& field, const std::string& expected, const Json& got) {
  std::string text = got.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  fail(ErrorCode::invalid_argument, field, expected, text);
}

double number_of(const std::string& field, const Json& j) {
  if (!j.is_number()) bad_field(field, "a number", j);
  return j.get<double>();
}

int64_t integer_of(const std::string& field, const Json& j) {
  if (!j.is_number_integer() || (j.is_number_unsigned() && j.get<uint64_t>() > INT64_MAX)) bad_field(field, "an integer", j);
  return j.get<int64_t>();
}

int32_t id_of(const std::string& field, const Json& j) {
  const int64_t x = integer_of(field, j);
  if (x != static_cast<int32_t>(x)) bad_field(field, "token ids", j);
  return static_cast<int32_t>(x);
}

bool bool_of(const std::string& field, const Json& j) {
  if (!j.is_boolean()) bad_field(field, "true or false", j);
  return j.get<bool>();
}

std::string string_of(const std::string& field, const Json& j) {
  if (!j.is_string()) bad_field(field, "a string", j);
  return j.get<std::string>();
}

std::vector<int32_t> ids_of(const std::string& field, const Json& j) {
  if (!j.is_array()) bad_field(field, "an array of token ids", j);
  std::vector<int32_t> out;
  for (const Json& x : j) out.push_back(id_of(field, x));
  return out;
}

std::vector<std::string> strings_of(const std::string& field, const Json& j) {
  if (j.is_string()) return {j.get<std::string>()};
  if (!j.is_array()) bad_field(field, "a string or an array of strings", j);
  std::vector<std::string> out;
  for (const Json& x : j) out.push_back(string_of(field, x));
  return out;
}

std::vector<std::pair<int32_t, float>> bias_of(const std::string& field, const Json& j) {
  if (!j.is_object()) bad_field(field, "an object of token ids and numbers", j);
  std::vector<std::pair<int32_t, float>> out;
  for (const auto& [key, value] : j.items()) {
    char* end = nullptr;
    const long long id = std::strtoll(key.c_str(), &end, 10);
    if (key.empty() || *end != 0 || id != static_cast<int32_t>(id)) bad_field(field, "token ids as names", Json(key));
    out.emplace_back(static_cast<int32_t>(id), static_cast<float>(number_of(field, value)));
  }
  return out;
}

struct SamplingField {
  const char* name;
  void (*set)(SamplingParams&, const std::string&, const Json&);
};

constexpr SamplingField kSamplingFields[] = {
    {"n", [](SamplingParams& p, const std::string& f, const Json& j) { p.n = id_of(f, j); }},
    {"temperature", [](SamplingParams& p, const std::string& f, const Json& j) { p.temperature = number_of(f, j); }},
    {"top_k", [](SamplingParams& p, const std::string& f, const Json& j) { p.top_k = id_of(f, j); }},
    {"top_p", [](SamplingParams& p, const std::string& f, const Json& j) { p.top_p = number_of(f, j); }},
    {"min_p", [](SamplingParams& p, const std::string& f, const Json& j) { p.min_p = number_of(f, j); }},
    {"repetition_penalty", [](SamplingParams& p, const std::string& f, const Json& j) { p.repetition_penalty = number_of(f, j); }},
    {"presence_penalty", [](SamplingParams& p, const std::string& f, const Json& j) { p.presence_penalty = number_of(f, j); }},
    {"frequency_penalty", [](SamplingParams& p, const std::string& f, const Json& j) { p.frequency_penalty = number_of(f, j); }},
    {"logit_bias", [](SamplingParams& p, const std::string& f, const Json& j) { p.logit_bias = bias_of(f, j); }},
    {"stop", [](SamplingParams& p, const std::string& f, const Json& j) { p.stop = strings_of(f, j); }},
    {"stop_token_ids", [](SamplingParams& p, const std::string& f, const Json& j) { p.stop_token_ids = ids_of(f, j); }},
    {"include_stop_str_in_output", [](SamplingParams& p, const std::string& f, const Json& j) { p.include_stop_str_in_output = bool_of(f, j); }},
    {"ignore_eos", [](SamplingParams& p, const std::string& f, const Json& j) { p.ignore_eos = bool_of(f, j); }},
    {"skip_special_tokens", [](SamplingParams& p, const std::string& f, const Json& j) { p.skip_special_tokens = bool_of(f, j); }},
    {"max_tokens", [](SamplingParams& p, const std::string& f, const Json& j) { p.max_tokens = integer_of(f, j); }},
    {"min_tokens", [](SamplingParams& p, const std::string& f, const Json& j) { p.min_tokens = integer_of(f, j); }},
    {"seed",
     [](SamplingParams& p, const std::string& f, const Json& j) {
       if (!j.is_number_unsigned()) bad_field(f, "an integer from 0", j);
       p.seed = j.get<uint64_t>();
     }},
    {"logprobs", [](SamplingParams& p, const std::string& f, const Json& j) { p.logprobs = id_of(f, j); }},
};

/// A field that would be ignored is a mistake: the answer would not be what was asked for.
[[noreturn]] void unknown_field(const std::string& name, const std::vector<std::string>& labels) {
  std::vector<std::string> known{"id", "prompt", "messages", "token_ids"};
  for (const auto& f : kSamplingFields) known.emplace_back(f.name);
  known.insert(known.end(), labels.begin(), labels.end());
  const std::string near = name.size() < 4 ? "" : nearest_name(name, known);
  fail(ErrorCode::invalid_argument, name.empty() ? "\"\"" : name.substr(0, 80), fmt::format("one of the fields {}", fmt::join(known, ", ")),
       near.empty() ? "an unknown one" : "an unknown one; did you mean " + near + "?");
}

/// Sets a sampling field; null leaves its default. False if there is none of that name.
bool set_sampling(SamplingParams& p, const std::string& name, const Json& value) {
  for (const auto& f : kSamplingFields) {
    if (name != f.name) continue;
    if (!value.is_null()) f.set(p, name, value);
    return true;
  }
  return false;
}

std::string rendered(const PromptStyle& style, const Json& messages) {
  std::string text;
  try {
    text = messages.dump();
  } catch (const Json::exception&) {
    fail(ErrorCode::invalid_argument, "prompt", "UTF-8", "bytes that are not");
  }
  return style.render(text);
}

}  // namespace

LineReader::LineReader(const std::string& path) : path_(path == "-" ? "stdin" : path) {
  fd_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail(ErrorCode::io_error, path, "a file that can be read", std::strerror(errno));
}

LineReader::~LineReader() {
  if (fd_ > STDIN_FILENO) ::close(fd_);
}

bool LineReader::take_line(std::string& line) {
  const size_t end = buffer_.find('\n', searched_);
  searched_ = buffer_.size();
  if (end == std::string::npos && !(at_end_ && begin_ < buffer_.size())) return false;
  line.assign(buffer_, begin_, std::min(end, buffer_.size()) - begin_);
  begin_ = searched_ = std::min(end, buffer_.size() - 1) + 1;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  ++number_;
  return true;
}

LineReader::Status LineReader::next(bool wait, std::string& line) {
  for (;;) {
    while (take_line(line))
      if (line.find_first_not_of(" \t") != std::string::npos) return Status::line;
    if (at_end_) return Status::end;
    pollfd p{fd_, POLLIN, 0};
    if (!wait && ::poll(&p, 1, 0) == 0) return Status::not_yet;
    buffer_.erase(0, begin_);
    searched_ -= begin_, begin_ = 0;
    if (buffer_.size() > kLongestLine)
      fail(ErrorCode::invalid_argument, path_, fmt::format("lines of at most {} bytes", kLongestLine), "a longer one");
    char chunk[1 << 16];
    const ssize_t n = ::read(fd_, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) return Status::not_yet;
    if (n < 0) fail(ErrorCode::io_error, path_, "a file that can be read", std::strerror(errno));
    at_end_ = n == 0;
    buffer_.append(chunk, static_cast<size_t>(n));
  }
}

Json parse_object(const std::string& line) {
  Json j;
  try {
    std::set<std::string> seen;
    j = Json::parse(line, [&seen](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > kDeepest) fail(ErrorCode::invalid_argument, "JSON", fmt::format("at most {} levels", kDeepest), "more");
      if (depth == 1 && event == Json::parse_event_t::key && !seen.insert(parsed.get<std::string>()).second)
        fail(ErrorCode::invalid_argument, parsed.get<std::string>(), "each field once", "it twice");
      return true;
    });
  } catch (const Json::exception& e) {
    const std::string what = e.what();
    const size_t column = what.find("column ");
    fail(ErrorCode::invalid_argument, "JSON", "an object", column == std::string::npos ? what : "an error at " + what.substr(column));
  }
  if (!j.is_object()) bad_field("JSON", "an object", j);
  return j;
}

Request make_request(const Json& line, const PromptStyle& style, const SamplingParams& base) {
  Request r;
  r.sampling = base;
  int given = 0;
  for (const char* name : {"prompt", "messages", "token_ids"}) given += line.contains(name);
  if (given != 1) fail(ErrorCode::invalid_argument, "line", "one of prompt, messages and token_ids", std::to_string(given) + " of them");
  for (const auto& [name, value] : line.items()) {
    if (name == "prompt") {
      r.prompt = string_of(name, value);
      if (r.prompt.empty()) fail(ErrorCode::invalid_argument, "prompt", "at least one character", "an empty prompt");
      if (style.chat) r.prompt = rendered(style, Json::array({{{"role", "user"}, {"content", value}}})), r.add_special_tokens = false;
    } else if (name == "messages") {
      if (style.raw_asked) fail(ErrorCode::invalid_argument, "messages", "prompts or token_ids with --raw", "messages");
      if (!value.is_array() || value.empty()) bad_field(name, "an array of {\"role\", \"content\"}", value);
      r.prompt = rendered(style, value), r.add_special_tokens = false;
    } else if (name == "token_ids") {
      r.token_ids = ids_of(name, value);
      if (r.token_ids.empty()) fail(ErrorCode::invalid_argument, name, "at least one token id", "[]");
    } else if (name == "id") {
      if (!value.is_string() && !value.is_number() && !value.is_null()) bad_field(name, "a string or a number", value);
    } else if (!set_sampling(r.sampling, name, value) && std::find(style.labels.begin(), style.labels.end(), name) == style.labels.end()) {
      unknown_field(name, style.labels);
    }
  }
  return r;
}

Json error_json(const Error& e) { return {{"code", to_text(e.code())}, {"message", e.message()}}; }

std::string json_line(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json top_json(const std::vector<TokenLogprob>& all, bool first_is_null) {
  Json out = Json::array();
  if (first_is_null) out.push_back(nullptr);
  for (const TokenLogprob& t : all) {
    Json position = Json::array();
    for (const auto& [id, logprob] : t.top) position.push_back({id, logprob});
    out.push_back(std::move(position));
  }
  return out;
}

}  // namespace attune::cli
