#include "loader/hf_cache.h"

#include <gtest/gtest.h>

#include <map>

#include "loader_files.h"

namespace attune {
namespace {

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

EnvironmentLookup env_of(std::map<std::string, std::string> values) {
  return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
    const auto it = values.find(std::string(name));
    return it == values.end() ? std::nullopt : std::optional(it->second);
  };
}

TEST(HfCache, RootFollowsTheVariables) {
  EXPECT_EQ(hf_cache_root(env_of({{"HOME", "/h"}})), "/h/.cache/huggingface/hub");
  EXPECT_EQ(hf_cache_root(env_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}})), "/x/huggingface/hub");
  EXPECT_EQ(hf_cache_root(env_of({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}, {"HF_HOME", "/f"}})), "/f/hub");
  EXPECT_EQ(hf_cache_root(env_of({{"HOME", "/h"}, {"HF_HOME", "/f"}, {"HF_HUB_CACHE", "/c"}})), "/c");
  EXPECT_EQ(hf_cache_root(env_of({{"HOME", "/h"}, {"HF_HOME", ""}, {"HF_HUB_CACHE", "~/c"}})), "/h/c");
}

TEST(HfCache, ResolvesFoldersAndIds) {
  const TestFolder folder;
  EXPECT_EQ(resolve_model(folder.path().string(), "/none"), folder.path());
  folder.write("models--org--name/refs/main", kCommit + "\n");
  folder.write("models--org--name/refs/refs/pr/1", kCommit);
  const auto snapshot = folder.write("models--org--name/snapshots/" + kCommit + "/config.json", "{}").parent_path();
  EXPECT_EQ(resolve_model("org/name", folder.path()), snapshot);
  EXPECT_EQ(resolve_model("org/name@main", folder.path()), snapshot);
  EXPECT_EQ(resolve_model("org/name@refs/pr/1", folder.path()), snapshot);
  EXPECT_EQ(resolve_model("org/name@" + kCommit, folder.path()), snapshot);
  folder.write("models--gpt2/refs/main", kCommit);
  const auto plain = folder.write("models--gpt2/snapshots/" + kCommit + "/config.json", "{}").parent_path();
  EXPECT_EQ(resolve_model("gpt2", folder.path()), plain);
}

TEST(HfCache, MissingModelsComeWithTheCommand) {
  const TestFolder folder;
  const auto refusal = [&](const std::string& arg) { return error_of([&] { resolve_model(arg, folder.path()); }); };
  EXPECT_EQ(refusal("org/name"),
            fmt::format("IoError model org/name: expected a folder, or a model in the cache {}; got neither; to fetch it: hf download org/name",
                        folder.path().string()));
  folder.write("models--org--name/refs/main", kCommit);
  EXPECT_NE(refusal("org/name@v2").find("got no snapshot of revision v2; to fetch it: hf download org/name --revision v2"), std::string::npos);
  EXPECT_NE(refusal("org/name").find("no snapshot of revision main; to fetch it: hf download org/name"), std::string::npos);
  std::filesystem::create_directories(folder.path() / "models--org--name/snapshots" / kCommit);
  EXPECT_NE(refusal("org/name").find("without config.json; to fetch it: hf download org/name"), std::string::npos);
  folder.write("models--org--name/refs/main", "../../..");
  EXPECT_NE(refusal("org/name").find("no snapshot"), std::string::npos);
}

TEST(HfCache, RefusesWhatIsNeitherFolderNorId) {
  const TestFolder folder;
  const std::string file = folder.write("model.gguf", "");
  EXPECT_NE(error_of([&] { resolve_model(file, folder.path()); }).find("which is a file"), std::string::npos);
  for (const std::string arg : {"", "/none/here", "./none", "../none", "a/b/c", "org/", "/x", "a..b", "a--b", "-a", "org/na me", "org/\n", "@main",
                                "o/n@", "o/n@../x", "o/n@/x", "o/n@a//b", "o/n@-x"})
    EXPECT_NE(error_of([&] { resolve_model(arg, folder.path()); }).find("InvalidArgument model:"), std::string::npos) << arg;
}

}  // namespace
}  // namespace attune
