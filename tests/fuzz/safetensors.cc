// A safetensors file. An input is tried as the file's bytes, and as `header text, zero byte, data` with the right length put in front.
#include "loader/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "harness.h"

namespace attune::fuzz {
namespace {

SafetensorsHeader parse(const std::string& file) { return parse_safetensors(std::as_bytes(std::span(file)), "f"); }

std::string with_length(std::string_view header, std::string_view data) {
  std::string out(8, '\0');
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(uint64_t{header.size()} >> (8 * i));
  return out.append(header).append(data);
}

/// Entries lie side by side from the first byte of the data to the last.
void check_layout(const SafetensorsHeader& header, size_t file_size) {
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  for (const auto& [name, e] : header.entries) spans.emplace_back(e.begin, e.end);
  std::sort(spans.begin(), spans.end());
  uint64_t at = 0;
  for (const auto& [begin, end] : spans) {
    promise(begin == at && end >= begin, "no hole and no overlap");
    at = end;
  }
  promise(header.data_offset <= file_size && at == file_size - header.data_offset, "the tensors fill the file");
}

/// The header written anew reads the same.
void check_again(const SafetensorsHeader& header, std::string_view data) {
  nlohmann::json again = nlohmann::json::object();
  for (const auto& [name, e] : header.entries) again[name] = {{"dtype", e.dtype}, {"shape", e.shape}, {"data_offsets", {e.begin, e.end}}};
  if (!header.metadata.empty()) again["__metadata__"] = header.metadata;
  const std::string file = with_length(again.dump(), data);
  const SafetensorsHeader second = parse(file);
  promise(second.metadata == header.metadata && second.entries.size() == header.entries.size(), "a header written anew reads the same");
  for (const auto& [name, e] : header.entries) {
    const auto it = second.entries.find(name);
    promise(it != second.entries.end(), "every tensor is there again", name);
    const SafetensorsEntry& o = it->second;
    promise(o.dtype == e.dtype && o.shape == e.shape && o.begin == e.begin && o.end == e.end, "every tensor is the same again", name);
  }
}

/// Views of every tensor: within the mapping, their size that of type and shape.
void check_views(std::string_view file) {
  const MemoryFile on_disk(file);
  const Safetensors opened = Safetensors::open(on_disk.path());
  const auto bytes = opened.file().bytes();
  for (const std::string& name : opened.names()) {
    accepted([&] {
      const auto view = opened.find(name);
      promise(view.has_value(), "a listed tensor is found", name);
      const SafetensorsEntry& e = opened.header().entries.at(name);
      const auto* begin = static_cast<const std::byte*>(view->data);
      promise(begin >= bytes.data() && begin + (e.end - e.begin) <= bytes.data() + bytes.size(), "a view lies within the file", name);
      promise(static_cast<uint64_t>(view->shape.count()) * static_cast<uint64_t>(size_of(view->dtype)) == e.end - e.begin,
              "a view is as large as its type and shape say", name);
    });
  }
}

void check_file(const std::string& file) {
  SafetensorsHeader header;
  if (!accepted([&] { header = parse(file); })) return;
  check_layout(header, file.size());
  promise(accepted([&] { check_again(header, std::string_view(file).substr(header.data_offset)); }), "a header written anew is taken");
  promise(accepted([&] { check_views(file); }), "a good header makes a file that opens");
}

}  // namespace

void check(std::string_view input) {
  check_file(std::string(input));
  std::string_view data = input;
  const std::string_view header = take_part(data);
  check_file(with_length(header, data));
}

}  // namespace attune::fuzz
