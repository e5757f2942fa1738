#pragma once

#include <string>
#include <vector>

#include "proof/cases.h"
#include "proof/device_twin.h"

namespace attune {

// The order of arithmetic: equal reduction tags mean equal bits, whatever the batch, the phase, the chunking and the threads.

/// Every byte that a kernel writes for a case: kernels that share a tag must agree on them.
template <class Op>
std::vector<uint8_t> output_bits(const Kernel<Op>& kernel, const Case<Op>& c, const LaunchSite& site);

/// Runs each sequence of the batch alone, in halves, its last rows and single rows of it, in every phase in which so many rows may come (decode,
/// verify, prefill), where a call can say the same, and compares bits with the batch. Empty if all agree, else the first difference. Tree
/// masks are outside the property.
std::string check_order(const AttentionKernel& kernel, const Case<Attention>& c, const LaunchSite& site);

/// Runs single rows and pairs of rows and compares bits with the whole call; of norm and rope also one row of a group and one head.
std::string check_order(const MatmulKernel& kernel, const Case<Matmul>& c, const LaunchSite& site);
std::string check_order(const NormKernel& kernel, const Case<Norm>& c, const LaunchSite& site);
std::string check_order(const RopeKernel& kernel, const Case<Rope>& c, const LaunchSite& site);
std::string check_order(const ActivationKernel& kernel, const Case<ActivationOp>& c, const LaunchSite& site);
std::string check_order(const EmbedKernel& kernel, const Case<Embed>& c, const LaunchSite& site);
std::string check_order(const SampleKernel& kernel, const Case<Sample>& c, const LaunchSite& site);

/// The same; a part writes to other slots, in a cache of its own.
std::string check_order(const KvWriteKernel& kernel, const Case<KvWrite>& c, const LaunchSite& site);
std::string check_order(const RopeKvWriteKernel& kernel, const Case<RopeKvWrite>& c, const LaunchSite& site);

}  // namespace attune
