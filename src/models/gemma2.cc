// Gemma 2: norms with 1 + w before and after each sublayer, alternating windows, softcaps on scores and logits, GeGLU, scaled embeddings.
#include <cmath>

#include "models/families.h"

namespace attune {
namespace {

class Gemma2 final : public Model {
 public:
  explicit Gemma2(ModelBuilder& b) : hidden_(b.config().hidden_size), embed_(b.embedding("model.embed_tokens")) {
    const ModelConfig& c = b.config();
    embed_.scale = embedding_scale(b);
    for (int64_t i = 0; i < c.num_layers; ++i) {
      const std::string at = layer_name(i);
      layers_.push_back(
          {b.norm("input", at + "input_layernorm", hidden_, b.compute(), true), b.linear(qkv_spec(c, at)), b.self_attention(static_cast<size_t>(i)),
           b.linear(branch(o_spec(c, at))), b.norm("post", at + "post_attention_layernorm", hidden_, DType::f32, true, true),
           b.norm("pre_mlp", at + "pre_feedforward_layernorm", hidden_, b.compute(), true), b.gated_linear(gate_up_spec(c, at), c.hidden_act),
           b.linear(branch(down_spec(c, at))), b.norm("post_mlp", at + "post_feedforward_layernorm", hidden_, DType::f32, true, true)});
    }
    gather_ = b.row_gather();
    norm_ = b.norm("final", "model.norm", hidden_, b.compute(), true);
    head_ = b.head("lm_head");
    vocab_ = c.vocab_size;
    capped_ = c.final_logit_softcapping > 0;
    if (capped_) cap_ = b.activation("logits", Activation::none, vocab_, DType::f32, false, c.final_logit_softcapping);
    at_ = b.activations();
    kv_layers_ = b.kv_layers();
  }

  void forward(const ExecContext& ctx, const Batch& batch, KvCache& kv) override {
    const Step s{ctx, batch, kv, at_};
    float* x = at_.hidden.as<float>();
    embed_(s, x);
    for (const Layer& l : layers_) {
      l.input_norm(ctx, x, s.tokens(), at_.normed.data());
      l.qkv(ctx, at_.normed.data(), s.tokens(), at_.qkv.data());
      l.attention(s);
      l.o(ctx, at_.attended.data(), s.tokens(), at_.branch.data());
      l.post_norm.add_to(ctx, at_.branch.data(), s.tokens(), x);
      l.pre_mlp_norm(ctx, x, s.tokens(), at_.normed.data());
      l.geglu(s, at_.normed.data(), at_.activated.data());
      l.down(ctx, at_.activated.data(), s.tokens(), at_.branch.data());
      l.post_mlp_norm.add_to(ctx, at_.branch.data(), s.tokens(), x);
    }
    if (const float* rows = gather_(s)) norm_(ctx, rows, batch.num_logits_rows, at_.final.data());
  }

  void logits(const ExecContext& ctx, int64_t first, int64_t rows, float* out) override {
    head_rows(ctx, head_, at_, first, rows, out);
    if (capped_) cap_(ctx, out, rows, out);
  }
  std::vector<KvLayer> kv_layers() const override { return kv_layers_; }

 private:
  struct Layer {
    RmsNorm input_norm;
    Linear qkv;
    SelfAttention attention;
    Linear o;
    RmsNorm post_norm, pre_mlp_norm;
    GatedLinear geglu;
    Linear down;
    RmsNorm post_mlp_norm;
  };

  /// √hidden, rounded to the compute dtype as the published models were trained with.
  static float embedding_scale(const ModelBuilder& b) {
    uint32_t stored = 0;
    store_from_float(&stored, b.compute(), 0, static_cast<float>(std::sqrt(static_cast<double>(b.config().hidden_size))));
    return load_as_float(&stored, b.compute(), 0);
  }

  static ModelBuilder::LinearSpec branch(ModelBuilder::LinearSpec spec) {
    spec.residual = false;
    return spec;
  }

  int64_t hidden_, vocab_ = 0;
  Embedding embed_;
  std::vector<Layer> layers_;
  RowGather gather_;
  RmsNorm norm_;
  Linear head_;
  bool capped_ = false;
  Elementwise cap_;
  Activations at_;
  std::vector<KvLayer> kv_layers_;
};

}  // namespace

std::unique_ptr<Model> make_gemma2(ModelBuilder& builder) { return std::make_unique<Gemma2>(builder); }

}  // namespace attune
