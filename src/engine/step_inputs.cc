#include "engine/step_inputs.h"

#include "core/error.h"

namespace attune {

StepInputs::StepInputs(Device& device, size_t bytes)
    : device_(device), host_(device.allocate_pinned(bytes, "step inputs")), uploaded_(device.make_event()) {
  if (device.props().kind != DeviceKind::cpu) twin_ = device.allocate(bytes, "step inputs");
}

char* StepInputs::take(size_t bytes) {
  const size_t rounded = (bytes + 15) / 16 * 16;
  if (host_.bytes() - used_ < rounded) fail(ErrorCode::internal, "step inputs", std::to_string(host_.bytes()) + " bytes at most", "more");
  char* p = host_.as<char>() + used_;
  used_ += rounded;
  return p;
}

void StepInputs::clear() {
  if (in_flight_) device_.wait(uploaded_);
  used_ = 0, in_flight_ = false;
}

void StepInputs::upload(const Stream& stream, const void* first) {
  if (twin_.data() != nullptr) copy(stream, first);
}

void StepInputs::upload_beside(const Stream& stream, const Event& read, const void* first) {
  if (twin_.data() == nullptr) return;
  if (!beside_.get()) beside_ = device_.make_stream();
  device_.wait(beside_, read);
  copy(beside_, first);
  device_.wait(stream, uploaded_);
}

void StepInputs::copy(const Stream& stream, const void* first) {
  const size_t kept = first == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(first) - host_.as<char>());
  device_.copy(twin_.as<char>() + kept, host_.as<char>() + kept, used_ - kept, stream);
  device_.record(uploaded_, stream);
  in_flight_ = true;
}

}  // namespace attune
