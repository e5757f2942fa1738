#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proof/task.h"

namespace attune {

/// One case on which a planted defect should show.
struct PlantedTrial {
  std::string shape;  ///< "q=1", "q=1 window", "q>1", …
  bool should_show = true;
  bool caught = false;
  std::string text, repro;
};

struct PlantedReport {
  std::string name, what, op;
  std::vector<PlantedTrial> trials;
  double seconds = 0;

  /// Caught wherever it should show, and right where it is hidden.
  bool caught() const;
};

/// Runs every planted defect: attention at one query token a sequence and at more, with and without a window; other ops on one case each.
/// The first of the list is the kernel without a defect, of which `caught` means that it passes. Without `elsewhere` cases run in this process, and
/// defects that would end it are left out.
std::vector<PlantedReport> run_planted(uint64_t seed, const std::function<void(const PlantedReport&)>& on_defect, const Performer& elsewhere = {});

}  // namespace attune
