// The tuning table: what selection finds in it, and files that nobody should trust.
#include "tune/tuning_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "ops/catalogue.h"

namespace attune {
namespace {

using testing::HasSubstr;

constexpr const char* kDevice = "a CPU, 2 threads";

TuningTable some_table() {
  TuningTable t;
  t.add(kDevice, "attention", "q=f32 kv=f32", {4, 2048, 1}, "cpu.attention.avx2", {.median_us = 12.5, .spread = 0.01, .samples = 25, .time = 1});
  t.add(kDevice, "attention", "q=f32 kv=f32", {4, 2048, 1}, "cpu.attention.plain", {.version = 3, .median_us = 40});
  t.add(kDevice, "attention", "q=f32 kv=f32", {8, 2048, 1}, "cpu.attention.avx2", {.median_us = 30});
  t.add(kDevice, "matmul", "n=64", {1, 1, 64}, "cpu.matmul.avx2", {.median_us = 3});
  return t;
}

TEST(TuningTable, FindsWhatWasMeasuredThereAlone) {
  const TuningTable t = some_table();
  const auto found = t.find(kDevice, "attention", "q=f32 kv=f32", {4, 2048, 1});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].kernel, "cpu.attention.avx2");
  EXPECT_EQ(found[0].median_us, 12.5);
  EXPECT_EQ(found[1].version, 3);
  EXPECT_TRUE(t.find("a CPU, 4 threads", "attention", "q=f32 kv=f32", {4, 2048, 1}).empty());
  EXPECT_TRUE(t.find(kDevice, "attention", "q=f32 kv=bf16", {4, 2048, 1}).empty());
  EXPECT_TRUE(t.find(kDevice, "attention", "q=f32 kv=f32", {4, 4096, 1}).empty());
  EXPECT_TRUE(t.find(kDevice, "matmul", "n=64", {1, 1, 1}).empty());
  // Rows are no part of attention's bucket, sequences and keys none of a matmul's.
  EXPECT_EQ(t.find(kDevice, "attention", "q=f32 kv=f32", {4, 2048, 77}).size(), 2u);
  EXPECT_EQ(t.find(kDevice, "matmul", "n=64", {9, 9, 64}).size(), 1u);
}

TEST(TuningTable, ALaterTimeReplacesAnEarlier) {
  TuningTable t = some_table();
  const size_t before = t.size();
  t.add(kDevice, "matmul", "n=64", {1, 1, 64}, "cpu.matmul.avx2", {.median_us = 2});
  EXPECT_EQ(t.size(), before);
  EXPECT_EQ(t.find(kDevice, "matmul", "n=64", {1, 1, 64})[0].median_us, 2);
}

TEST(TuningTable, TextRoundTripsOneTimeALine) {
  const TuningTable t = some_table();
  EXPECT_EQ(TuningTable::parse(t.text()), t);
  EXPECT_EQ(TuningTable::parse(TuningTable{}.text()), TuningTable{});
  const std::string text = t.text();
  EXPECT_EQ(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')), t.size() + 2);
}

TEST(TuningTable, BadTextIsRefused) {
  const std::string good = some_table().text();
  for (const std::string bad :
       {"", "[]", "{", "{}", "{\"format\": 2, \"times\": []}", "{\"format\": 1}", "{\"format\": 1, \"times\": {}}", "{\"format\": 1, \"times\": [1]}",
        "{\"format\": 1, \"times\": [[[[[[[[[[[]]]]]]]]]]]}", "{\"format\": 1, \"times\": [{}]}", "\xff\xfe"})
    EXPECT_THROW(TuningTable::parse(bad), Error) << bad;
  const std::pair<const char*, const char*> edits[] = {{"\"median_us\":12.5", "\"median_us\":0"},
                                                       {"\"median_us\":12.5", "\"median_us\":-1"},
                                                       {"\"median_us\":12.5", "\"median_us\":\"infinity\""},
                                                       {"\"median_us\":12.5", "\"median_us\":null"},
                                                       {"\"median_us\":12.5", "\"median_us\":1e300"},
                                                       {"\"samples\":25", "\"samples\":-25"},
                                                       {"\"samples\":25", "\"samples\":2.5"},
                                                       {"\"version\":3", "\"version\":99999999999"},
                                                       {"\"version\":3", "\"version\":true"},
                                                       {"\"spread\":0.01", "\"spread\":\"infinity\""},
                                                       {"\"op\":\"matmul\"", "\"op\":7"},
                                                       {"\"time\":1,", ""},
                                                       {"\"kernel\":\"cpu.matmul.avx2\"", "\"kernel\":[]"}};
  for (const auto& [from, to] : edits) {
    std::string text = good;
    const size_t at = text.find(from);
    if (at == std::string::npos) continue;
    text.replace(at, std::string(from).size(), to);
    EXPECT_THROW(TuningTable::parse(text), Error) << from << " -> " << to;
  }
  std::string deep = good;
  EXPECT_THROW(TuningTable::parse(std::string(17 << 20, ' ')), Error);
  EXPECT_THROW(TuningTable::parse("{\"format\": 1, \"times\": [{\"device\": \"" + std::string(5000, 'x') + "\"}]}"), Error);
}

TEST(TuningTable, EveryCutAndFlippedByteIsReadOrRefused) {
  const std::string good = some_table().text();
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_THROW(TuningTable::parse(std::string_view(good).substr(0, good.size() - 3 - i % (good.size() - 3))), Error);
    std::string text = good;
    text[i] = static_cast<char>(text[i] ^ (1 << i % 8));
    try {
      const TuningTable t = TuningTable::parse(text);
      EXPECT_EQ(TuningTable::parse(t.text()), t) << i;
    } catch (const Error&) {
    }
  }
}

