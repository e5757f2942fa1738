// The engine: submit → schedule → launch → collect. Start reading here.
#include "attune/engine.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <unordered_map>

#include "build_info.h"
#include "core/memory_errors.h"
#include "core/thread_pool.h"
#include "engine/explain.h"
#include "engine/load.h"
#include "engine/memory_plan.h"
#include "engine/request_checks.h"
#include "engine/sampler.h"
#include "engine/stop_rules.h"

namespace attune {
namespace {

constexpr bool kCheckBlocks = std::string_view(build::kBuildType) == "Debug" || !std::string_view(build::kSanitize).empty();

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct Engine::State final : LaunchTrace {
  explicit State(const EngineOptions& o)
      : options(with_device_defaults(o)),
        pool(o.threads),
        binder(binder_options(options, pool.size())),
        device(binder.runtime()),
        stream(device.make_stream()),
        loaded(load_model(options, binder, pool)),
        blocks(loaded.info.num_blocks, loaded.info.block_size, o.enable_prefix_caching),
        scheduler({o.max_num_seqs, options.max_num_batched_tokens}, [this](int32_t from, int32_t to) { loaded.kv->copy_block(from, to, stream); }),
        runner(device, stream, *loaded.model, *loaded.kv,
               runner_limits(options, device.props().kind, loaded.info.max_model_len, loaded.info.vocab_size)),
        sampler(device, stream, *loaded.sample_kernels, runner.logits_rows(), runner.drawn(), loaded.eos_ids, o.seed),
        stop{loaded.eos_ids, loaded.info.max_model_len},
        workspace(device.allocate(static_cast<size_t>(binder.lock_workspace()), "workspace")) {
    loaded.info.threads = pool.size();
    loaded.info.probe_seconds = binder.probe_seconds();
    if (o.probe) log_info("kernels probed in {:.2f} s", loaded.info.probe_seconds);
    binder.end_probes();
    loaded.info.fingerprint = binder.fingerprint();
    ctx = {.pool = &pool, .stream = stream.get(), .workspace = {workspace.data(), workspace.bytes()}, .trace = nullptr};
    loaded.info.workspace_bytes = static_cast<int64_t>(workspace.bytes()), loaded.info.workspace_kernel = binder.workspace_kernel();
    if (on_gpu() && o.graphs) {
      const auto start = std::chrono::steady_clock::now();
      loaded.info.graphs = runner.capture_graphs(ctx, binder.selections());
      loaded.info.graph_seconds = seconds_since(start);
    }
    if (o.trace_kernels) ctx.trace = this;
  }

  bool on_gpu() const { return device.props().kind != DeviceKind::cpu; }

  void launched(std::string_view op, std::string_view role, std::string_view variant, std::string_view kernel) override {
    launches.push_back({stats.steps, std::string(op), std::string(role), std::string(variant), std::string(kernel)});
  }

  /// A step that was launched and is not collected: its tokens may still be being drawn.
  struct Flight {
    std::vector<Slice> plan;
    std::vector<RowUse> rows;
    int slot = 0;  ///< of the sampler
  };

  std::vector<RowResult> launch(const std::vector<Slice>& plan);
  bool may_fly(const std::vector<Slice>& plan) const;
  Flight take_off(const std::vector<Slice>& plan);
  void pass_on();
  void settle();
  void attempt(const std::vector<Slice>& plan, const std::function<void()>& part);
  void collect(const std::vector<Slice>& plan, const std::vector<RowUse>& rows, const std::vector<RowResult>& results);
  Sequence& sequence_of(const RowUse& use);
  uint64_t submit(Request&& request);
  void fail_requests(const std::vector<Slice>& plan, const std::string& error);
  void finish(Sequence& s, FinishReason reason, const std::string& error = "");
  void emit(Sequence& s);
  void finish_cancelled();
  void drop_finished();

  EngineOptions options;
  ThreadPool pool;
  KernelBinder binder;
  Device& device;
  Stream stream;
  LoadedModel loaded;
  BlockPool blocks;
  Scheduler scheduler;
  ModelRunner runner;
  Sampler sampler;
  StopRules stop;
  Buffer workspace;
  ExecContext ctx;
  std::unordered_map<uint64_t, std::unique_ptr<RequestState>> requests;
  std::vector<uint64_t> order;  // of submission: events come in this order
  std::optional<Flight> flight;
  uint64_t next_id = 1;
  int last_slot = 0;  // of the sampler, that a flight took
  EngineStats stats;
  std::vector<LaunchRecord> launches;
};

Engine::Engine(const EngineOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  with_memory_errors("engine", [&] {
    validate(options);
    try {
      state_ = std::make_unique<State>(options);
    } catch (const Error& e) {
      throw with_memory_advice(e, options);
    }
    check_roles(options.kernels, state_->binder.selections());
  });
  state_->stats.load_seconds = seconds_since(start);
}

Engine::~Engine() {
  if (state_) state_->settle();  // a step in flight uses memory that goes now
}
Engine::Engine(Engine&&) noexcept = default;

uint64_t Engine::submit(Request request) {
  return with_memory_errors("request", [&] { return state_->submit(std::move(request)); });
}

/// Nothing is kept of a request that could not be taken whole.
uint64_t Engine::State::submit(Request&& request) {
  State& s = *this;
  validate(request.sampling);
  const SamplingParams& p = request.sampling;
  if (p.n > s.options.max_num_seqs) invalid("n", fmt::format("at most --max-num-seqs ({})", s.options.max_num_seqs), std::to_string(p.n));
  if (request.token_ids.empty()) {
    if (!s.loaded.tokenizer) invalid("prompt", "token_ids, as no tokenizer is loaded", "text");
    request.token_ids = s.loaded.tokenizer->encode(request.prompt, request.add_special_tokens);
  }
  if (!p.stop.empty() && !s.loaded.tokenizer) invalid("stop", "a tokenizer", "none loaded");
  check_prompt(request, s.loaded.info);
  auto state = std::make_unique<RequestState>();
  state->id = s.next_id++;
  state->prompt_tokens = static_cast<int64_t>(request.token_ids.size());
  state->request = std::move(request);
  auto first = std::make_unique<Sequence>(*state, 0, s.blocks);
  first->tokens = state->request.token_ids;
  if (s.loaded.tokenizer) first->decoder = std::make_unique<StreamDecoder>(s.loaded.tokenizer, p.skip_special_tokens);
  Sequence& sequence = *first;
  state->samples.push_back(std::move(first));
  const uint64_t id = state->id;
  s.requests.emplace(id, std::move(state));
  try {
    s.order.push_back(id);
    s.scheduler.enqueue(sequence);
  } catch (...) {
    std::erase(s.order, id);
    s.requests.erase(id);
    throw;
  }
  return id;
}

void Engine::cancel(uint64_t id) {
  if (const auto it = state_->requests.find(id); it != state_->requests.end()) it->second->cancelled = true;
}

bool Engine::step() {
  State& s = *state_;
  s.device.make_current();
  s.finish_cancelled();
  const auto start = std::chrono::steady_clock::now();
  if (s.flight) s.pass_on();
  if (s.flight) {
    s.stats.decode_seconds += seconds_since(start);
    return true;
  }
  const std::vector<Slice> plan = with_memory_errors("scheduler", [&] { return s.scheduler.schedule(); });
  if (plan.empty()) {
    if (!s.scheduler.idle()) fail(ErrorCode::internal, "scheduler", "work for a waiting request", "an empty plan");
    s.drop_finished();
    return false;
  }
  s.attempt(plan, [&] {
    if (s.may_fly(plan))
      s.flight = s.take_off(plan);
    else
      s.collect(plan, s.runner.rows(), s.launch(plan));
  });
  s.drop_finished();
  ++s.stats.steps;
  (plan.back().count > 1 ? s.stats.prefill_seconds : s.stats.decode_seconds) += seconds_since(start);
  return true;
}

/// Waits for what a failed step has launched: the next one's inputs come in a stream of their own and would meet it.
void Engine::State::settle() {
  try {
    device.make_current(), device.synchronize(stream);
  } catch (const Error&) {  // the device is lost; the first error is told
  }
}

/// What goes wrong in a part of a step ends the step's requests, and no others.
void Engine::State::attempt(const std::vector<Slice>& plan, const std::function<void()>& part) {
  try {
    with_memory_errors("step", part);
  } catch (const Error& e) {
    settle();
    fail_requests(plan, e.what());
  }
}

/// True if a step's tokens can be read after the next step was launched: one token drawn for each sequence, by laws that ask the host nothing.
bool Engine::State::may_fly(const std::vector<Slice>& plan) const {
  if (!options.async_scheduling.value_or(on_gpu()) || static_cast<int64_t>(plan.size()) > runner.logits_rows()) return false;
  return std::all_of(plan.begin(), plan.end(), [](const Slice& slice) {
    const RequestState& r = *slice.sequence->request;
    return slice.count == 1 && slice.end() == slice.sequence->length() && r.forked() && r.sampling().max_tokens > 0 && draws_ahead(r.sampling());
  });
}

Engine::State::Flight Engine::State::take_off(const std::vector<Slice>& plan) {
  const int slot = plan[0].ahead > 0 ? 1 - last_slot : 0;
  runner.forward(ctx, plan);
  Flight f{plan, runner.rows(), slot};
  const auto rows = static_cast<int64_t>(f.rows.size());
  sampler.draw(ctx, f.rows.data(), rows, runner.logits(ctx, 0, rows), slot);
  for (const Slice& slice : plan) ++slice.sequence->in_flight;
  last_slot = slot;
  return f;
}

/// Collects the step in flight. The one that follows is launched first, unless what it holds depends on what this one drew.
void Engine::State::pass_on() {
  const std::vector<Slice> next = with_memory_errors("scheduler", [&] { return scheduler.follow(flight->plan, stop.max_model_len); });
  const Flight landing = std::move(*flight);
  flight.reset();
  if (!next.empty()) {
    attempt(next, [&] { flight = take_off(next); });
    ++stats.steps, ++stats.overlapped_steps;
  }
  for (const Slice& slice : landing.plan) --slice.sequence->in_flight;
  attempt(landing.plan, [&] { collect(landing.plan, landing.rows, sampler.read(static_cast<int64_t>(landing.rows.size()), landing.slot)); });
  drop_finished();
}

/// Runs the layers over the plan's tokens, then the output head and the sampler a slice of rows at a time.
std::vector<RowResult> Engine::State::launch(const std::vector<Slice>& plan) {
  runner.forward(ctx, plan);
  std::vector<RowResult> results;
  const auto total = static_cast<int64_t>(runner.rows().size());
  for (int64_t first = 0; first < total; first += runner.logits_rows()) {
    const int64_t rows = std::min(runner.logits_rows(), total - first);
    const auto some = sampler.sample(ctx, runner.rows().data() + first, rows, runner.logits(ctx, first, rows));
    results.insert(results.end(), some.begin(), some.end());
  }
  return results;
}

/// Books what the step computed: KV, tokens, text, ends. What was computed for a sequence that ended meanwhile is dropped.
void Engine::State::collect(const std::vector<Slice>& plan, const std::vector<RowUse>& rows, const std::vector<RowResult>& results) {
  for (const Slice& slice : plan) {
    Sequence& s = *slice.sequence;
    if (s.finished()) continue;
    s.computed += slice.count;
    s.table.register_computed(std::span(s.tokens).first(static_cast<size_t>(s.computed)));
  }
  std::vector<Sequence*> touched;
  for (const Slice& slice : plan)
    if (!slice.sequence->finished()) touched.push_back(slice.sequence);
  const auto refuse = [](Sequence& s) { s.completion.finish_reason = FinishReason::error, s.completion.error = "logits: expected numbers; got NaN"; };
  for (size_t i = 0; i < results.size(); ++i) {
    const RowUse& use = rows[i];
    const RowResult& result = results[i];
    if (use.sequence->ended) continue;
    if (use.sample < 0) {
      // By position: after a preemption the prompt's rows come again.
      auto& logprobs = use.sequence->request->prompt_logprobs;
      logprobs.resize(std::max(logprobs.size(), static_cast<size_t>(use.position)));
      logprobs[static_cast<size_t>(use.position - 1)] = result.logprob;
      if (!result.finite) refuse(*use.sequence);
      continue;
    }
    Sequence& s = sequence_of(use);
    if (&s != use.sequence) touched.push_back(&s);
    if (!result.finite) {
      refuse(s);
      continue;
    }
    if (s.request->sampling().logprobs) s.completion.logprobs.push_back(result.logprob);
    stop.append(s, result.token);
    ++stats.generated_tokens;
  }
  for (Sequence* s : touched) {
    if (s->computed == s->length() && s->request->sampling().max_tokens == 0 && !s->finished()) s->completion.finish_reason = FinishReason::length;
    emit(*s);
  }
  if constexpr (kCheckBlocks) blocks.check();
}

/// The sequence a row draws for: the row's own, or a fork of it made now, which shares the prompt's blocks.
Sequence& Engine::State::sequence_of(const RowUse& use) {
  Sequence& origin = *use.sequence;
  if (use.sample == origin.completion.index) return origin;
  RequestState& r = *origin.request;
  auto fork = std::make_unique<Sequence>(r, use.sample, blocks);
  fork->tokens.assign(origin.tokens.begin(), origin.tokens.begin() + r.prompt_tokens);
  fork->computed = r.prompt_tokens;
  fork->table.share(origin.table, r.prompt_tokens);
  if (loaded.tokenizer) fork->decoder = std::make_unique<StreamDecoder>(loaded.tokenizer, r.sampling().skip_special_tokens);
  r.samples.push_back(std::move(fork));
  scheduler.add_running(*r.samples.back());
  return *r.samples.back();
}

/// Ends the requests of a step that failed, wherever it stopped: a sample whose end was decided but not told fails, too.
void Engine::State::fail_requests(const std::vector<Slice>& plan, const std::string& error) {
  for (const Slice& slice : plan)
    for (const auto& sample : slice.sequence->request->samples) finish(*sample, FinishReason::error, error);
}

void Engine::State::finish(Sequence& s, FinishReason reason, const std::string& error) {
  if (s.ended) return;
  s.completion.finish_reason = reason;
  s.completion.error = error;
  emit(s);
}

/// Tells the request of new text, and of the end; frees a finished sequence's blocks first.
void Engine::State::emit(Sequence& s) {
  RequestState& r = *s.request;
  if (s.finished()) scheduler.remove(s);
  const std::string_view text = StopRules::take_certain_text(s);
  s.ended = s.finished();
  if (!r.request.on_event || (s.completion.token_ids.empty() && !s.finished())) return;
  try {
    r.request.on_event({.id = r.id,
                        .index = s.completion.index,
                        .new_text = text,
                        .completion = &s.completion,
                        .prompt_logprobs = r.sampling().prompt_logprobs ? &r.prompt_logprobs : nullptr,
                        .prompt_tokens = r.prompt_tokens,
                        .cached_tokens = r.cached_tokens,
                        .finished = s.finished()});
  } catch (const std::exception& e) {
    r.request.on_event = nullptr;
    r.cancelled = true;
    log_warning("request {}: its callback failed: {}", r.id, e.what());
  }
}

void Engine::State::finish_cancelled() {
  for (const uint64_t id : order) {
    RequestState& r = *requests.at(id);
    if (!r.cancelled) continue;
    for (const auto& sample : r.samples) finish(*sample, FinishReason::abort);
  }
  drop_finished();
}

void Engine::State::drop_finished() {
  std::erase_if(order, [this](uint64_t id) {
    const auto it = requests.find(id);
    if (!it->second->finished() || it->second->in_flight()) return false;
    stats.prompt_tokens += it->second->prompt_tokens;
    stats.cached_tokens += it->second->cached_tokens;
    requests.erase(it);
    return true;
  });
}

const ModelInfo& Engine::model() const { return state_->loaded.info; }

EngineStats Engine::stats() const {
  EngineStats out = state_->stats;
  out.preemptions = state_->scheduler.preemptions();
  out.free_blocks = state_->blocks.free(), out.used_blocks = state_->blocks.used(), out.total_blocks = state_->blocks.total();
  return out;
}

const Tokenizer* Engine::tokenizer() const { return state_->loaded.tokenizer.get(); }
bool Engine::has_chat_template() const { return state_->loaded.chat_template.has_value(); }
std::string Engine::apply_chat_template(const std::string& messages) const {
  return with_memory_errors("chat template", [&] { return render_chat(state_->loaded, messages); });
}
SamplingParams Engine::default_sampling() const { return sampling_defaults(state_->loaded.generation); }
std::string Engine::selections_json() const { return selections_to_json(state_->binder.selections()); }
std::string Engine::kernels_line() const { return chosen_line(state_->binder.selections()); }
const std::vector<LaunchRecord>& Engine::launches() const { return state_->launches; }

}  // namespace attune
