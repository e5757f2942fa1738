#include "engine/model_runner.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/log.h"

namespace attune {
namespace {

Phase phase_of(int64_t q_len) { return q_len == 1 ? Phase::decode : q_len <= 32 ? Phase::verify : Phase::prefill; }

int64_t blocks_of(int64_t tokens, int64_t block_size) { return (tokens + block_size - 1) / block_size; }

/// The names of what is launched, once each.
struct LaunchedNames final : LaunchTrace {
  std::set<std::string_view> names;
  void launched(std::string_view, std::string_view, std::string_view, std::string_view kernel) override { names.insert(kernel); }
};

/// Kernels of this kind of device that declare no graph level.
std::set<std::string_view> without_graphs(const std::vector<Selection>& chosen, DeviceKind kind) {
  std::set<std::string_view> out;
  for (const Selection& s : chosen)
    if (s.chosen && s.chosen->graph == GraphLevel::none && s.chosen->device.kind == kind) out.insert(s.chosen->name);
  return out;
}

size_t input_bytes(const ModelRunner::Limits& l, int64_t block_size) {
  const int64_t tables = l.sequences * (blocks_of(l.longest_kv, block_size) + 1) * 4;
  return static_cast<size_t>(l.tokens * (4 + 4 + 8 + 4) + l.logits_rows * (4 + 4) + l.sequences * 16 + tables + 1024);
}

size_t logits_bytes(const ModelRunner::Limits& l) { return static_cast<size_t>(l.logits_rows * l.vocab) * sizeof(float); }

}  // namespace

int64_t ModelRunner::device_bytes(const Limits& l, int64_t block_size) { return static_cast<int64_t>(input_bytes(l, block_size) + logits_bytes(l)); }

ModelRunner::ModelRunner(Device& device, const Stream& stream, Model& model, KvCache& kv, const Limits& limits)
    : device_(device),
      stream_(stream),
      model_(model),
      kv_(kv),
      limits_(limits),
      inputs_(device, input_bytes(limits, kv.block_size())),
      read_(device.make_event()),
      logits_(device.allocate(logits_bytes(limits), "logits")) {
  const auto rows = static_cast<size_t>(limits.logits_rows);
  drawn_ = {inputs_.on_device(inputs_.reserve<float>((rows + 3) / 4 * 4)), inputs_.on_device(inputs_.reserve<int32_t>(rows))};
}

void ModelRunner::want_rows(const Slice& slice, int64_t first_row) {
  Sequence& s = *slice.sequence;
  const RequestState& request = *s.request;
  const int64_t end = slice.end();
  if (request.sampling().prompt_logprobs) {
    for (int64_t p = s.computed; p < std::min(end, request.prompt_tokens - 1); ++p) {
      lists_.logits_rows.push_back(static_cast<int32_t>(first_row + p - s.computed));
      rows_.push_back({&s, -1, p + 1});
    }
  }
  if (end < s.length() || request.sampling().max_tokens == 0) return;
  // The first draw of a request serves all its samples from one row.
  const int first = s.completion.index, last = request.forked() ? first : request.sampling().n - 1;
  for (int sample = first; sample <= last; ++sample) {
    lists_.logits_rows.push_back(static_cast<int32_t>(first_row + slice.count - 1));
    rows_.push_back({&s, sample, end});
  }
}

void ModelRunner::add(const Slice& slice) {
  const Sequence& s = *slice.sequence;
  const int64_t size = kv_.block_size();
  for (int64_t p = slice.first(); p < slice.end(); ++p) {
    lists_.ids.push_back(p < s.length() ? s.tokens[static_cast<size_t>(p)] : 0);
    lists_.positions.push_back(static_cast<int32_t>(p));
    lists_.slot_mapping.push_back(s.table.blocks()[static_cast<size_t>(p / size)] * size + p % size);
  }
}

void ModelRunner::list(const std::vector<Slice>& slices) {
  lists_ = StepLists{};
  rows_.clear();
  for (const Slice& slice : slices) {
    lists_.ahead |= slice.ahead > 0;
    const Phase phase = phase_of(slice.count);
    const auto tokens = static_cast<int64_t>(lists_.ids.size());
    if (lists_.phases.empty() || lists_.phases.back().phase != phase) lists_.phases.push_back({.phase = phase, .first_token = tokens});
    PhaseLists& p = lists_.phases.back();
    const int64_t kv_len = slice.end();
    want_rows(slice, tokens);
    add(slice);
    p.tables.push_back(&slice.sequence->table);
    p.num_tokens += slice.count;
    p.q_start.push_back(static_cast<int32_t>(p.num_tokens));
    p.kv_lens.push_back(static_cast<int32_t>(kv_len));
    p.longest_q = std::max(p.longest_q, slice.count);
    p.longest_kv = std::max(p.longest_kv, kv_len);
  }
}

/// Lays a phase's tables side by side, `table_stride` entries apart (0: as many as the longest has).
PhaseBatch ModelRunner::place(const PhaseLists& l, int64_t table_stride) {
  const size_t seqs = l.kv_lens.size();
  if (table_stride == 0)
    for (const BlockTable* t : l.tables) table_stride = std::max(table_stride, static_cast<int64_t>(t->blocks().size()));
  PhaseBatch b{.phase = l.phase, .first_token = l.first_token, .num_tokens = l.num_tokens, .num_seqs = static_cast<int64_t>(seqs)};
  b.q_start = inputs_.add(std::span<const int32_t>(l.q_start));
  b.kv_lens = inputs_.add(std::span<const int32_t>(l.kv_lens));
  auto* tables = inputs_.reserve<int32_t>(seqs * static_cast<size_t>(table_stride));
  for (size_t i = 0; i < l.tables.size(); ++i) {
    const auto& blocks = l.tables[i]->blocks();
    int32_t* row = tables + i * static_cast<size_t>(table_stride);
    std::fill(std::copy(blocks.begin(), blocks.end(), row), row + table_stride, 0);
  }
  b.block_table = inputs_.on_device(tables), b.max_blocks = table_stride;
  b.longest_q = l.longest_q, b.longest_kv = l.longest_kv;
  return b;
}

bool ModelRunner::every_row_wanted() const {
  const auto& rows = lists_.logits_rows;
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] != static_cast<int32_t>(i)) return false;
  return rows.size() == lists_.ids.size();
}

