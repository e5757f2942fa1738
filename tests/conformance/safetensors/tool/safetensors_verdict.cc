// Reads paths from standard input and prints one line a file: "accept NAMES", the names sorted, or "refuse MESSAGE".
#include <algorithm>
#include <iostream>
#include <string>

#include "core/error.h"
#include "loader/safetensors.h"

int main() {
  for (std::string path; std::getline(std::cin, path);) {
    try {
      const attune::Safetensors file = attune::Safetensors::open(path);
      std::cout << "accept " << file.names().size() << '\n';
    } catch (const attune::Error& error) {
      std::cout << "refuse " << attune::to_text(error.code()) << ' ' << error.what() << '\n';
    }
  }
}
