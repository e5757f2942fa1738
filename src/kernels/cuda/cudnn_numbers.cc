// The numbers of cudnn_graph.h against the vendor's header, where the machine that builds has one.
#if __has_include(<cudnn_graph.h>)
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // the handle of a graph is deprecated, and needed
#include <cudnn_graph.h>

#include "kernels/cuda/cudnn_graph.h"

namespace attune::cuda::cudnn {
namespace {

template <class A, class B>
constexpr bool same(A a, B b) {
  return static_cast<int>(a) == static_cast<int>(b);
}

static_assert(same(Kind::engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR) && same(Kind::engine_config, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
static_assert(same(Kind::knob, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
static_assert(same(Kind::plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) && same(Kind::graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
static_assert(same(Kind::arguments, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) && same(Kind::tensor, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
static_assert(same(Kind::attention, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR));

static_assert(same(Name::config_engine, CUDNN_ATTR_ENGINECFG_ENGINE) && same(Name::config_knobs, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES));
static_assert(same(Name::knob_type, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE) && same(Name::knob_value, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
static_assert(same(Name::engine_graph, CUDNN_ATTR_ENGINE_OPERATION_GRAPH) && same(Name::engine_index, CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
static_assert(same(Name::graph_engines, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT));
static_assert(same(Name::plan_handle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE) && same(Name::plan_config, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG));
static_assert(same(Name::plan_workspace, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
static_assert(same(Name::graph_handle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE) && same(Name::graph_ops, CUDNN_ATTR_OPERATIONGRAPH_OPS));
static_assert(same(Name::tensor_alignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT) && same(Name::tensor_type, CUDNN_ATTR_TENSOR_DATA_TYPE));
static_assert(same(Name::tensor_sizes, CUDNN_ATTR_TENSOR_DIMENSIONS) && same(Name::tensor_strides, CUDNN_ATTR_TENSOR_STRIDES));
static_assert(same(Name::tensor_id, CUDNN_ATTR_TENSOR_UNIQUE_ID) && same(Name::tensor_by_value, CUDNN_ATTR_TENSOR_IS_BY_VALUE));
static_assert(same(Name::arguments_ids, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS));
static_assert(same(Name::arguments_pointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS));
static_assert(same(Name::arguments_workspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE));
static_assert(same(Name::attention_q, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC) && same(Name::attention_k, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC));
static_assert(same(Name::attention_v, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC) && same(Name::attention_out, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC));
static_assert(same(Name::attention_lse, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC));
static_assert(same(Name::attention_scale, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC));
static_assert(same(Name::attention_k_table, CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_KDESC));
static_assert(same(Name::attention_v_table, CUDNN_ATTR_OPERATION_SDPA_FWD_PAGE_TABLE_VDESC));
static_assert(same(Name::attention_q_lens, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_QDESC));
static_assert(same(Name::attention_kv_lens, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_KVDESC));

static_assert(same(Type::handle, CUDNN_TYPE_HANDLE) && same(Type::data_type, CUDNN_TYPE_DATA_TYPE) && same(Type::boolean, CUDNN_TYPE_BOOLEAN));
static_assert(same(Type::int64, CUDNN_TYPE_INT64) && same(Type::pointer, CUDNN_TYPE_VOID_PTR));
static_assert(same(Type::knob, CUDNN_TYPE_KNOB_TYPE) && same(Type::descriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR));
static_assert(same(Data::f32, CUDNN_DATA_FLOAT) && same(Data::f16, CUDNN_DATA_HALF) && same(Data::bf16, CUDNN_DATA_BFLOAT16));
static_assert(same(Data::i32, CUDNN_DATA_INT32) && same(Knob::kernel, CUDNN_KNOB_TYPE_KERNEL_CFG));

}  // namespace
}  // namespace attune::cuda::cudnn
#endif
