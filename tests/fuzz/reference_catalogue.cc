// A catalogue of the references alone, for programs that link src/proof but no kernels.
#include "ops/catalogue.h"

namespace attune {

const Catalogue& catalogue() {
  static const Catalogue references = [] {
    Catalogue c;
    add_reference_page(c);
    return c;
  }();
  return references;
}

}  // namespace attune
