// attune verify: the declared kernels against the reference, on this machine.
#include "attune/verify.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "commands.h"
#include "terminal.h"

namespace attune::cli {
namespace {

void write_report(const std::string& path, const std::string& json) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const std::string text = json + "\n";
  size_t at = 0;
  while (fd >= 0 && at < text.size()) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  const int error = errno;
  const bool closed = fd >= 0 && ::close(fd) == 0;
  if (at < text.size() || !closed) fail(ErrorCode::io_error, path, "a file that can be written", std::strerror(error));
}

/// The planted defects have cases of their own, on the CPU.
void check_alone(const Arguments& args) {
  for (const std::string_view flag : {"--list", "--mode", "--op", "--kernel", "--require", "--desc", "--suite", "--plant", "--samples", "--all",
                                      "--shard", "--seconds", "--threads", "--markdown", "--csv", "--warm-cache"})
    if (args.has(flag)) fail(ErrorCode::invalid_argument, args.source(flag), "no --planted beside it, which has cases of its own", "both");
  if (args.text("--device", "cpu") != "cpu")
    fail(ErrorCode::invalid_argument, args.source("--device"), "cpu beside --planted, whose kernels run there", args.text("--device"));
}

/// What a mode would pass over is refused: a run holds only if everything asked for did.
void check_mode(const Arguments& args, const std::string& mode) {
  const bool bench = mode == "bench", fuzz = mode == "fuzz";
  for (const auto& [flag, is_of_it] :
       {std::pair{"--suite", !bench && !fuzz}, std::pair{"--samples", !bench && !fuzz}, std::pair{"--all", !bench && !fuzz},
        std::pair{"--shard", !bench && !fuzz}, std::pair{"--seconds", fuzz}, std::pair{"--threads", bench}, std::pair{"--markdown", bench},
        std::pair{"--csv", bench}, std::pair{"--warm-cache", bench}})
    if (args.has(flag) && !is_of_it)
      fail(ErrorCode::invalid_argument, args.source(flag), fmt::format("an option of --mode {}", mode), std::string(flag) + ", which is none");
}

}  // namespace

int run_verify(const Arguments& args) {
  if (!args.positionals().empty()) fail(ErrorCode::invalid_argument, "verify", "--op OP or --kernel GLOB", args.positionals()[0]);
  VerifyQuery q;
  q.mode = args.text("--mode", q.mode);
  q.op = args.text("--op");
  q.kernels = args.list("--kernel");
  q.require = args.list("--require");
  q.desc = args.text("--desc");
  q.suite = args.text("--suite");
  q.plant = args.text("--plant");
  q.device = args.text("--device", q.device);
  q.samples = args.integer("--samples", q.samples);
  q.all = args.has("--all");
  q.shard = args.text("--shard");
  q.seed = args.natural("--seed", q.seed);
  q.seconds = args.number("--seconds", q.seconds);
  q.threads = static_cast<int>(args.integer("--threads", q.threads));
  q.record = verify_record_path();
  q.cold = !args.has("--warm-cache");
  const bool json = args.has("--json"), tables = wants_bench_tables(args);
  if (!json && !tables)
    q.on_line = [](const std::string& line) {
      end_progress();
      write_out(line + "\n");
    };
  q.on_plan = [](const std::string& line) { write_note(line); };
  q.stop = [] { return interrupted() != 0; };
  args.has("--planted") ? check_alone(args) : check_mode(args, q.mode);
  q.child = {"/proc/self/exe", std::string(kVerifyChild)};
  const bool checks = q.mode != "bench" && !args.has("--planted") && !args.has("--list");
  if (checks) watch_for_interrupt();
  const VerifyOutcome outcome = args.has("--planted") ? verify_planted(q) : args.has("--list") ? verify_list(q) : verify(q);
  if (json) write_out(outcome.json + "\n");
  if (tables) write_bench_tables(args, outcome.json);
  if (args.has("--report")) write_report(args.text("--report"), outcome.json);
  if (interrupted() != 0) return 128 + interrupted();
  return outcome.held ? 0 : kSomeFailed;
}

int run_verify_child(const std::string& device) {
  verify_child(STDIN_FILENO, device);
  return 0;
}

}  // namespace attune::cli