TEST(TuningTable, FilesComeBackAndBrokenOnesSayWhy) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("attune-tuning-" + std::to_string(getpid()));
  const std::string path = tuning_table_path((folder / "attune").string());
  std::string complaint;
  EXPECT_EQ(read_tuning_table(path, &complaint), TuningTable{});
  EXPECT_EQ(complaint, "");
  write_tuning_table(path, some_table());
  EXPECT_EQ(read_tuning_table(path, &complaint), some_table());
  std::ofstream(path) << "{\"format\": 1, \"times\": [{}]}";
  EXPECT_EQ(read_tuning_table(path, &complaint), TuningTable{});
  EXPECT_THAT(complaint, HasSubstr("tuning table: expected"));
  EXPECT_EQ(read_tuning_table(folder.string(), &complaint), TuningTable{});
  EXPECT_THAT(complaint, HasSubstr("a plain file"));
  EXPECT_THROW(write_tuning_table("/proc/none/x.json", some_table()), Error);
  EXPECT_EQ(tuning_table_path(""), "");
  std::filesystem::remove_all(folder);
}

TEST(TuningTable, DecidesAndIgnoresOtherVersions) {
  const DeviceProps cpu = detect_cpu();
  EmbedKernel slow = *catalogue().kernels<Embed>().front();
  slow.info.tier = Tier::portable;
  EmbedKernel fast = slow;
  slow.info.name = "cpu.embed.slow", fast.info.name = "cpu.embed.fast", fast.info.version = 2;
  const EmbedKernel* both[] = {&slow, &fast};
  TuningTable t;
  const std::string desc = to_text(EmbedDesc{}), device = tuning_device(cpu, 2);
  t.add(device, "embed", desc, {}, "cpu.embed.slow", {.median_us = 10});
  const auto chosen = [&] { return select<Embed>(both, cpu, {}, "", {}, t.find(device, "embed", desc, {}), {}); };
  EXPECT_EQ(chosen().chosen->name, "cpu.embed.slow");
  EXPECT_FALSE(chosen().eligible[1].median_us);
  t.add(device, "embed", desc, {}, "cpu.embed.fast", {.version = 1, .median_us = 5});
  EXPECT_EQ(chosen().chosen->name, "cpu.embed.slow") << "that was another version";
  t.add(device, "embed", desc, {}, "cpu.embed.fast", {.version = 2, .median_us = 9.8});
  EXPECT_EQ(chosen().chosen->name, "cpu.embed.slow") << "less than 3 %";
  t.add(device, "embed", desc, {}, "cpu.embed.fast", {.version = 2, .median_us = 5});
  EXPECT_EQ(chosen().chosen->name, "cpu.embed.fast");
  EXPECT_THAT(chosen().rule, HasSubstr("measured 50.0 % faster than the default cpu.embed.slow"));
}

}  // namespace
}  // namespace attune
