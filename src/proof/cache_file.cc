#include "proof/cache_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/error.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

/// True if an input nests deeper than the parser should follow.
bool too_deep(std::string_view text, int most) {
  int depth = 0;
  bool in_string = false, escaped = false;
  for (const char c : text) {
    if (in_string) {
      if (escaped)
        escaped = false;
      else if (c == '\\')
        escaped = true;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if ((c == '{' || c == '[') && ++depth > most) return true;
    if (c == '}' || c == ']') --depth;
  }
  return false;
}

}  // namespace

Json parse_cache_text(const CacheFileLimits& limits, std::string_view text) {
  const auto bad = [&](const std::string& expected, const std::string& got) { invalid(limits.what, expected, got); };
  if (text.size() > limits.bytes) bad(fmt::format("at most {} bytes", limits.bytes), fmt::format("{} bytes", text.size()));
  if (too_deep(text, limits.depth)) bad(fmt::format("at most {} levels", limits.depth), "more");
  Json j = Json::parse(text, nullptr, false);
  if (j.is_discarded() || !j.is_object()) bad("a JSON object", j.is_discarded() ? "no JSON" : j.type_name());
  if (CacheObject(limits, j).integer("format", INT32_MAX) != limits.format) bad(fmt::format("format {}", limits.format), "another format");
  return j;
}

std::optional<std::string> read_cache_file(const CacheFileLimits& limits, const std::string& path) {
  if (path.empty() || !std::filesystem::exists(path)) return std::nullopt;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  bool good = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  std::string out(good ? std::min(limits.bytes, static_cast<size_t>(info.st_size)) + 1 : 0, 0);
  size_t size = 0;
  while (good && size < out.size()) {
    const ssize_t n = ::read(fd, out.data() + size, out.size() - size);
    if (n < 0 && errno == EINTR) continue;
    good = n >= 0;
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  const int reason = errno;
  if (fd >= 0) ::close(fd);
  if (!good) fail(ErrorCode::io_error, printable(path), "a plain file that can be read", fd < 0 ? std::strerror(reason) : "something else");
  out.resize(size);
  return out;
}

void write_cache_file(const std::string& path, std::string_view text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const std::string fresh = fmt::format("{}.{}", path, ::getpid());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool whole = fd >= 0;
  for (size_t at = 0; whole && at < text.size();) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    whole = n > 0;
    at += whole ? static_cast<size_t>(n) : 0;
  }
  if (fd >= 0 && ::close(fd) != 0) whole = false;
  if (whole && ::rename(fresh.c_str(), path.c_str()) == 0) return;
  const int reason = errno;
  ::unlink(fresh.c_str());
  fail(ErrorCode::io_error, printable(path), "a file that can be written", std::strerror(reason));
}

CacheObject::CacheObject(const CacheFileLimits& limits, const Json& object) : limits_(limits), object_(object) {
  if (!object.is_object()) bad("an object", object.type_name());
}

void CacheObject::bad(const std::string& expected, const std::string& got) const { invalid(limits_.what, expected, got); }

const Json& CacheObject::member(const char* name) const {
  const auto it = object_.find(name);
  if (it == object_.end()) bad(fmt::format("\"{}\"", name), "nothing");
  return *it;
}

int64_t CacheObject::integer(const char* name, int64_t most) const {
  const Json& x = member(name);
  if (!x.is_number_integer() || (x.is_number_unsigned() && x.get<uint64_t>() > static_cast<uint64_t>(most)) || x.get<int64_t>() < 0 ||
      x.get<int64_t>() > most)
    bad(fmt::format("\"{}\" from 0 to {}", name, most), printable(x.dump(-1, ' ', true, Json::error_handler_t::replace)));
  return x.get<int64_t>();
}

double CacheObject::real(const char* name) const {
  const Json& x = member(name);
  if (x.is_string() && x.get_ref<const std::string&>() == "infinity") return INFINITY;
  if (!x.is_number() || !(x.get<double>() >= 0)) bad(fmt::format("\"{}\" not negative", name), "something else");
  return x.get<double>();
}

bool CacheObject::flag(const char* name) const {
  const Json& x = member(name);
  if (!x.is_boolean()) bad(fmt::format("\"{}\" true or false", name), x.type_name());
  return x.get<bool>();
}

std::string CacheObject::text(const char* name, size_t most) const {
  const Json& x = member(name);
  if (!x.is_string() || x.get_ref<const std::string&>().size() > most) bad(fmt::format("\"{}\" of at most {} bytes", name, most), "something else");
  return printable(x.get_ref<const std::string&>(), most);
}

Json cache_number(double x) { return std::isfinite(x) ? Json(x) : Json(x > 0 ? "infinity" : "nan"); }

}  // namespace attune
