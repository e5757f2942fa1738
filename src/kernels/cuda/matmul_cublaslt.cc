// cuda.matmul.cublaslt: the vendor's library, opened at run time. out (M, N) row-major is its column-major (N, M) = wᵀ · x, a call a run of
// segments that stand one after the other.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "core/error.h"
#include "device/shared_library.h"
#include "kernels/cuda/current_device.h"
#include "kernels/cuda/kernels.h"

namespace attune::cuda {
namespace {

constexpr std::string_view kName = "cuda.matmul.cublaslt";

void check(cublasStatus_t status, std::string_view what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(ErrorCode::device_error, kName, std::string(what) + " to succeed", fmt::format("status {}", static_cast<int>(status)));
}

/// The library's functions.
struct Library {
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtCreate) create;

  explicit Library(const SharedLibrary& from) {
    const auto get = [&]<class F>(F*& to, const char* name) {
      to = from.function<F>(name);
      if (to == nullptr) fail(ErrorCode::device_error, kName, std::string("a library with ") + name, from.file());
    };
    get(matmul, "cublasLtMatmul"), get(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    get(desc_create, "cublasLtMatmulDescCreate"), get(desc_destroy, "cublasLtMatmulDescDestroy"), get(desc_set, "cublasLtMatmulDescSetAttribute");
    get(layout_create, "cublasLtMatrixLayoutCreate"), get(layout_destroy, "cublasLtMatrixLayoutDestroy");
    get(preference_create, "cublasLtMatmulPreferenceCreate"), get(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    get(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    get(create, "cublasLtCreate");
  }
};

const Library& library() {
  static const Library loaded = [] {
    const auto found = SharedLibrary::find(cublaslt_recipe());
    if (!found) fail(ErrorCode::device_error, kName, "libcublasLt", "none");
    return Library(*found);
  }();
  return loaded;
}

/// A handle knows the device on which it was made.
cublasLtHandle_t handle_on(int64_t device) {
  static PerDevice<cublasLtHandle_t> handles;
  return handles.of(static_cast<int>(device), [] {
    cublasLtHandle_t handle = nullptr;
    check(library().create(&handle), "cublasLtCreate");
    return handle;
  });
}

cudaDataType_t type_of(DType t) { return t == DType::f32 ? CUDA_R_32F : t == DType::f16 ? CUDA_R_16F : CUDA_R_16BF; }

uint32_t alignment_of(const void* p) {
  uint32_t a = 256;
  while (reinterpret_cast<uintptr_t>(p) % a != 0) a /= 2;
  return a;
}

/// What a plan depends on: desc types and sizes, strides and alignments, the device.
using Key = std::array<int64_t, 12>;

/// One segment's product as the library describes it, and the algorithm that its heuristics put first.
class Plan {
 public:
  explicit Plan(const Key& key) {
    const Library& lt = library();
    const auto [x_type, out_type, n, k, m, x_stride, out_stride, w_align, x_align, out_align, room, device] = key;
    handle_ = handle_on(device);
    check(lt.desc_create(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check(lt.desc_set(desc_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed), "CUBLASLT_MATMUL_DESC_TRANSA");
    const auto in = type_of(static_cast<DType>(x_type)), out = type_of(static_cast<DType>(out_type));
    const auto rows = static_cast<uint64_t>(n), depth = static_cast<uint64_t>(k), columns = static_cast<uint64_t>(m);
    check(lt.layout_create(&w_, in, depth, rows, k), "a layout of w");
    check(lt.layout_create(&x_, in, depth, columns, m > 1 ? x_stride : k), "a layout of x");
    check(lt.layout_create(&out_, out, rows, columns, m > 1 ? out_stride : n), "a layout of out");
    find_algorithm(room, static_cast<uint32_t>(w_align), static_cast<uint32_t>(x_align), static_cast<uint32_t>(out_align));
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    const Library& lt = library();
    lt.desc_destroy(desc_), lt.layout_destroy(w_), lt.layout_destroy(x_), lt.layout_destroy(out_);
  }

  void run(const ExecContext& ctx, const void* w, const void* x, void* out, const float* residual) const {
    const float one = 1, zero = 0;
    check(library().matmul(handle_, desc_, &one, w, w_, x, x_, residual ? &one : &zero, residual ? static_cast<const void*>(residual) : out, out_,
                           out, out_, &algorithm_.algo, ctx.workspace.data, ctx.workspace.bytes, static_cast<cudaStream_t>(ctx.stream)),
          "cublasLtMatmul");
  }

 private:
  /// Partial sums may be added in f32 alone, and not by whoever comes first.
  void find_algorithm(int64_t room, uint32_t w_align, uint32_t x_align, uint32_t out_align) {
    const Library& lt = library();
    cublasLtMatmulPreference_t preference = nullptr;
    check(lt.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      check(lt.preference_set(preference, what, &value, sizeof value), "a preference");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(room));
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, w_align);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, x_align);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out_align);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out_align);
    int found = 0;
    const cublasStatus_t status = lt.heuristic(handle_, desc_, w_, x_, out_, out_, preference, 1, &algorithm_, &found);
    lt.preference_destroy(preference);
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    check(found > 0 ? algorithm_.state : CUBLAS_STATUS_NOT_SUPPORTED, "an algorithm for the call");
  }

  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t w_ = nullptr, x_ = nullptr, out_ = nullptr;
  cublasLtMatmulHeuristicResult_t algorithm_ = {};
};

/// A run of segments that stand one after the other in memory: one matrix to the library.
struct Block {
  const void* w;
  int64_t rows;
};

/// The run of segments that starts at `first`; `first` becomes the next run's.
Block next_block(const MatmulDesc& d, const MatmulParams& p, int64_t& first) {
  Block b{p.segments[first].w, p.segments[first].rows};
  for (++first; first < d.segments && p.segments[first].w == static_cast<const uint8_t*>(b.w) + b.rows * d.k * 2; ++first)
    b.rows += p.segments[first].rows;
  return b;
}

/// Plans are made once for each kind of call: the heuristics take tens of microseconds.
const Plan& plan_of(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p, const Block& block, const void* out, const void* residual) {
  static std::mutex mutex;
  static std::map<Key, Plan> plans;
  uint32_t out_align = alignment_of(out);
  if (residual) out_align = std::min(out_align, alignment_of(residual));
  const Key key{static_cast<int64_t>(d.x_dtype),
                static_cast<int64_t>(d.out_dtype),
                block.rows,
                d.k,
                p.m,
                p.x_stride,
                p.out_stride,
                alignment_of(block.w),
                alignment_of(p.x),
                out_align,
                static_cast<int64_t>(ctx.workspace.bytes),
                current_device(kName)};
  const std::lock_guard lock(mutex);
  return plans.try_emplace(key, key).first->second;
}

}  // namespace

void matmul_cublaslt(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  if (p.m <= 0) return;
  int64_t column = 0;
  for (int64_t s = 0; s < d.segments;) {
    const Block block = next_block(d, p, s);
    auto* out = static_cast<uint8_t*>(p.out) + column * static_cast<int64_t>(size_of(d.out_dtype));
    const float* residual = d.residual ? p.residual + column : nullptr;
    plan_of(ctx, d, p, block, out, residual).run(ctx, block.w, p.x, out, residual);
    column += block.rows;
  }
}

}  // namespace attune::cuda
