// Chooses ranges from calibration batches when quantization is enabled or formats change.
#include <algorithm>
#include <numeric>
#include <optional>

#include "crosstate/base/error.h"
#include "crosstate/model/calibration.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/pass.h"
#include "crosstate/quant/weights.h"

namespace crosstate::model {
namespace {

void require_foldable(const Network::State& s, const quant::QuantOptions& sites) {
  if (!s.batch_norm() || quant::folds_after_rounding(sites)) return;
  fail("model.norm",
       "fold batch norms before quantizing with one weight scale per tensor or powers of two");
}

// A trained range remains valid as long as the codes that it scales do not change.
bool changes(const quant::ActivationSite& before, const quant::ActivationSite& now) {
  quant::ActivationSite same = before;
  same.learned = now.learned;
  return now.bits != quant::kFloatBits && same != now;
}
bool changes(const quant::StateSite& before, const quant::StateSite& now) {
  return now.bits != quant::kFloatBits && before != now;
}

bool changes(const quant::WeightSite& before, const quant::WeightSite& now) {
  return now.learned && now.bits != quant::kFloatBits && before != now;
}

// The parameters of a network that is already quantized do not change.
void require_same_scales(const quant::QuantOptions& before, const quant::QuantOptions& now) {
  const auto require = [&](const char* name, auto site) {
    const quant::WeightSite &a = before.*site, &b = now.*site;
    if (a.learned == b.learned && (!a.learned || a.granularity == b.granularity)) return;
    fail("requantize",
         std::string("quant.") + name +
             ".learned and granularity, expected those the network is quantized with");
  };
  require("encoder", &quant::QuantOptions::encoder);
  require("c", &quant::QuantOptions::c);
  require("d", &quant::QuantOptions::d);
  require("weight", &quant::QuantOptions::weight);
  require("decoder", &quant::QuantOptions::decoder);
}

// Disables quantization of the sites that change, so that their values can be observed. Returns
// false if there are none.
bool unround_changed(quant::QuantOptions& present, const quant::QuantOptions& next) {
  bool any = false;
  const auto unround = [&](auto site) {
    if (!changes(present.*site, next.*site)) return;
    (present.*site).bits = quant::kFloatBits;
    any = true;
  };
  unround(&quant::QuantOptions::input);
  unround(&quant::QuantOptions::residual);
  unround(&quant::QuantOptions::ssm_output);
  unround(&quant::QuantOptions::activation);
  unround(&quant::QuantOptions::linear);
  unround(&quant::QuantOptions::state);
  return any;
}

void require_sequences(bool any) {
  if (any) return;
  fail("calibration", "no sequences, expected at least one, whose values are quantized");
}

bool any_sequences(std::span<const data::Batch> batches) {
  return std::ranges::any_of(batches, [](const data::Batch& batch) { return batch.count > 0; });
}

// Refuses observers from which the ranges of sites that change cannot be chosen, before anything
// does.
void require_usable(const Observers& observers, const quant::QuantOptions& before,
                    const quant::QuantOptions& now) {
  quant::QuantOptions present = before;
  if (!unround_changed(present, now)) return;
  require_sequences(observers.input.count > 0);
  require_finite(observers);
  const auto require = [&](const char* name, auto site, const Observer& observer) {
    if (!changes(before.*site, now.*site) || !wants_histogram(now.*site)) return;
    if (!observer.histogram.empty()) return;
    fail(std::string("quant.") + name + ".range",
         '\'' + name_of((now.*site).range) +
             "' needs a histogram of the values, expected observers with histograms");
  };
  require("input", &quant::QuantOptions::input, observers.input);
  require("residual", &quant::QuantOptions::residual, observers.residual);
  for (const Observers::Block& b : observers.blocks) {
    require("ssm_output", &quant::QuantOptions::ssm_output, b.ssm_output);
    require("activation", &quant::QuantOptions::activation, b.activation);
    require("linear", &quant::QuantOptions::linear, b.linear);
  }
}

void choose_steps(Network::State& s, std::size_t layer, const Observers& observers) {
  const double top = quant::largest_code(std::max(s.quant.state.bits, 2));
  for (std::size_t i = 0; i < s.state_steps[layer].size(); ++i) {
    const double peak = std::max(1e-6, static_cast<double>(observers.blocks[layer].state[i]));
    s.state_steps[layer][i] = static_cast<float>(peak / top);
  }
}

// Learned scales of weights start at the scales chosen by the range of the site.
void choose_scales(Network::State& s, const quant::QuantOptions& before,
                   std::vector<std::size_t>& chosen) {
  // first(r): index in `values` of the first weight with scale r; first(number of scales) is the
  // end.
  const auto choose = [&](auto site, std::size_t index, std::span<const float> values, auto first) {
    if (!changes(before.*site, s.quant.*site)) return;
    std::vector<float>& ratios = s.parameters[index].value;
    for (std::size_t r = 0; r < ratios.size(); ++r) {
      ratios[r] =
          quant::chosen_log_ratio(values.subspan(first(r), first(r + 1) - first(r)), s.quant.*site);
    }
    chosen.push_back(index);
  };
  const auto matrix = [&](auto site, std::size_t index, std::size_t weight) {
    if (!(s.quant.*site).learned) return;
    const std::span<const float> values = s.parameters[weight].value;
    const std::size_t columns = values.size() / s.parameters[index].value.size();
    choose(site, index, values, [=](std::size_t r) { return r * columns; });
  };
  matrix(&quant::QuantOptions::encoder, s.encoder_scale, s.encoder);
  matrix(&quant::QuantOptions::decoder, s.decoder_scale, s.decoder);
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const BlockParameters& p = s.blocks[l];
    matrix(&quant::QuantOptions::d, p.d_scale, p.d);
    matrix(&quant::QuantOptions::weight, p.weight_scale, p.weight);
    if (!s.quant.c.learned) continue;
    const std::vector<float> values = s.output_weights(l);
    const bool single = s.parameters[p.c_scale].value.size() == 1;
    choose(&quant::QuantOptions::c, p.c_scale, values, [&](std::size_t r) {
      return single ? r * values.size() : s.shapes[l].first[r] * (s.complex() ? 2 : 1);
    });
  }
}

// Chooses the ranges of sites that change from `before`; returns their parameters.
std::vector<std::size_t> choose_ranges(Network::State& s, const quant::QuantOptions& before,
                                       const Observers& observers) {
  std::vector<std::size_t> chosen;
  const auto choose = [&](std::size_t index, auto site, const Observer& observer) {
    if (!changes(before.*site, s.quant.*site)) return;
    const ChosenRange range = choose_range(s.quant.*site, observer);
    s.parameters[index].value[0] = static_cast<float>(range.log_scale);
    s.quant_mins[index - s.input_range] = range.quant_min;
    chosen.push_back(index);
  };
  choose(s.input_range, &quant::QuantOptions::input, observers.input);
  choose(s.residual_range, &quant::QuantOptions::residual, observers.residual);
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    choose(s.blocks[l].ssm_output, &quant::QuantOptions::ssm_output,
           observers.blocks[l].ssm_output);
    choose(s.blocks[l].activation, &quant::QuantOptions::activation,
           observers.blocks[l].activation);
    choose(s.blocks[l].linear, &quant::QuantOptions::linear, observers.blocks[l].linear);
    if (changes(before.state, s.quant.state)) choose_steps(s, l, observers);
  }
  choose_scales(s, before, chosen);
  return chosen;
}

