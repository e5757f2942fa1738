// Reads paths from standard input and prints one line a file: "accept CONTENT", its tensors in the order of the data and its metadata as JSON, or
// "refuse MESSAGE".
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "loader/safetensors.h"

namespace {

std::string content(const attune::Safetensors& file) {
  nlohmann::json tensors = nlohmann::json::array();
  for (const std::string& name : file.names()) {
    const attune::SafetensorsEntry& e = file.header().entries.at(name);
    tensors.push_back({name, e.dtype, e.shape});
  }
  return nlohmann::json{tensors, file.header().metadata}.dump(-1, ' ', true);
}

}  // namespace

int main() {
  for (std::string path; std::getline(std::cin, path);) {
    try {
      std::cout << "accept " + content(attune::Safetensors::open(path)) + '\n';
    } catch (const attune::Error& error) {
      std::cout << "refuse " << attune::to_text(error.code()) << ' ' << error.what() << '\n';
    }
  }
}
