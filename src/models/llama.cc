// Llama, Mistral and Qwen2: pre-norm decoder, GQA, rotary embedding, SwiGLU. Mistral adds a window, Qwen2 biases on q, k and v.
#include "models/families.h"

namespace attune {
namespace {

class Llama final : public Model {
 public:
  explicit Llama(ModelBuilder& b) : hidden_(b.config().hidden_size), embed_(b.embedding("model.embed_tokens")) {
    const ModelConfig& c = b.config();
    for (int64_t i = 0; i < c.num_layers; ++i) {
      const std::string at = layer_name(i);
      layers_.push_back({b.norm("input", at + "input_layernorm", hidden_, b.compute()), b.linear(qkv_spec(c, at)),
                         b.self_attention(static_cast<size_t>(i)), b.linear(o_spec(c, at)),
                         b.norm("post", at + "post_attention_layernorm", hidden_, b.compute()), b.gated_linear(gate_up_spec(c, at), c.hidden_act),
                         b.linear(down_spec(c, at))});
    }
    gather_ = b.row_gather();
    norm_ = b.norm("final", "model.norm", hidden_, b.compute());
    head_ = b.head("lm_head");
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
      l.o(ctx, at_.attended.data(), s.tokens(), x, x);
      l.post_norm(ctx, x, s.tokens(), at_.normed.data());
      l.swiglu(s, at_.normed.data(), at_.activated.data());
      l.down(ctx, at_.activated.data(), s.tokens(), x, x);
    }
    if (const float* rows = gather_(s)) norm_(ctx, rows, batch.num_logits_rows, at_.final.data());
  }

  void logits(const ExecContext& ctx, int64_t first, int64_t rows, float* out) override { head_rows(ctx, head_, at_, first, rows, out); }
  std::vector<KvLayer> kv_layers() const override { return kv_layers_; }

 private:
  struct Layer {
    RmsNorm input_norm;
    Linear qkv;
    SelfAttention attention;
    Linear o;
    RmsNorm post_norm;
    GatedLinear swiglu;
    Linear down;
  };
  int64_t hidden_;
  Embedding embed_;
  std::vector<Layer> layers_;
  RowGather gather_;
  RmsNorm norm_;
  Linear head_;
  Activations at_;
  std::vector<KvLayer> kv_layers_;
};

}  // namespace

std::unique_ptr<Model> make_llama(ModelBuilder& builder) { return std::make_unique<Llama>(builder); }

}  // namespace attune
