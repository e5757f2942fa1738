#include "proof/call.h"

#include <algorithm>

#include "core/error.h"
#include "proof/device_params.h"

namespace attune {

CaseWorkspace::CaseWorkspace(const LaunchSite& site, size_t bytes, Guard guard) : site_(site), bytes_(bytes) {
  if (!site_.device)
    host_ = std::make_unique<GuardedBuffer>(bytes, 64, guard, 0xff);
  else if (bytes > 0)
    device_ = site_.device->take(bytes + 2 * kMargin);
}

CaseWorkspace::~CaseWorkspace() {
  if (site_.device) site_.device->give(std::move(device_));
}

Workspace CaseWorkspace::view() const {
  if (bytes_ == 0) return {};
  return {site_.device ? device_.as<uint8_t>() + kMargin : host_->data(), bytes_};
}

void CaseWorkspace::fill(uint8_t garbage) {
  if (!site_.device) {
    host_->fill(garbage);
    return;
  }
  if (bytes_ == 0) return;
  Device& device = site_.device->device();
  device.fill(device_.data(), 0xff, bytes_ + 2 * kMargin, site_.device->stream());
  device.fill(device_.as<uint8_t>() + kMargin, garbage, bytes_, site_.device->stream());
}

bool CaseWorkspace::surroundings_untouched() const {
  if (!site_.device) return host_->surroundings_untouched();
  if (bytes_ == 0) return true;
  std::vector<uint8_t> margins(2 * kMargin);
  Device& device = site_.device->device();
  device.copy(margins.data(), device_.data(), kMargin, site_.device->stream());
  device.copy(margins.data() + kMargin, device_.as<uint8_t>() + kMargin + bytes_, kMargin, site_.device->stream());
  device.synchronize(site_.device->stream());
  return std::all_of(margins.begin(), margins.end(), [](uint8_t b) { return b == 0xff; });
}

namespace {

template <class Op>
size_t workspace_bytes(const Kernel<Op>& kernel, const typename Op::Desc& desc, Limits limits, const LaunchSite& site) {
  limits.threads = site.workers();
  return kernel.workspace ? static_cast<size_t>(kernel.workspace(desc, limits)) : 0;
}

}  // namespace

template <class Op>
Call<Op>::Call(const Kernel<Op>& kernel, const typename Op::Desc& desc, const Params& params, Limits limits, const LaunchSite& site,
               std::span<DeviceTwin* const> twins, Guard guard)
    : kernel_(kernel), desc_(desc), params_(params), site_(site), workspace_(site, workspace_bytes<Op>(kernel, desc, limits, site), guard) {
  if (site_.device) translate(twins);
}

template <class Op>
void Call<Op>::translate(std::span<DeviceTwin* const> twins) {
  const auto move = [&]<class T>(T*& pointer) { pointer = static_cast<T*>(const_cast<void*>(find_in(twins, pointer))); };
  for_each_pointer(params_, move);
  if constexpr (std::is_same_v<Op, Sample>) {
    rows_ = std::make_unique<Memory>(Guard::slack);
    auto* bytes = rows_->add<uint8_t>("the rows' laws", DType::u8, params_.rows * static_cast<int64_t>(sizeof(SampleRow)), alignof(SampleRow));
    auto* rows = reinterpret_cast<SampleRow*>(bytes);
    std::copy(params_.row, params_.row + params_.rows, rows);
    for (int64_t r = 0; r < params_.rows; ++r) for_each_pointer(rows[r], move);
    rows_->freeze();
    rows_twin_ = std::make_unique<DeviceTwin>(*site_.device, *rows_);
    params_.row = static_cast<const SampleRow*>(rows_twin_->find(rows));
    rows_twin_->upload();
  }
}

template <class Op>
ExecContext Call<Op>::context() const {
  ExecContext ctx;
  ctx.workspace = workspace_.view();
  if (site_.device)
    ctx.stream = site_.device->stream().get();
  else
    ctx.pool = site_.pool;
  return ctx;
}

template <class Op>
std::string Call<Op>::launch(uint8_t garbage) {
  workspace_.fill(garbage);
  kernel_.launch(context(), desc_, params_);
  return finish();
}

template <class Op>
void Call<Op>::capture() {
  Device& device = site_.device->device();
  device.begin_capture(site_.device->stream());
  try {
    kernel_.launch(context(), desc_, params_);
  } catch (...) {
    try {
      device.end_capture(site_.device->stream());
    } catch (const Error&) {  // the launch's own error says more
    }
    throw;
  }
  graph_ = device.end_capture(site_.device->stream());
}

template <class Op>
std::string Call<Op>::replay(uint8_t garbage) {
  workspace_.fill(garbage);
  site_.device->device().replay(graph_, site_.device->stream());
  return finish();
}

template <class Op>
std::string Call<Op>::finish() {
  if (site_.device) site_.device->device().synchronize(site_.device->stream());
  if (!workspace_.surroundings_untouched()) return "wrote outside its workspace";
  if (!rows_twin_) return "";
  const std::string margin = rows_twin_->download(), damage = rows_->damage();
  return margin.empty() && damage.empty() ? "" : "wrote where it must not: the rows' laws";
}

template class Call<Attention>;
template class Call<KvWrite>;
template class Call<Matmul>;
template class Call<Norm>;
template class Call<Rope>;
template class Call<RopeKvWrite>;
template class Call<ActivationOp>;
template class Call<Embed>;
template class Call<Sample>;

}  // namespace attune
