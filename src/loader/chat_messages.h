#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace attune {

/// The messages of a request, from JSON text: an array of objects with a "role" and a "content", which becomes one text where it is a list of text
/// parts; only what calls tools may stand without. InvalidArgument names the message.
nlohmann::ordered_json parse_messages(std::string_view text);

}  // namespace attune
