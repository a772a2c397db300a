// Post-training quantization of a float network in one format: ranges from observers, then, site by
// site in the order of the network, the codes that change the outputs of the float network least,
// chosen after the preceding sites have been quantized.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network.h"
#include "crosstate/ptq/check.h"
#include "crosstate/ptq/statistics.h"
#include "crosstate/quant/options.h"

namespace crosstate::ptq {

class NetworkRounder {
 public:
  /// The network must be a float network with folded norms; it and the batches must outlive the
  /// object. Throws Error for a network that is quantized or has norms. `check` is called before
  /// every pass over a batch and before the poles of every layer are chosen, here and in round().
  NetworkRounder(const model::Network& network, std::span<const data::Batch> batches,
                 ThreadPool& pool, Check check = {});
  ~NetworkRounder();

  /// The network in a format without noise, with codes chosen for every site:
  /// - poles by choose_poles(), C by the resulting states in the quantized network;
  /// - encoder, pointwise layers and decoder by least squares on quantized inputs, with biases that
  ///   preserve the mean of every output of the float network;
  /// - codes of weights by round_to_outputs(), except those of D and of sites of one bit, which are
  ///   the nearest.
  /// Ranges of weights in the result are `absmax`, which reproduces these codes. The same bits on
  /// any number of threads.
  model::Network round(const quant::QuantOptions& format) const;
  /// The network of the same cost with the nearest codes, except for poles on which the cost
  /// depends (residues by pole).
  model::Network in_format(const quant::QuantOptions& format) const;
  /// The float network.
  const model::Network& network() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::ptq
