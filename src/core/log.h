#pragma once

#include <fmt/format.h>

#include "attune/log.h"

namespace attune {

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view line);
void report_progress(std::string_view what, long long done, long long total);

template <class... Args>
void log_info(fmt::format_string<Args...> f, Args&&... args) {
  if (log_enabled(LogLevel::info)) log_line(LogLevel::info, fmt::format(f, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> f, Args&&... args) {
  if (log_enabled(LogLevel::warning)) log_line(LogLevel::warning, fmt::format(f, std::forward<Args>(args)...));
}

template <class... Args>
void log_debug(fmt::format_string<Args...> f, Args&&... args) {
  if (log_enabled(LogLevel::debug)) log_line(LogLevel::debug, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace attune
