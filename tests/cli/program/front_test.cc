// What a person meets first: help, version, misspelt words, variables of the environment, completion, the generated pages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/options.h"
#include "program.h"

namespace attune::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

size_t longest_line(const std::string& text) {
  size_t longest = 0;
  for (const auto& line : Outcome{0, text, ""}.lines()) longest = std::max(longest, line.size());
  return longest;
}

TEST(Front, HelpFitsTheScreenAndNamesEveryCommandAndExitCode) {
  const auto help = attune({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_LE(help.lines().size(), 24u);
  EXPECT_LE(longest_line(help.out), 80u);
  for (const auto& c : commands()) EXPECT_THAT(help.out, HasSubstr("\n  " + std::string(c.name) + " "));
  for (const char* code : {"2 InvalidArgument", "3 NotSupported", "4 OutOfMemory", "5 IoError", "6 DeviceError", "70 Internal", "130 interrupted"})
    EXPECT_THAT(help.out, HasSubstr(code));
  EXPECT_EQ(attune(std::vector<std::string>{}).code, 2);
}

TEST(Front, HelpOfACommandHoldsItsFlagsAndNoOthers) {
  for (const auto& c : commands()) {
    const auto help = attune({std::string(c.name), "--help-all"});
    EXPECT_EQ(help.code, 0) << help.err;
    EXPECT_LE(longest_line(help.out), 80u) << c.name;
    for (const auto& o : options()) {
      const bool named =
          help.out.find(" " + std::string(o.name) + (o.is_switch() ? "" : " " + std::string(o.meaning_for(c.name).metavar))) != std::string::npos;
      EXPECT_EQ(named, o.taken_by(c.name)) << c.name << " " << o.name;
    }
  }
}

TEST(Front, HelpOfEveryCommandFitsItsScreen) {
  for (const auto& c : commands()) {
    const auto help = attune({std::string(c.name), "--help"});
    EXPECT_EQ(help.code, 0) << help.err;
    EXPECT_LE(help.lines().size(), 45u) << c.name;
    EXPECT_LE(longest_line(help.out), 80u) << c.name;
    EXPECT_EQ(attune({"help", std::string(c.name)}).out, help.out);
    const auto rare = [&](const OptionSpec& o) { return o.rare && o.taken_by(c.name); };
    const bool more = std::any_of(options().begin(), options().end(), rare);
    EXPECT_EQ(help.out.find("--help-all") != std::string::npos, more) << c.name;
    for (const auto& o : options()) EXPECT_EQ(help.out.find("  " + std::string(o.name) + " ") != std::string::npos && rare(o), false) << o.name;
  }
  EXPECT_THAT(attune({"help", "generat"}).err, HasSubstr("did you mean generate?"));
}

TEST(Front, NamesOfFlagsAndVariablesAreUnique) {
  std::vector<std::string> seen;
  for (const auto& o : options()) {
    EXPECT_EQ(find_option(o.name), &o);
    EXPECT_EQ(find_option(o.variable()), nullptr);
    EXPECT_THAT(seen, testing::Not(testing::Contains(o.variable())));
    seen.push_back(o.variable());
  }
  EXPECT_EQ(find_option("--max-num-seqs")->variable(), "ATTUNE_MAX_NUM_SEQS");
}

TEST(Front, VersionNamesTheBuild) {
  EXPECT_THAT(attune({"--version"}).out, StartsWith("attune "));
  EXPECT_EQ(attune({"--version", "--jsn"}).code, 2);
  const auto json = attune({"--version", "--json"}).json();
  ASSERT_EQ(json.size(), 1u);
  for (const char* field : {"version", "commit", "compiler", "build_type", "backends"}) EXPECT_TRUE(json[0].contains(field)) << field;
}

TEST(Front, MisspeltWordsGetTheNearest) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{"generat", "x"}, "did you mean generate?"},
      {{"--versoin", "x"}, "did you mean --version?"},
      {{"generate", "--temprature", "1", "x"}, "did you mean --temperature?"},
      {{"generate", "--temp=1", "x"}, "did you mean --temperature?"},
      {{"generate", "--max-seqs", "4", "x"}, "did you mean --max-num-seqs?"},
      {{"generate", "--n-predict", "4", "x"}, "did you mean --max-tokens?"},
      {{"explain", "--devise", "h200"}, "did you mean --device?"},
      {{"bench", "generate", "--batch", "4"}, "did you mean --batch-size?"},
  };
  for (const auto& [args, suggestion] : cases) {
    const auto o = attune(args);
    EXPECT_EQ(o.code, 2) << args[1];
    EXPECT_EQ(o.out, "");
    EXPECT_THAT(o.err, HasSubstr(suggestion));
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  }
  EXPECT_THAT(attune({"generate", "--xyzzyplugh", "x"}).err, testing::Not(HasSubstr("did you mean")));
}

