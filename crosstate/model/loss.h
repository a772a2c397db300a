// The loss of one sequence from its logits, and its gradient.
#pragma once

#include <cstddef>
#include <span>

#include "crosstate/model/network.h"

namespace crosstate {

/// (1 - w) cross-entropy(label, smoothed) + w T^2 KL(teacher || logits), both distributions of the
/// second term at temperature T (Hinton et al., arXiv 1503.02531); w = 0 where `teacher` is empty.
/// teacher, slope: as many as logits. slope, if not empty, becomes the gradient by the logits.
double classification_loss(std::span<const float> logits, std::size_t label,
                           const LossOptions& options, std::span<const float> teacher,
                           std::span<double> slope);

}  // namespace crosstate
