// Every distinct allocation site of loading a model and generating with it fails once, each in a process of its own:
//
//     alloc_failures [--runs N] [--part K/N] [--verbose]
//
// `--part` runs every Nth of the sites, from the Kth (0 to N-1): several such processes share the work.
// After the failure there must be an attune::Error or a failed request, or the right tokens. Then the same process loads and generates again:
// the tokens must be right and no block may be left over. A site where third-party code ends the process is listed with its stack; any other
// end of a process fails the run.
#include <cxxabi.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "allocations.h"
#include "attune/engine.h"
#include "attune/error.h"

namespace attune {
namespace {

namespace alloc = allocations;

constexpr int64_t kRoom = 1 << 15;
constexpr int kRequests = 4;

enum class Ending : int { unknown, right, error, failed_request, wrong, other_exception, leak, lasting };
constexpr const char* kEndings[] = {"died", "went on", "attune::Error", "failed request", "WRONG TOKENS", "OTHER EXCEPTION", "LEAK", "NO RECOVERY"};

/// What a child tells its parent, in memory they share.
struct Shared {
  Ending ending;
  int code;  // of the Error
  int64_t live, requests, sites;
  char text[400];
  alloc::Site table[kRoom];
};

void tell(Shared& out, std::string_view text) {
  const size_t n = std::min(text.size(), sizeof out.text - 1);
  std::memcpy(out.text, text.data(), n);
  out.text[n] = 0;
}

/// Tokens and ends of the requests, in memory of their own: the callback asks for none.
struct Outcome {
  uint64_t tokens = 0;
  int ended = 0, failed = 0;
  int error = -1;  // the code of an Error that came through the API
  char text[300] = {};
};

Request request_of(int index, const Engine& engine, Outcome& out) {
  Request r;
  if (index == 0) {
    std::string messages;
    {
      const alloc::Uncounted own;
      messages = R"([{"role":"user","content":"Tom has 3 boxes of 4 pens. How many pens?"}])";
    }
    r.prompt = engine.apply_chat_template(messages);
  }
  const alloc::Uncounted own;
  if (index == 1) r.prompt = "Tom has 3 boxes of 4 pens. Mia has 2.";
  if (index == 3) r.token_ids = {30, 31, 32};
  if (index == 2) r.token_ids = {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};
  r.sampling.temperature = index == 0 ? 0 : 1;
  r.sampling.max_tokens = 6;
  r.sampling.seed = 7;
  r.sampling.ignore_eos = true;
  if (index == 0) r.sampling.stop = {"zzz", "yyy"};
  if (index == 1) r.sampling.n = 2, r.sampling.top_p = 0.9, r.sampling.repetition_penalty = 1.1, r.sampling.logit_bias = {{3, 1.0f}};
  if (index == 2) r.sampling.logprobs = 2, r.sampling.prompt_logprobs = 1, r.sampling.min_tokens = 2;
  if (index == 3) r.sampling.max_tokens = 16;  // its last steps run alone, in flight
  r.on_event = [&out](const RequestEvent& e) {
    if (!e.finished) return;
    ++out.ended;
    if (e.completion->finish_reason == FinishReason::error) {
      ++out.failed;
      return;
    }
    uint64_t h = e.id * 31 + static_cast<uint64_t>(e.index);
    for (const int32_t t : e.completion->token_ids) h = (h ^ static_cast<uint64_t>(t)) * 1099511628211ull;
    out.tokens += h;  // the order of the ends does not matter
  };
  return r;
}

template <class F>
void guarded(Outcome& out, F&& f) {
  try {
    f();
  } catch (const Error& e) {
    out.error = static_cast<int>(e.code());
    std::strncpy(out.text, e.what(), sizeof out.text - 1);
  }
}

EngineOptions options() {
  const alloc::Uncounted own;
  EngineOptions o;
  o.model = std::string(ATTUNE_SOURCE_DIR) + "/models/abacus";
  o.threads = 2, o.max_num_seqs = 4, o.max_num_batched_tokens = 32, o.max_model_len = 128;
  o.async_scheduling = true;  // steps in flight while memory runs out, too
  return o;
}

/// Load, generate, take down. Exceptions other than Error leave it.
Outcome course() {
  Outcome out;
  guarded(out, [&] {
    Engine engine(options());
    for (int i = 0; i < kRequests; ++i) guarded(out, [&] { engine.submit(request_of(i, engine, out)); });
    for (bool more = true; more;) guarded(out, [&] { more = false, more = engine.step(); });
    for (bool more = true; more;) guarded(out, [&] { more = engine.step(); });  // a step that could not be planned has lost nothing
  });
  return out;
}

/// `left_over`: blocks that two courses without a failure leave: what is made once and kept.
void judge(Shared& shared, int64_t ordinal, const Outcome& good, int64_t left_over) {
  const int64_t before = alloc::live_blocks();
  Outcome out;
  alloc::arm(ordinal);
  try {
    out = course();
  } catch (const std::exception& e) {
    alloc::disarm();
    shared.ending = Ending::other_exception;
    return tell(shared, e.what());
  }
  alloc::disarm();
  if (!alloc::failed()) return tell(shared, "the request to fail never came");
  Ending ending = out.error >= 0 ? Ending::error : out.failed > 0 ? Ending::failed_request : Ending::right;
  if (ending == Ending::right && (out.tokens != good.tokens || out.ended != good.ended)) ending = Ending::wrong;
  shared.code = out.error;
  tell(shared, out.text);
  const Outcome again = course();
  shared.live = alloc::live_blocks() - before - left_over;
  if (again.error >= 0 || again.tokens != good.tokens || again.failed > 0)
    ending = Ending::lasting;
  else if (shared.live > 0 && ending != Ending::wrong)  // fewer: what is kept for the process (PCRE2's executable page) was never made
    ending = Ending::leak;
  shared.ending = ending;
}

/// Runs `f` in a child; the wait status.
template <class F>
int in_child(F&& f) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (!std::freopen("/dev/null", "w", stderr)) _exit(1);
    const rlimit limit{60, 60};  // of computing: a busy machine ends nobody
    setrlimit(RLIMIT_CPU, &limit);
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

/// The functions of a stack that have names, innermost first.
std::vector<std::string> names_of(const alloc::Site& site) {
  std::vector<std::string> out;
  char** symbols = backtrace_symbols(site.stack.data(), site.frames);
  for (int i = 0; i < site.frames; ++i) {
    const std::string line = symbols[i];
    const size_t open = line.find('('), plus = line.find('+', open);
    if (open == std::string::npos || plus == std::string::npos || plus == open + 1) continue;
    const std::string mangled = line.substr(open + 1, plus - open - 1);
    int status = 0;
    char* name = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
    out.push_back(status == 0 ? name : mangled);
    std::free(name);
  }
  std::free(symbols);
  return out;
}

/// The third-party function on the stack that may not throw, if there is one: it ends the process when memory runs out below it.
std::string terminating(const std::vector<std::string>& names) {
  for (const std::string& n : names)
    if (n.find("nlohmann") != std::string::npos && n.find("::destroy(") != std::string::npos) return "nlohmann::basic_json::json_value::destroy";
  return "";
}

struct Totals {
  std::map<std::string, int64_t> endings, third_party;
  int64_t bad = 0;
};

struct Part {
  int64_t index = 0, count = 1;
};

void run_one(Shared& shared, const alloc::Site& site, const Outcome& good, int64_t left_over, bool verbose, Totals& totals) {
  shared.ending = Ending::unknown, shared.text[0] = 0;
  const int status = in_child([&] { judge(shared, site.ordinal, good, left_over); });
  const auto names = names_of(site);
  const bool died = !WIFEXITED(status) || shared.ending == Ending::unknown;
  const std::string outsider = died ? terminating(names) : "";
  std::string ending = kEndings[static_cast<int>(shared.ending)];
  if (!outsider.empty()) {
    ++totals.third_party[outsider];
    ending = "ended by third-party code";
  }
  ++totals.endings[ending];
  const bool bad = outsider.empty() && (died || shared.ending >= Ending::wrong);
  totals.bad += bad;
  if (!bad && !verbose) return;
  fmt::print("request {}: {} (signal {}, {} blocks left over) {}\n", site.ordinal, ending, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             shared.ending == Ending::leak ? shared.live : 0, shared.text);
  if (bad)
    for (const std::string& n : names) fmt::print("    {}\n", n.substr(0, 200));
}

int run(int64_t most, Part part, bool verbose) {
  auto* shared = static_cast<Shared*>(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED) return 2;
  auto* good = new (shared->text) Outcome;  // overwritten by tell() only after it was copied
  static_assert(sizeof(Outcome) <= sizeof shared->text);
  in_child([&] {
    const int64_t before = alloc::live_blocks();
    alloc::arm_and_note(shared->table, kRoom);
    const Outcome first = course();
    alloc::disarm();
    shared->requests = alloc::requests(), shared->sites = alloc::noted();
    const int64_t once = alloc::live_blocks();
    const Outcome second = course();
    const int64_t twice = alloc::live_blocks();
    shared->live = twice - before;
    shared->ending = once == twice && first.tokens == second.tokens && first.error < 0 && first.failed == 0 ? Ending::right : Ending::wrong;
    *good = first;
  });
  const Outcome expected = *good;
  const int64_t left_over = shared->live;
  if (shared->ending != Ending::right || expected.ended != kRequests + 1) {
    fmt::print("without a failure: expected two equal courses that leave nothing over; got {} ends, {} {}\n", expected.ended,
               kEndings[static_cast<int>(shared->ending)], expected.text);
    return 1;
  }
  std::vector<alloc::Site> sites;
  for (const alloc::Site& s : shared->table)
    if (s.hash != 0) sites.push_back(s);
  std::sort(sites.begin(), sites.end(), [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  const auto count = static_cast<int64_t>(sites.size()), runs = std::min(most, count);
  fmt::print("{} requests for memory at {} sites; {} runs, of which part {} of {}\n", shared->requests, count, runs, part.index, part.count);
  Totals totals;
  for (int64_t i = part.index; i < runs; i += part.count)
    run_one(*shared, sites[static_cast<size_t>(i * count / runs)], expected, left_over, verbose, totals);
  for (const auto& [name, n] : totals.endings) fmt::print("{:5}  {}\n", n, name);
  for (const auto& [name, n] : totals.third_party) fmt::print("{:5}  sites below {}, which may not throw and so ends the process\n", n, name);
  fmt::print("{}\n", totals.bad == 0 ? "held" : fmt::format("FAILED at {} sites", totals.bad));
  return totals.bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace attune

int main(int count, char** arguments) {
  int64_t runs = attune::kRoom;  // every site
  bool verbose = false;
  attune::Part part;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--verbose") verbose = true;
    if (argument == "--runs" && i + 1 < count) runs = std::atoll(arguments[++i]);
    if (argument == "--part" && i + 1 < count && std::sscanf(arguments[++i], "%ld/%ld", &part.index, &part.count) != 2) part.count = 0;
  }
  if (part.index < 0 || part.index >= part.count) {
    fmt::print(stderr, "alloc_failures: --part: expected K/N with 0 <= K < N\n");
    return 2;
  }
  return attune::run(runs, part, verbose);
}
