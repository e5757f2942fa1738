#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "select/select.h"

namespace attune {

/// How long a kernel took.
struct TunedTime {
  int version = 1;  ///< of the kernel
  double median_us = 0;
  double spread = 0;  ///< distance of the quartiles over the median
  int64_t samples = 0;
  int64_t time = 0;  ///< when, in seconds since 1970
  bool operator==(const TunedTime&) const = default;
};

/// Measured times of kernels, by device, op, desc and bucket: what `attune bench --save` writes and selection reads.
class TuningTable {
 public:
  /// Replaces what was known of this kernel there.
  void add(const std::string& device, const std::string& op, const std::string& desc, const Bucket& bucket, const std::string& kernel,
           const TunedTime& time);

  /// The kernels measured there.
  std::vector<Measurement> find(const std::string& device, const std::string& op, const std::string& desc, const Bucket& bucket) const;

  size_t size() const { return times_.size(); }
  bool operator==(const TuningTable&) const = default;

  /// The table as JSON, one measured time a line, and back. A file is hostile: InvalidArgument for what is too large, no JSON, not of the form.
  std::string text() const;
  static TuningTable parse(std::string_view text);

 private:
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string>;  // device, op, desc, bucket, kernel
  std::map<Key, TunedTime> times_;
};

/// What times hold for: the device's model and driver; on a CPU also the number of threads.
std::string tuning_device(const DeviceProps& device, int threads);

/// The file in a cache folder; empty if that is.
std::string tuning_table_path(const std::string& cache_folder);

/// The table in a file: empty if there is none; a broken one gives nothing, and says why in `complaint`.
TuningTable read_tuning_table(const std::string& path, std::string* complaint = nullptr);

/// Replaces the file at once; makes its folder. IoError.
void write_tuning_table(const std::string& path, const TuningTable& table);

}  // namespace attune