/// The ids stand where the sampler writes tokens, so that a step ahead finds them there.
const int32_t* ModelRunner::place_ids() {
  const auto rows = static_cast<size_t>(limits_.logits_rows);
  inputs_.reserve<float>((rows + 3) / 4 * 4);
  auto* ids = inputs_.reserve<int32_t>(std::max(lists_.ids.size(), rows));
  if (!lists_.ahead) std::copy(lists_.ids.begin(), lists_.ids.end(), ids);
  to_upload_ = lists_.ahead ? ids + std::max(lists_.ids.size(), rows) : ids;
  return inputs_.on_device(ids);
}

Batch ModelRunner::place(int64_t table_stride) {
  inputs_.clear();
  Batch b{.num_tokens = static_cast<int64_t>(lists_.ids.size())};
  b.ids = place_ids();
  b.positions = inputs_.add(std::span<const int32_t>(lists_.positions));
  b.slot_mapping = inputs_.add(std::span<const int64_t>(lists_.slot_mapping));
  b.logits_rows = inputs_.add(std::span<const int32_t>(lists_.logits_rows));
  b.num_logits_rows = static_cast<int64_t>(lists_.logits_rows.size());
  b.every_row = every_row_wanted();
  for (const PhaseLists& l : lists_.phases) b.phases.push_back(place(l, table_stride));
  return b;
}

/// Fills a decode step up to `sequences` with sequences that have no keys and store nothing.
void ModelRunner::pad_decode(int64_t sequences) {
  const auto n = static_cast<size_t>(sequences);
  PhaseLists& p = lists_.phases.front();
  lists_.ids.resize(n), lists_.positions.resize(n), lists_.slot_mapping.resize(n, -1);
  p.kv_lens.resize(n);
  while (p.q_start.size() <= n) p.q_start.push_back(static_cast<int32_t>(p.q_start.size()));
  while (lists_.logits_rows.size() < n) lists_.logits_rows.push_back(static_cast<int32_t>(lists_.logits_rows.size()));
  p.num_tokens = sequences, p.longest_q = 1;
}

