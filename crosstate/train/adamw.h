// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), with one learning rate per
// group.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/formats/safetensors.h"
#include "crosstate/model/parameter.h"

namespace crosstate::train {

struct AdamWOptions {
  double learning_rate = 0.01;     // groups kWeight and kNoDecay
  double recurrence_rate = 0.001;  // group kRecurrence
  double range_rate = 0.001;       // group kRange
  double weight_decay = 0.01;      // group kWeight
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
};

class AdamW {
 public:
  AdamW(const std::vector<model::Parameter>& parameters, const AdamWOptions& options);

  /// Updates the values from their gradients; every learning rate is multiplied by rate_share. The
  /// gradients are multiplied by gradient_scale first (for gradient clipping).
  void step(std::vector<model::Parameter>& parameters, double rate_share,
            double gradient_scale = 1);

  std::uint64_t steps() const { return steps_; }

  /// Resets the moments of one parameter, as if the next step were its first.
  void restart(std::size_t parameter);

  /// Adds "optimizer.m.NAME" and "optimizer.v.NAME", the number of steps, and the step at which a
  /// parameter started if that is not the first.
  void save(const std::vector<model::Parameter>& parameters, formats::Safetensors& content) const;
  /// Throws Error (with `where`) for a tensor that is missing or has another shape.
  void load(const std::vector<model::Parameter>& parameters, const formats::Safetensors& content,
            const std::string& where);

 private:
  AdamWOptions options_;
  std::vector<std::vector<float>> first_, second_;  // moments, by parameter
  std::vector<std::uint64_t> started_;  // number of steps before the first of the parameter
  std::uint64_t steps_ = 0;
};

/// Euclidean norm of all gradients as one vector.
double gradient_norm(const std::vector<model::Parameter>& parameters);

}  // namespace crosstate::train