TEST(Front, AFlagWithoutItsValueIsNamed) {
  for (const std::string flag : {"--model", "--n", "-n"}) {
    const auto o = attune({"generate", "x", flag});
    EXPECT_EQ(o.code, 2);
    EXPECT_EQ(o.err, "attune: " + flag + ": expected a value; got none\n");
  }
  EXPECT_EQ(attune({"generate", "x", "-n", "a"}).err, "attune: --max-tokens: expected an integer; got 'a'\n");
  EXPECT_EQ(attune({"generate", "x", "--n", "a"}).err, "attune: --n: expected an integer; got 'a'\n");
  EXPECT_EQ(attune({"generate", "x", "--n=b"}).err, "attune: --n: expected an integer; got 'b'\n");
  for (const std::string word : {"-na", "-n=a"})
    EXPECT_EQ(attune({"generate", "x", word}).err, "attune: --max-tokens: expected an integer; got 'a'\n");
}

/// "--max-tokens= 5" must not take the next word for its value.
TEST(Front, AnEmptyValueIsNamed) {
  for (const std::string flag : {"--max-tokens", "--model", "--temperature"}) {
    const auto o = attune({"generate", flag + "=", "5", "x"});
    EXPECT_EQ(o.code, 2);
    EXPECT_EQ(o.out, "");
    EXPECT_EQ(o.err, "attune: " + flag + ": expected a value right after the '='; got none\n");
  }
  EXPECT_EQ(attune({"generate", "--max-tokens=a", "x"}).err, "attune: --max-tokens: expected an integer; got 'a'\n");
  EXPECT_EQ(attune({"generate", "--max-tokens= 5", "x"}).err, "attune: --max-tokens: expected an integer; got ' 5'\n");
  EXPECT_EQ(attune({"kernels", "--op=norm", "--", "--op="}).err, "attune: kernels: expected --op OP; got --op=\n") << "a word after --";
  EXPECT_EQ(attune({"kernels", "--op", "--op="}).err,
            "attune: op: expected one of attention, kv_write, matmul, norm, rope, rope_kv_write, activation, embed, sample; got --op=\n")
      << "the value of a flag";
}

TEST(Front, AnUnknownVariableIsAnErrorThatNamesTheNearest) {
  const auto run = [](const std::string& name, const std::string& value) { return attune(Call{{"kernels"}, "", {{name, value}}, {}}); };
  const auto unknown = run("ATTUNE_MAX_SEQS", "3");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("ATTUNE_MAX_SEQS: expected"));
  EXPECT_THAT(unknown.err, HasSubstr("did you mean ATTUNE_MAX_NUM_SEQS?"));
  EXPECT_THAT(run("ATTUNE_ATTENTION_BACKEND", "FLASH_ATTN").err, HasSubstr("did you mean ATTUNE_KERNEL?"));
  EXPECT_EQ(run("ATTUNE_JSON", "perhaps").code, 2);
  const auto version = attune(Call{{"--version"}, "", {{"ATTUNE_MAX_SEQS", "3"}}, {}});
  EXPECT_EQ(version.code, 2);
  EXPECT_EQ(version.out, "");
  EXPECT_EQ(version.err, unknown.err);
  EXPECT_EQ(attune(Call{{"--help"}, "", {{"ATTUNE_MAX_SEQS", "3"}}, {}}).code, 0) << "help is shown whatever the environment holds";
}