/// The padded lists as the batch that a graph of `sequences` was captured with: the same addresses and bounds.
Batch ModelRunner::decode_batch(int64_t sequences) {
  pad_decode(sequences);
  Batch b = place(blocks_of(limits_.longest_kv, kv_.block_size()));
  b.phases.front().longest_kv = limits_.longest_kv;
  return b;
}

/// A launch that fails must not leave the stream in capture: what failed would be hidden by what cannot be freed.
Graph ModelRunner::capture(const ExecContext& ctx, const Batch& batch) {
  device_.begin_capture(stream_);
  try {
    model_.forward(ctx, batch, kv_);
    model_.logits(ctx, 0, batch.num_logits_rows, logits_.as<float>());
  } catch (...) {
    try {
      device_.end_capture(stream_);
    } catch (const Error&) {  // the first one is told
    }
    throw;
  }
  return device_.end_capture(stream_);
}

std::vector<int64_t> ModelRunner::graph_sizes(int64_t most) {
  std::vector<int64_t> sizes;
  for (int64_t n = 1; n < most; n = n < 8 ? 2 * n : n + 8) sizes.push_back(n);
  sizes.push_back(most);  // else the largest steps would find none
  return sizes;
}

int64_t ModelRunner::capture_graphs(const ExecContext& ctx, const std::vector<Selection>& chosen) {
  const std::set<std::string_view> refusing = without_graphs(chosen, device_.props().kind);
  LaunchedNames launched;
  ExecContext traced = ctx;
  traced.trace = &launched;
  const int64_t most = std::min({limits_.sequences, limits_.logits_rows, limits_.tokens});
  for (const int64_t n : graph_sizes(most)) {
    lists_ = StepLists{};
    lists_.phases.push_back({});
    const Batch batch = decode_batch(n);
    inputs_.upload(stream_, to_upload_);
    launched.names.clear();
    model_.forward(traced, batch, kv_);  // once as it is: what a kernel sets up at its first launch must not be captured
    model_.logits(traced, 0, n, logits_.as<float>());
    device_.synchronize(stream_);
    const auto refused = std::find_if(launched.names.begin(), launched.names.end(), [&](std::string_view k) { return refusing.contains(k); });
    if (refused == launched.names.end())
      graphs_.emplace(n, capture(ctx, batch));
    else
      log_warning("graphs: decode steps of {} sequences are not captured: {} declares graph level none", n, *refused);
    report_progress("capturing graphs", n, most);
  }
  return static_cast<int64_t>(graphs_.size());
}

/// The smallest graph that holds a step of so many sequences, or 0.
int64_t ModelRunner::graph_for(int64_t sequences) const {
  const auto it = graphs_.lower_bound(sequences);
  return it == graphs_.end() ? 0 : it->first;
}

void ModelRunner::forward(const ExecContext& ctx, const std::vector<Slice>& slices) {
  list(slices);
  const bool decodes = lists_.phases.size() == 1 && lists_.phases[0].phase == Phase::decode && every_row_wanted();
  const int64_t graph = decodes && !ctx.trace ? graph_for(static_cast<int64_t>(lists_.ids.size())) : 0;
  logits_ready_ = graph > 0;
  const Batch batch = graph > 0 ? decode_batch(graph) : place(0);
  inputs_.upload_beside(stream_, read_, to_upload_);
  if (graph > 0)
    device_.replay(graphs_.at(graph), stream_);
  else
    model_.forward(ctx, batch, kv_);
  device_.record(read_, stream_);
}

float* ModelRunner::logits(const ExecContext& ctx, int64_t first, int64_t rows) {
  if (logits_ready_) return logits_.as<float>() + first * limits_.vocab;
  model_.logits(ctx, first, rows, logits_.as<float>());
  device_.record(read_, stream_);
  return logits_.as<float>();
}

}  // namespace attune
