#include "tune/tuning_table.h"

#include <cmath>

#include "core/error.h"
#include "proof/cache_file.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

constexpr CacheFileLimits kLimits{.what = "tuning table", .bytes = size_t{16} << 20};
constexpr size_t kMostTimes = 50'000, kLongestText = 1000;
constexpr int64_t kYear9999 = 253402300799, kMostSamples = int64_t{1} << 40;
constexpr double kLongest = 1e12;  // µs

/// A bucket without what the op has no use for.
std::string bucket_text(const std::string& op, Bucket b) {
  if (op == "attention") b.rows = 1;
  if (op == "matmul") b.sequences = b.longest_kv = 1;
  return to_text(b);
}

}  // namespace

void TuningTable::add(const std::string& device, const std::string& op, const std::string& desc, const Bucket& bucket, const std::string& kernel,
                      const TunedTime& time) {
  if (times_.size() < kMostTimes) times_[{device, op, desc, bucket_text(op, bucket), kernel}] = time;
}

std::vector<Measurement> TuningTable::find(const std::string& device, const std::string& op, const std::string& desc, const Bucket& bucket) const {
  std::vector<Measurement> out;
  const std::string at = bucket_text(op, bucket);
  for (auto it = times_.lower_bound({device, op, desc, at, ""}); it != times_.end(); ++it) {
    const auto& [d, o, text, b, kernel] = it->first;
    if (d != device || o != op || text != desc || b != at) break;
    out.push_back({.kernel = kernel, .median_us = it->second.median_us, .version = it->second.version});
  }
  return out;
}

std::string TuningTable::text() const {
  std::string out = fmt::format("{{\"format\": {}, \"times\": [", kLimits.format);
  for (const char* separator = "\n"; const auto& [key, t] : times_) {
    const auto& [device, op, desc, bucket, kernel] = key;
    const Json row{
        {"device", device},         {"op", op},           {"desc", desc},         {"bucket", bucket}, {"kernel", kernel}, {"version", t.version},
        {"median_us", t.median_us}, {"spread", t.spread}, {"samples", t.samples}, {"time", t.time}};
    out += separator + row.dump(-1, ' ', false, Json::error_handler_t::replace);
    separator = ",\n";
  }
  return out + "\n]}\n";
}

TuningTable TuningTable::parse(std::string_view text) {
  const Json j = parse_cache_text(kLimits, text);
  const CacheObject whole(kLimits, j);
  const Json& rows = whole.member("times");
  if (!rows.is_array() || rows.size() > kMostTimes) whole.bad(fmt::format("\"times\" with at most {} rows", kMostTimes), "something else");
  TuningTable out;
  for (const Json& row : rows) {
    const CacheObject of(kLimits, row);
    const auto word = [&](const char* name) { return of.text(name, kLongestText); };
    TunedTime t{.version = static_cast<int>(of.integer("version", INT32_MAX)), .median_us = of.real("median_us"), .spread = of.real("spread")};
    t.samples = of.integer("samples", kMostSamples), t.time = of.integer("time", kYear9999);
    if (!(t.median_us > 0 && t.median_us < kLongest)) of.bad("\"median_us\" above 0", fmt::format("{}", t.median_us));
    if (!std::isfinite(t.spread)) of.bad("\"spread\" finite", "infinity");
    out.times_[{word("device"), word("op"), word("desc"), word("bucket"), word("kernel")}] = t;
  }
  return out;
}

std::string tuning_device(const DeviceProps& device, int threads) {
  return device.kind == DeviceKind::cpu ? fmt::format("{}, {} threads", device.model, threads)
                                        : fmt::format("{}, driver {}", device.model, device.driver);
}

std::string tuning_table_path(const std::string& cache_folder) { return cache_folder.empty() ? "" : cache_folder + "/tuning.json"; }

TuningTable read_tuning_table(const std::string& path, std::string* complaint) {
  try {
    const auto text = read_cache_file(kLimits, path);
    return text ? TuningTable::parse(*text) : TuningTable{};
  } catch (const Error& e) {
    if (complaint) *complaint = e.message();
    return {};
  }
}

void write_tuning_table(const std::string& path, const TuningTable& table) { write_cache_file(path, table.text()); }

}  // namespace attune