// Observers of the network with other formats, and otherwise the same values.
Observers observe(const Network::State& s, const quant::QuantOptions& formats,
                  std::span<const data::Batch> batches, ThreadPool& pool, bool histograms) {
  Network::State other = s;
  other.quant = formats;
  return measure_observers(other, other.coefficients(), batches, pool, histograms);
}

// The means by row over the calibration sequences, which bias correction preserves.
struct Means {
  Observers observers;
  std::vector<double> logits;
};

Means measure_means(const Network::State& s, std::span<const data::Batch> batches,
                    ThreadPool& pool) {
  const Coefficients coefficients = s.coefficients();
  Means means{measure_observers(s, coefficients, batches, pool), {}};
  means.logits.assign(static_cast<std::size_t>(s.task.outputs), 0);
  const bool every_step = s.options.readout == task::Scope::kStep;
  std::size_t count = 0;
  for (const data::Batch& batch : batches) {
    std::vector<float> logits;
    forward_batch(s, coefficients, batch, pool, &logits);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      means.logits[i % means.logits.size()] += static_cast<double>(logits[i]);
    }
    // Of every step there are as many outputs as there are steps; those of padding are 0.
    count += every_step ? std::reduce(batch.lengths.begin(), batch.lengths.end(), std::size_t{0})
                        : batch.count;
  }
  for (double& mean : means.logits) mean /= static_cast<double>(std::max<std::size_t>(count, 1));
  return means;
}

