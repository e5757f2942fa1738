// Desc text of every op: generic over the field lists, but for attention's `heads=Hq:Hkv`.
#include "select/desc_text.h"

#include "core/error.h"
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

std::string to_text(const KvWriteDesc& d) { return fields_text<KvWrite>(d); }
std::string to_text(const MatmulDesc& d) { return fields_text<Matmul>(d); }
std::string to_text(const NormDesc& d) { return fields_text<Norm>(d); }
std::string to_text(const RopeDesc& d) { return fields_text<Rope>(d); }
std::string to_text(const RopeKvWriteDesc& d) { return fields_text<RopeKvWrite>(d); }
std::string to_text(const ActivationDesc& d) { return fields_text<ActivationOp>(d); }
std::string to_text(const EmbedDesc& d) { return fields_text<Embed>(d); }
std::string to_text(const SampleDesc& d) { return fields_text<Sample>(d); }

std::string to_text(const AttentionDesc& d) {
  std::string out = fields_text<Attention>(d);
  const size_t at = out.find(" head_dim=");
  return out.insert(at, fmt::format(" heads={}:{}", d.num_q_heads(), d.num_kv_heads));
}

namespace {

void parse_heads(std::string_view text, AttentionDesc& d) {
  const size_t colon = text.find(':');
  int64_t q = 0, kv = 0;
  parse_value("heads", text.substr(0, colon), q);
  kv = q;
  if (colon != std::string_view::npos) parse_value("heads", text.substr(colon + 1), kv);
  if (q < 1 || kv < 1 || q % kv != 0) bad_value("heads", "query heads : KV heads, the first a multiple of the second", text);
  d.num_kv_heads = kv;
  d.gqa_group = q / kv;
}

}  // namespace

bool Attention::parse_word(std::string_view key, std::string_view value, AttentionDesc& d) {
  if (key != kMoreKeys) return false;
  parse_heads(value, d);
  return true;
}

void Attention::validate(const AttentionDesc& d) {
  validate_fields<Attention>(d);
  if (d.q_scale != Scales::none && !is_f8(d.q_dtype)) bad_value("q_scale", "none unless q is an 8-bit float", value_text(d.q_scale));
  if (d.kv_scale != Scales::none && !is_f8(d.kv_dtype)) bad_value("kv_scale", "none unless kv is an 8-bit float", value_text(d.kv_scale));
  if (d.mask == Mask::tree && d.kv_source != KvSource::self_paged) bad_value("mask", "tree only with kv_source=self_paged", value_text(d.kv_source));
}

}  // namespace attune
