// Loading a model of moderate size: how much memory it takes, and what is shown while it lasts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include <fstream>

#include "program.h"

namespace attune::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A Llama in bf16, its weights a repeated pattern: 20 layers make a file of 458 MB, 2 one of 54 MB.
class MadeModel {
 public:
  explicit MadeModel(int64_t layers) {
    folder_.write("config.json", Json{{"architectures", {"LlamaForCausalLM"}},
                                      {"hidden_size", kHidden},
                                      {"intermediate_size", kInner},
                                      {"num_hidden_layers", layers},
                                      {"num_attention_heads", 16},
                                      {"num_key_value_heads", 4},
                                      {"vocab_size", kVocab},
                                      {"max_position_embeddings", 2048},
                                      {"tie_word_embeddings", true},
                                      {"torch_dtype", "bfloat16"}}
                                     .dump());
    prompts_ = folder_.write("prompts.jsonl", "{\"token_ids\":[1,2,3],\"max_tokens\":2,\"ignore_eos\":true}\n");
    add("model.embed_tokens", {kVocab, kHidden});
    add("model.norm", {kHidden});
    for (int64_t i = 0; i < layers; ++i) {
      const std::string layer = "model.layers." + std::to_string(i) + ".";
      for (const char* name : {"self_attn.q_proj", "self_attn.o_proj"}) add(layer + name, {kHidden, kHidden});
      for (const char* name : {"self_attn.k_proj", "self_attn.v_proj"}) add(layer + name, {kHidden / 4, kHidden});
      for (const char* name : {"mlp.gate_proj", "mlp.up_proj"}) add(layer + name, {kInner, kHidden});
      add(layer + "mlp.down_proj", {kHidden, kInner});
      for (const char* name : {"input_layernorm", "post_attention_layernorm"}) add(layer + name, {kHidden});
    }
    write_weights();
  }

  std::vector<std::string> generate(const std::vector<std::string>& more) const {
    std::vector<std::string> args{"generate", "--json", "--threads", "2", "--model", folder_.path().string(), "--prompts", prompts_};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  int64_t file_bytes() const { return static_cast<int64_t>(std::filesystem::file_size(folder_.path() / "model.safetensors")); }

 private:
  static constexpr int64_t kHidden = 1024, kInner = 2816, kVocab = 4096;

  void add(const std::string& name, const std::vector<int64_t>& shape) {
    int64_t size = 2;
    for (const int64_t n : shape) size *= n;
    header_[name + ".weight"] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {bytes_, bytes_ + size}}};
    bytes_ += size;
  }

  void write_weights() const {
    std::string text = header_.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const uint64_t length = text.size();
    std::ofstream file(folder_.path() / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), 8) << text;
    std::vector<uint16_t> pattern((1 << 20) / 2);
    for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = static_cast<uint16_t>(0x3c00 + i * 2654435761u % 128 + (i * 40503 % 5 % 2 << 15));
    for (int64_t left = bytes_; left > 0; left -= 1 << 20)
      file.write(reinterpret_cast<const char*>(pattern.data()), std::min<int64_t>(left, 1 << 20));
    EXPECT_TRUE(file.flush());
  }

  TempFolder folder_;
  std::string prompts_;
  Json header_ = Json::object();
  int64_t bytes_ = 0;
};

/// What stands on stderr of a load that takes seconds, as the program is stopped most of the time; `interrupt`: until a Ctrl-C when it shows its
/// progress. `code` is what the program ends with.
std::string slow_load(bool terminal, bool interrupt = false, int code = 0) {
  int from = -1, to = -1;
  int ends[2] = {-1, -1};
  EXPECT_EQ(terminal ? openpty(&from, &to, nullptr, nullptr, nullptr) : pipe(ends), 0);
  if (!terminal) from = ends[0], to = ends[1];
  for (const int fd : {from, to}) fcntl(fd, F_SETFD, FD_CLOEXEC);
  const MadeModel model(2);
  Running program(model.generate({"--dtype", "float16"}), to);
  close(to);
  std::string shown;
  const auto read_shown = [&](int wait_ms) {
    char chunk[4096];
    pollfd p{from, POLLIN, 0};
    for (ssize_t n = 1; n > 0 && poll(&p, 1, wait_ms) > 0;)
      if ((n = read(from, chunk, sizeof chunk)) > 0) shown.append(chunk, static_cast<size_t>(n));
  };
  while (program.hold(10, 150)) {
    read_shown(0);
    if (interrupt && shown.find("loading weights") != std::string::npos) {
      program.interrupt();
      break;
    }
  }
  EXPECT_EQ(program.wait(), code);
  read_shown(100);
  close(from);
  return shown;
}

/// At most the weight file, the KV cache and a tenth of both: copied layer by layer into huge pages, or used in place.
TEST(Load, TakesItsWeightsItsKvAndATenthMore) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory would be counted as the program's";
#endif
  constexpr int64_t kKvBytes = 16 << 20;
  const MadeModel model(20);
  for (const char* how : {"copy", "mmap"}) {
    Running program(model.generate({"--weights", how, "--max-model-len", "512", "--kv-cache-memory-bytes", std::to_string(kKvBytes)}));
    program.close_input();
    EXPECT_EQ(Json::parse(program.read_line())["token_ids"].size(), 2u);
    EXPECT_EQ(program.wait(), 0);
    EXPECT_GE(program.peak_bytes(), model.file_bytes()) << how << ": the file was not read whole?";
    EXPECT_LE(static_cast<double>(program.peak_bytes()), 1.1 * static_cast<double>(model.file_bytes() + kKvBytes)) << how;
    std::printf("%s: %.1f MB at most, file %.1f MB\n", how, 1e-6 * static_cast<double>(program.peak_bytes()),
                1e-6 * static_cast<double>(model.file_bytes()));
  }
}

TEST(Load, ATerminalShowsABarThatGoesAway) {
  if (access("/dev/ptmx", R_OK | W_OK) != 0) GTEST_SKIP() << "a progress bar needs a terminal, and /dev/ptmx gives none here";
  const std::string shown = slow_load(true);
  EXPECT_THAT(shown, testing::ContainsRegex("\rloading weights \\[#+ +\\] +[0-9]+ %"));
  EXPECT_THAT(shown, Not(HasSubstr("loading weights: ")));
  EXPECT_THAT(shown, testing::EndsWith("\r\x1b[K")) << "nothing of the bar is left";
}

TEST(Load, APipeGetsPlainLines) {
  const std::string shown = slow_load(false);
  EXPECT_THAT(shown, testing::ContainsRegex("(^|\n)loading weights: [0-9]+ %\n"));
  EXPECT_EQ(shown.find_first_of("\r\x1b"), std::string::npos);
  EXPECT_LE(std::count(shown.begin(), shown.end(), '\n'), 5);
}

TEST(Load, CtrlCEndsItWithALine) {
  const std::string shown = slow_load(false, true, 130);
  EXPECT_THAT(shown, testing::EndsWith("\nattune: interrupted\n"));
}

TEST(Load, AQuickOneShowsNothing) {
  const auto o = attune({"generate", "--json", "--model", golden("qwen2-linear"), "--prompts", "-"}, "{\"token_ids\":[1]}\n");
  EXPECT_EQ(o.code, 0);
  EXPECT_EQ(o.err, "");
}

}  // namespace
}  // namespace attune::test
