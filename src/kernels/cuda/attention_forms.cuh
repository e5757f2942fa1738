#pragma once

#include "kernels/cuda/attention_launch.h"
#include "kernels/cuda/attention_wgmma_split_kv.cuh"

namespace attune::cuda {

template <class F>
FormFacts facts_of() {
  return {reinterpret_cast<const void*>(&attend<F>), F::kThreads};
}
template <class T, bool F8, int Dim, bool Extras>
FormFacts form_of_rows(int rows) {
  if (rows == 8) return facts_of<Form<T, F8, Dim, 8, 1, Extras>>();
  if constexpr (!Extras)
    if (rows == 16) return facts_of<Form<T, F8, Dim, 16, 1, Extras>>();
  return facts_of<Form<T, F8, Dim, 64, 1, Extras>>();
}
template <class T, bool F8, int Dim>
FormFacts form_of_dim(int rows, bool extras) {
  return extras ? form_of_rows<T, F8, Dim, true>(rows) : form_of_rows<T, F8, Dim, false>(rows);
}

}  // namespace attune::cuda
