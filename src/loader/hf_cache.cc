#include "loader/hf_cache.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "core/error.h"

namespace attune {

namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool plain_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

/// One part of an id: letters, digits, and -_. within; neither ".." nor "--", which the cache layout uses itself.
bool is_id_part(std::string_view part) {
  if (part.empty() || part.size() > 96 || !std::all_of(part.begin(), part.end(), plain_character)) return false;
  const auto edge = [](char c) { return c == '-' || c == '.'; };
  return !edge(part.front()) && !edge(part.back()) && part.find("..") == part.npos && part.find("--") == part.npos;
}

bool is_id(std::string_view id) {
  const size_t slash = id.find('/');
  if (slash == id.npos) return is_id_part(id);
  return is_id_part(id.substr(0, slash)) && is_id_part(id.substr(slash + 1));
}

/// Branches, tags, commits and refs/pr/N, never a way out of the folder.
bool is_revision(std::string_view revision) {
  if (revision.empty() || revision.size() > 200) return false;
  for (size_t at = 0; at <= revision.size();) {
    const size_t slash = std::min(revision.find('/', at), revision.size());
    const std::string_view part = revision.substr(at, slash - at);
    if (part.empty() || part.front() == '.' || part.front() == '-' || !std::all_of(part.begin(), part.end(), plain_character)) return false;
    at = slash + 1;
  }
  return true;
}

/// The commit that refs/<revision> names: one short line of hexadecimal digits, or nothing.
std::optional<std::string> read_commit(const fs::path& path) {
  if (std::error_code ignored; !fs::is_regular_file(path, ignored)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string commit(128, '\0');
  file.read(commit.data(), static_cast<std::streamsize>(commit.size()));
  commit.resize(static_cast<size_t>(file.gcount()));
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r' || commit.back() == ' ')) commit.pop_back();
  const bool hexadecimal = std::all_of(commit.begin(), commit.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (commit.size() < 7 || commit.size() > 64 || !hexadecimal) return std::nullopt;
  return commit;
}

std::string cache_folder(std::string_view id) {
  std::string name = "models--";
  for (char c : id) name += c == '/' ? "--" : std::string(1, c);
  return name;
}

/// A leading ~ stands for the home folder, as in the Hugging Face tools.
fs::path expand_home(const std::string& path, const fs::path& home) {
  if (path == "~") return home;
  return path.starts_with("~/") ? home / path.substr(2) : fs::path(path);
}

}  // namespace

fs::path hf_cache_root(const EnvironmentLookup& env) {
  const auto given = [&](std::string_view name) {
    auto value = env(name);
    return value && !value->empty() ? value : std::nullopt;
  };
  const fs::path home = given("HOME").value_or("/");
  if (const auto hub = given("HF_HUB_CACHE")) return expand_home(*hub, home);
  if (const auto hf_home = given("HF_HOME")) return expand_home(*hf_home, home) / "hub";
  if (const auto xdg = given("XDG_CACHE_HOME")) return expand_home(*xdg, home) / "huggingface" / "hub";
  return home / ".cache" / "huggingface" / "hub";
}

fs::path resolve_model(const std::string& arg, const fs::path& cache_root) {
  if (arg.empty() || arg.find('\0') != arg.npos) invalid("model", "a folder or a Hugging Face id", "'" + printable(arg) + "'");
  if (is_folder(arg)) return arg;
  if (present(arg)) invalid("model", "a folder or a Hugging Face id", printable(arg, 512) + ", which is a file");
  const size_t at = arg.find('@');
  const std::string id = arg.substr(0, at);
  const std::string revision = at == arg.npos ? "main" : arg.substr(at + 1);
  if (!is_id(id)) invalid("model", "a folder or a Hugging Face id such as org/name", printable(arg, 512) + ", which is no folder");
  if (!is_revision(revision)) invalid("model", "a revision: a branch, a tag or a commit", "'" + printable(revision) + "'");

  const fs::path base = cache_root / cache_folder(id);
  const std::string command = "hf download " + id + (at == arg.npos ? "" : " --revision " + revision);
  const auto missing = [&](std::string_view what) {
    fail(ErrorCode::io_error, "model " + printable(arg, 512), "a folder, or a model in the cache " + printable(cache_root.string(), 512),
         fmt::format("{}; to fetch it: {}", what, command));
  };
  if (!is_folder(base)) missing("neither");
  const auto commit = read_commit(base / "refs" / revision);
  fs::path snapshot = base / "snapshots" / commit.value_or(revision);
  if (!is_folder(snapshot)) missing(fmt::format("no snapshot of revision {}", revision));
  if (!present(snapshot / "config.json")) missing("an incomplete snapshot, without config.json");
  return snapshot;
}

}  // namespace attune
