#pragma once

#include <string>
#include <string_view>

#include "attune/error.h"
#include "attune/log.h"

namespace attune::cli {

/// Throws Error whose message is `where: expected …; got …`.
[[noreturn]] void fail(ErrorCode code, std::string_view where, std::string_view expected, std::string_view got);

/// Writes to stdout at once; IoError if it does not arrive whole (disk full, reader gone).
void write_out(std::string_view text);

/// Writes a line to stderr; what goes wrong there is ignored.
void write_note(std::string_view line);

/// Log lines of the library go to stderr; progress of work that takes over a second too: a bar on a terminal, else plain lines.
void show_log(LogLevel lowest);
void show_progress();
/// Takes the bar away, if there is one.
void end_progress();

/// From now on the first Ctrl-C (or SIGTERM) is only remembered; a second one ends the process.
void watch_for_interrupt();

/// From now on the same signals end the program at once, with a line: while it loads nothing is worth keeping.
void end_at_interrupt();
/// The signal that came, else 0.
int interrupted();

/// A reader that goes away becomes an IoError instead of a signal.
void ignore_broken_pipe();

/// Columns for --help.
size_t help_width();

}  // namespace attune::cli
