#pragma once

#include <functional>
#include <string_view>

namespace attune {

enum class LogLevel { debug, info, warning, error };

/// Receives every log line of the library; the library itself never prints.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Installs the sink (an empty one silences the log). Not thread-safe against concurrent logging: install it first.
void set_log_sink(LogSink sink, LogLevel lowest = LogLevel::info);

/// Receives progress of long work: what is done, how much of how much (bytes or items).
using ProgressSink = std::function<void(std::string_view what, long long done, long long total)>;

void set_progress_sink(ProgressSink sink);

}  // namespace attune
