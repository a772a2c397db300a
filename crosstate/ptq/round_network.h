// A float network rounded after training, in one format: ranges from observers, then site by site
// in the order of the network the codes that change least of what the float network computes, each
// chosen behind the sites that are rounded already.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network.h"
#include "crosstate/ptq/statistics.h"
#include "crosstate/quant/options.h"

namespace crosstate::ptq {

class NetworkRounder {
 public:
  /// The network must be in floating point with its norms folded; it and the batches must outlive
  /// the object. Throws Error for a network that is quantized or has norms.
  NetworkRounder(const model::Network& network, std::span<const data::Batch> batches,
                 ThreadPool& pool);
  ~NetworkRounder();

  /// The network in a format without noise, every site with its own codes:
  /// - poles by choose_poles(), C by the states that follow from them in the rounded network;
  /// - encoder, pointwise layers and decoder by least squares behind rounded inputs, with biases
  ///   that leave the mean of every output as it is in floating point;
  /// - codes of weights by round_to_outputs(), except those of D and of sites of one bit, which are
  ///   the nearest.
  /// Ranges of weights in the result are `absmax`, which reproduces these codes. The same bits on
  /// any number of threads.
  model::Network round(const quant::QuantOptions& format) const;
  /// The network in a format with the nearest codes: what it costs is the same.
  model::Network in_format(const quant::QuantOptions& format) const;
  /// In floating point.
  const model::Network& network() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::ptq
