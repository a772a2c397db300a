// What was done to sequences before a network saw them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/data/dataset.h"
#include "crosstate/data/front_end.h"
#include "crosstate/formats/safetensors.h"

namespace crosstate::inference {

/// What was done to the data that a model was trained on. It travels in the model's file, so that
/// the model meets the same input wherever it is evaluated.
struct Preparation {
  task::Readout readout;
  std::uint64_t permutation_seed = 0;  // 0: steps in order
  std::size_t permuted_steps = 0;      // length of the sequences that were permuted
  std::optional<data::FrontEnd> front_end = std::nullopt;  // of recordings

  /// Adds what save_readout() does and metadata "permutation_seed", for permuted steps their order
  /// as the tensor "permutation" (step t is what was step permutation[t]), and what
  /// FrontEnd::save() adds.
  void save(formats::Safetensors& model) const;
  /// Nothing for a model that tells none of it.
  static std::optional<Preparation> load(const formats::Safetensors& model,
                                         const std::string& where);

  /// What of save() a model tells otherwise or not at all, but for the front end's statistics: the
  /// first such key or tensor; "" if it was trained on data prepared like this.
  std::string difference(const formats::Safetensors& model) const;
  /// Throws Error (`where`: the model) for sequences of another length than those whose steps were
  /// permuted: their order would be an unrelated one.
  void require_length(const data::Dataset& set, const std::string& where) const;
};

}  // namespace crosstate::inference