// Bias correction (M. Nagel et al., arXiv 1906.04721, with measured means): each layer is measured
// after the preceding ones have been corrected.
void correct_biases(Network::State& s, const Means& wanted, std::span<const data::Batch> batches,
                    ThreadPool& pool) {
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const Observer& before = wanted.observers.blocks[l].linear;
    const Observer now = measure_observers(s, s.coefficients(), batches, pool).blocks[l].linear;
    std::vector<float>& bias = s.parameters[s.blocks[l].bias].value;
    for (std::size_t o = 0; o < bias.size(); ++o) {
      bias[o] += static_cast<float>(before.mean(o) - now.mean(o));
    }
  }
  const std::vector<double> logits = measure_means(s, batches, pool).logits;
  std::vector<float>& bias = s.parameters[s.decoder_bias].value;
  for (std::size_t k = 0; k < bias.size(); ++k) {
    bias[k] += static_cast<float>(wanted.logits[k] - logits[k]);
  }
}

}  // namespace

void Network::quantize(const quant::QuantOptions& options, std::span<const data::Batch> calibration,
                       ThreadPool& pool) {
  State& s = *state_;
  quant::validate(options);
  const quant::QuantOptions sites = quant::resolved(options);
  require_foldable(s, sites);
  quant::digital_sites(sites.array).require_blocks(s.blocks.size());
  if (s.quantized) fail("quantize", "the network is already quantized");
  for (const data::Batch& batch : calibration) s.require_inputs(batch);
  const bool corrects = sites.bias_correction && !s.batch_norm();
  if (corrects) require_sequences(any_sequences(calibration));
  const Observers observers =
      measure_observers(s, s.coefficients(), calibration, pool, wants_histograms(sites));
  std::optional<Means> means;
  if (corrects) means = measure_means(s, calibration, pool);
  quantize(options, observers);
  if (means) correct_biases(s, *means, calibration, pool);
}

void Network::quantize(const quant::QuantOptions& options, const Observers& observers) {
  State& s = *state_;
  quant::validate(options);
  const quant::QuantOptions sites = quant::resolved(options);
  require_foldable(s, sites);
  quant::digital_sites(sites.array).require_blocks(s.blocks.size());
  if (s.quantized) fail("quantize", "the network is quantized already");
  const quant::QuantOptions before = quant::quant_preset("float");
  require_usable(observers, before, sites);
  s.quant = sites;
  s.quantized = true;
  s.add_ranges();
  choose_ranges(s, before, observers);
}

std::vector<std::size_t> Network::requantize(const quant::QuantOptions& options,
                                             std::span<const data::Batch> calibration,
                                             ThreadPool& pool) {
  State& s = *state_;
  quant::validate(options);
  const quant::QuantOptions sites = quant::resolved(options);
  require_foldable(s, sites);
  quant::digital_sites(sites.array).require_blocks(s.blocks.size());
  if (!s.quantized) fail("requantize", "the network is not quantized yet");
  require_same_scales(s.quant, sites);
  for (const data::Batch& batch : calibration) s.require_inputs(batch);
  const quant::QuantOptions before = s.quant;
  // Weights keep their present quantization here, to which the running statistics of batch norms
  // belong.
  quant::QuantOptions unrounded = before;
  const Observers observers =
      unround_changed(unrounded, sites)
          ? observe(s, unrounded, calibration, pool, wants_histograms(sites))
          : Observers(s);
  require_usable(observers, before, sites);
  s.quant = sites;
  return choose_ranges(s, before, observers);
}

void Network::measure_states(std::span<const data::Batch> batches, ThreadPool& pool) {
  State& s = *state_;
  if (!s.quantized) fail("states", "the network is not quantized yet");
  for (const data::Batch& batch : batches) s.require_inputs(batch);
  if (s.quant.state.bits == quant::kFloatBits) return;
  require_sequences(any_sequences(batches));
  quant::QuantOptions unrounded = s.quant;
  unrounded.state.bits = quant::kFloatBits;
  const Observers observers = observe(s, unrounded, batches, pool, false);
  for (std::size_t l = 0; l < s.blocks.size(); ++l) choose_steps(s, l, observers);
}

}  // namespace crosstate::model
