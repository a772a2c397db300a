// Preparation of sequences for a network.
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

/// The preparation of the data on which a model was trained. It is stored in the model file, so
/// that the model gets the same input wherever it is evaluated.
struct Preparation {
  task::Readout readout;
  std::uint64_t permutation_seed = 0;                      // 0: steps in original order
  std::size_t permuted_steps = 0;                          // length of the permuted sequences
  std::optional<data::FrontEnd> front_end = std::nullopt;  // for recordings

  /// Adds the entries of save_readout(), metadata "permutation_seed", for permuted steps their
  /// order as the tensor "permutation" (step t is the former step permutation[t]), and the entries
  /// of FrontEnd::save().
  void save(formats::Safetensors& model) const;
  /// Empty for a model file without this information.
  static std::optional<Preparation> load(const formats::Safetensors& model,
                                         const std::string& where);

  /// The first key or tensor of save() that differs or is missing in a model, except the statistics
  /// of the front end; "" if the model was trained on data prepared in this way.
  std::string difference(const formats::Safetensors& model) const;
  /// Throws Error (`where`: the model) for sequences whose length differs from that of the permuted
  /// ones, for which the order would be meaningless.
  void require_length(const data::Dataset& set, const std::string& where) const;
  /// Throws Error (`where`: the model) if the front end computes another number of features than
  /// the network has inputs, or the read-out names another number of outputs or another scope.
  void require_network(std::size_t inputs, std::size_t outputs, task::Scope scope,
                       const std::string& where) const;
};

}  // namespace crosstate::inference
