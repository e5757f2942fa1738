#include "core/log.h"

#include <utility>

namespace attune {
namespace {

LogSink g_sink;
LogLevel g_lowest = LogLevel::info;
ProgressSink g_progress;

}  // namespace

void set_log_sink(LogSink sink, LogLevel lowest) {
  g_sink = std::move(sink);
  g_lowest = lowest;
}

void set_progress_sink(ProgressSink sink) { g_progress = std::move(sink); }

bool log_enabled(LogLevel level) { return g_sink && level >= g_lowest; }

void log_line(LogLevel level, std::string_view line) {
  if (log_enabled(level)) g_sink(level, line);
}

void report_progress(std::string_view what, long long done, long long total) {
  if (g_progress) g_progress(what, done, total);
}

}  // namespace attune
