#pragma once

#include <vector>

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/embed.h"
#include "ops/kv_write.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/rope.h"
#include "ops/rope_kv_write.h"
#include "ops/sample.h"

namespace attune {

/// The kernels of one op, best first, reference last.
template <class Op>
struct KernelList {
  std::vector<const Kernel<Op>*> kernels;

  /// Appends a page; its kernels must outlive the list.
  template <size_t N>
  void add(const Kernel<Op> (&page)[N]) {
    for (const auto& k : page) kernels.push_back(&k);
  }
};

/// What carries a kernel's mark on one architecture from compiled to emulated: so many cases that an emulator executed all met their bounds.
struct Emulated {
  std::string_view kernel;
  Arch arch;
  int cases;
};

/// Every declared kernel of every op and backend.
struct Catalogue : KernelList<Attention>,
                   KernelList<KvWrite>,
                   KernelList<Matmul>,
                   KernelList<Norm>,
                   KernelList<Rope>,
                   KernelList<RopeKvWrite>,
                   KernelList<ActivationOp>,
                   KernelList<Embed>,
                   KernelList<Sample> {
  std::vector<Emulated> emulated;

  template <class Op>
  std::span<const Kernel<Op>* const> kernels() const {
    return KernelList<Op>::kernels;
  }
  template <class Op, size_t N>
  void add(const Kernel<Op> (&page)[N]) {
    KernelList<Op>::add(page);
  }
};

/// Calls f.template operator()<Op>() for every op, in the order of the documentation.
template <class F>
void for_each_op(F&& f) {
  f.template operator()<Attention>();
  f.template operator()<KvWrite>();
  f.template operator()<Matmul>();
  f.template operator()<Norm>();
  f.template operator()<Rope>();
  f.template operator()<RopeKvWrite>();
  f.template operator()<ActivationOp>();
  f.template operator()<Embed>();
  f.template operator()<Sample>();
}

/// The catalogue of this binary: the pages of cpu, cuda, rocm and gpu in that order, then the references. Defined in kernels/catalogue.cc.
const Catalogue& catalogue();

/// The mark of a kernel on an architecture: "compiled", "emulated (5 cases)", "run".
std::string mark_text(const KernelInfo& kernel, Arch arch);
/// The same where it does not depend on the architecture; else one for each: "gfx90a: compiled, gfx942: emulated (5 cases)".
std::string mark_text(const KernelInfo& kernel);

/// The references' page.
void add_reference_page(Catalogue& catalogue);

}  // namespace attune