TEST(Front, AVariableStandsForItsFlagAndTheFlagWins) {
  const auto run = [](std::vector<std::string> args, std::map<std::string, std::string> environment) {
    return attune(Call{std::move(args), "", std::move(environment), {}});
  };
  EXPECT_THAT(run({"kernels", "--op", "norm"}, {{"ATTUNE_JSON", "1"}}).out, StartsWith("[{\"kernel\""));
  EXPECT_THAT(run({"--version"}, {{"ATTUNE_JSON", "1"}}).out, StartsWith("{"));
  EXPECT_THAT(run({"kernels"}, {{"ATTUNE_JSON", "0"}, {"ATTUNE_OP", "norm"}}).out, StartsWith("norm\n"));
  EXPECT_THAT(run({"kernels", "--op", "rope"}, {{"ATTUNE_OP", "norm"}}).out, StartsWith("rope\n"));
  EXPECT_THAT(run({"explain", "attention"}, {{"ATTUNE_BATCH", "many"}}).err, HasSubstr("ATTUNE_BATCH: expected"));
  const auto disabled = run({"explain", "attention", "--desc", "head_dim=64", "--json"}, {{"ATTUNE_DISABLE_KERNEL", "cpu.*,gpu.*"}});
  EXPECT_EQ(disabled.json()[0]["chosen"], "ref.attention");
}

TEST(Front, CompletionKnowsCommandsAndFlags) {
  const TempFolder folder;
  const std::string script = folder.write("attune.bash", attune({"completion", "bash"}).out);
  const auto complete = [&](const std::string& words, int at) {
    const std::string out = (folder.path() / "out").string();
    const std::string line = ". " + script + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) + "; _attune; echo \"${COMPREPLY[*]}\"";
    EXPECT_EQ(std::system(("bash -c '" + line + "' > " + out).c_str()), 0);
    return read_file(out);
  };
  EXPECT_EQ(complete("attune gen", 1), "generate\n");
  EXPECT_EQ(complete("attune generate --max-num-s", 2), "--max-num-seqs\n");
  EXPECT_EQ(complete("attune explain --device mi3", 3), "mi300x\n");
  EXPECT_EQ(complete("attune generate --device mi3", 3), "\n");
  EXPECT_EQ(complete("attune generate --device cu", 3), "cuda\n");
  EXPECT_EQ(complete("attune kernels --temp", 2), "\n");
  EXPECT_THAT(attune({"completion", "zsh"}).out, StartsWith("#compdef attune\n"));
  EXPECT_EQ(attune({"completion", "fish"}).code, 2);
}

TEST(Front, DocsWritesThreePagesThatNameEveryFlag) {
  const TempFolder folder;
  ASSERT_EQ(attune({"docs", "--out", folder.path().string()}).code, 0);
  const std::string page = read_file(folder.path() / "options.md");
  for (const auto& o : options()) EXPECT_THAT(page, HasSubstr("`" + o.variable() + "`"));
  EXPECT_THAT(read_file(folder.path() / "kernels.md"), HasSubstr("kv_source"));
  const std::string decisions = read_file(folder.path() / "decisions.md");
  for (const char* word : {"mi300x", "gemma2-9b", "cpu-avx2", "prefill f8_e4m3", "lm_head"}) EXPECT_THAT(decisions, HasSubstr(word));
  EXPECT_EQ(attune({"docs"}).code, 2);
  EXPECT_EQ(attune({"docs", "--out", "/proc/nowhere"}).code, 5);
}

}  // namespace
}  // namespace attune::test
