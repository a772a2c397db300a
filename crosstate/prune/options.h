// Options of pruning: shares, score, schedule.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"

namespace crosstate::prune {

enum class Score { kMagnitude, kLast, kEnergy, kHankel, kTaylor };
constexpr auto enum_names(Score) {
  return std::array{
      Named{"magnitude", Score::kMagnitude}, Named{"last", Score::kLast},
      Named{"energy", Score::kEnergy},       Named{"hankel", Score::kHankel},
      Named{"taylor", Score::kTaylor},
  };
}

enum class PruneScope { kStream, kBlock };
constexpr auto enum_names(PruneScope) {
  return std::array{Named{"stream", PruneScope::kStream}, Named{"block", PruneScope::kBlock}};
}

enum class PruneSchedule { kOneShot, kGradual };
constexpr auto enum_names(PruneSchedule) {
  return std::array{Named{"one-shot", PruneSchedule::kOneShot},
                    Named{"gradual", PruneSchedule::kGradual}};
}

struct PruneOptions {
  std::string states = "0.6";    // share of all states to remove; several: one model for each
  std::string channels = "0.3";  // share of the channels to remove, likewise
  PruneScope scope = PruneScope::kStream;  // stream | block
  Score score = Score::kTaylor;            // magnitude | last | energy | hankel | taylor
  bool refit = true;  // refit C of the remaining modes to the response of all modes
  PruneSchedule schedule = PruneSchedule::kOneShot;  // one-shot | gradual
  int steps = 4;                                     // of gradual pruning
  double penalty = 0;  // strength of the group penalty before pruning; 0: none
  int penalty_epochs = 1;
  bool retrain = true;
  int batches = 32;     // batches of 16 training sequences, for taylor
  std::string against;  // another model that is pruned in the same way for comparison; "": none
};

/// Shares to remove in one pruning.
struct PruneShares {
  double states = 0, channels = 0;
  bool operator==(const PruneShares&) const = default;
};

/// Binds the fields of section "prune".
void fields(FieldList& list, PruneOptions& options);
/// Throws Error for a value out of range and for lists that do not match.
void validate(const PruneOptions& options);

/// The points of PruneOptions::states and ::channels, ascending. A list of one value is combined
/// with every value of the other list. Throws Error for text that is not such a list, for
/// shares below 0 or not below 1, and for a point that is repeated.
std::vector<PruneShares> prune_points(const PruneOptions& options);

/// Intermediate shares up to `end`: one per step, the last being `end` itself. The remaining size
/// follows a cubic schedule (Zhu, Gupta, arXiv 1710.01878), which prunes fastest at the beginning.
std::vector<PruneShares> prune_schedule(const PruneOptions& options, const PruneShares& end);

}  // namespace crosstate::prune
