// Averages: of the parameters of two networks, and of batch-norm statistics.
#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"

namespace crosstate::model {

void Network::measure_norms(const data::Batch& batch, double share, ThreadPool& pool) {
  state_->require_inputs(batch);
  if (!state_->batch_norm()) return;
  Coefficients coefficients = state_->coefficients();
  crosstate::model::measure_norms(*state_, coefficients, batch, share, pool);
}

void Network::move_towards(const Network& other, double share) {
  State& s = *state_;
  const State& to = *other.state_;
  const bool fits = s.statistics.size() == to.statistics.size() &&
                    std::equal(s.parameters.begin(), s.parameters.end(), to.parameters.begin(),
                               to.parameters.end(), [](const Parameter& a, const Parameter& b) {
                                 return a.name == b.name && a.shape == b.shape;
                               });
  if (!fits) fail("network", "cannot move towards a network of other shapes");
  const auto move = [share](std::vector<float>& values, const std::vector<float>& target) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double from = values[i];
      values[i] = static_cast<float>(from + share * (target[i] - from));
    }
  };
  for (std::size_t p = 0; p < s.parameters.size(); ++p) {
    move(s.parameters[p].value, to.parameters[p].value);
  }
  for (std::size_t l = 0; l < s.statistics.size(); ++l) {
    move(s.statistics[l].mean, to.statistics[l].mean);
    move(s.statistics[l].variance, to.statistics[l].variance);
  }
}

}  // namespace crosstate::model
