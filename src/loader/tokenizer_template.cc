#include "loader/tokenizer_template.h"

#include <algorithm>

#include "core/error.h"
#include "loader/tokenizer_normalize.h"

namespace attune {
namespace {

constexpr size_t kMaxTemplate = 256;

}  // namespace

TokenTemplate::TokenTemplate(const JsonNode& node) {
  if (!node.is_null()) add(node);
}

void TokenTemplate::add(const JsonNode& node) {
  const std::string& type = component_type(node);
  if (type == "Sequence") {
    for (const JsonNode& item : sequence_items(node.at("processors"))) add(item);
  } else if (type == "TemplateProcessing") {
    add_frame(node);
  } else if (type != "ByteLevel") {  // that one moves offsets only
    unknown_component(node, "TemplateProcessing, ByteLevel, Sequence");
  }
}

void TokenTemplate::add_frame(const JsonNode& node) {
  Frame frame{node.path(), {}};
  bool has_text = false;
  for (const JsonNode& item : sequence_items(node.at("single"))) {
    if (item.has("Sequence")) {
      const std::string which = item.at("Sequence").at("id").text();
      if (which != "A" || has_text) invalid(item.path(), "the sequence \"A\" once", fmt::format("\"{}\"", printable(which)));
      has_text = true;
      frame.ids.push_back(kText);
      continue;
    }
    const std::string name = item.at("SpecialToken").at("id").text();
    for (const JsonNode& id : node.at("special_tokens").at(name.c_str()).at("ids").items()) {
      frame.ids.push_back(static_cast<int32_t>(id.integer(0, kMaxTokenId)));
    }
    if (frame.ids.size() > kMaxTemplate) invalid(item.path(), fmt::format("at most {} ids", kMaxTemplate), "more");
  }
  if (!has_text) invalid(node.path() + ".single", "the sequence \"A\"", "none");
  frames_.push_back(std::move(frame));
}

void TokenTemplate::check(int32_t vocab_size) const {
  for (const Frame& frame : frames_) {
    const int32_t largest = *std::max_element(frame.ids.begin(), frame.ids.end());
    if (largest >= vocab_size) invalid(frame.path, fmt::format("ids below {}", vocab_size), std::to_string(largest));
  }
}

std::vector<int32_t> TokenTemplate::apply(std::vector<int32_t> ids) const {
  for (const Frame& frame : frames_) {
    std::vector<int32_t> out;
    out.reserve(ids.size() + frame.ids.size());
    for (const int32_t id : frame.ids) {
      if (id == kText) {
        out.insert(out.end(), ids.begin(), ids.end());
      } else {
        out.push_back(id);
      }
    }
    ids = std::move(out);
  }
  return ids;
}

}  // namespace attune
