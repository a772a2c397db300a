#include "crosstate/simulate/target_noise.h"

#include <algorithm>
#include <cmath>

#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"

namespace crosstate::simulate {

TargetNoise target_noise(const integer::IntegerNetwork& network, const crossbar::Target& target,
                         double age, std::uint64_t seed) {
  const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, 1);
  Chip chip(network, mapping, target, seed, 0);
  chip.age_to(age);
  double device = 0, read = 0, pairs = 0, floors = 0, columns = 0;
  for (std::size_t i = 0; i < mapping.arrays.size(); ++i) {
    const mapping::MappedArray& plan = mapping.arrays[i];
    const crossbar::ProgrammedArray& array = chip.arrays()[i];
    for (std::size_t c = 0; c < plan.columns; ++c) {
      const double full = plan.line(c).unit();
      if (full > 0 && array.fixed_variance() != nullptr) {
        const double in_steps = target.crossbar.adc_noise * double{array.converter_step(c)};
        const double absolute = double{array.fixed_variance()[c]} - in_steps * in_steps;
        const double largest = full * double{array.largest_driven()};
        floors += std::max(0.0, absolute) / (largest * largest);
        columns += 1;
      }
      for (std::size_t r = 0; r < plan.rows; ++r) {
        const double weight = plan.weights[r * plan.columns + c];
        if (weight == 0) continue;
        const double unit = full * plan.level(r, c);
        const double held = array.effective()[c * plan.rows + r] + array.correction(r, c);
        const double error = (held - array.aim(r, c)) / unit;
        device += error * error;
        if (array.flickers()) {
          device += array.inference_variance()[c * plan.rows + r] / (unit * unit);
        }
        read += array.read_variance()[c * plan.rows + r] / (unit * unit);
        pairs += 1;
      }
    }
  }
  const bool absolute = target.crossbar.adc_noise_floor > 0 || target.crossbar.dac_noise_floor > 0;
  TargetNoise noise;
  if (absolute && columns > 0) noise.floor = std::sqrt(floors / columns);
  if (pairs == 0) return noise;
  noise.device = std::sqrt(device / pairs);
  noise.read = std::sqrt(read / pairs);
  return noise;
}

void train_for(const crossbar::CrossbarOptions& crossbar, const TargetNoise& noise, double share,
               quant::QuantOptions& quant) {
  quant.device_noise = share * noise.device;
  quant.weight_noise = share * noise.read;
  quant.noise_unit = quant::NoiseUnit::kLargest;
  const bool increments = crossbar.recurrence == crossbar::PoleStorage::kIncrement;
  if (!increments) {
    quant.noise_recurrence = quant::NoiseRecurrence::kDirect;
  } else {
    quant.noise_recurrence = crossbar.compensation == crossbar::Compensation::kColumn
                                 ? quant::NoiseRecurrence::kCorrected
                                 : quant::NoiseRecurrence::kIncrement;
  }

  quant::ArraySite& array = quant.array;
  const auto fill = [](int& of, int with) {
    if (of == quant::kPresetBits) of = with;
  };
  const analog::ArrayGeometry geometry = crossbar::array_geometry(crossbar);
  fill(array.rows, static_cast<int>(geometry.rows));
  fill(array.columns, static_cast<int>(geometry.columns));
  fill(array.drive_halvings, geometry.drive_halvings);
  // Copies with slice_base > 1 correct the rounding to levels. With offset encoding both signs
  // share the levels.
  const int levels = crossbar.encoding == crossbar::WeightEncoding::kOffset
                         ? (crossbar.levels + 1) / 2
                         : crossbar.levels;
  fill(array.levels, crossbar.slice_base == 1 && levels > 1 ? levels : 0);
  fill(array.partial_bits,
       crossbar.adc_range == crossbar::AdcRange::kLearned ? crossbar.partial_bits : 0);
  // If states are applied in slices, converters have the range of the codes.
  const quant::QuantOptions formats = quant::resolved(quant);
  const bool sliced = std::max(formats.state.bits, formats.residual.bits) > crossbar.dac_bits;
  const bool fitted =
      increments && crossbar.increment_range == crossbar::IncrementRange::kFitted && !sliced;
  fill(array.state_bits, fitted ? crossbar.adc_bits : 0);
  if (array.digital.empty()) array.digital = crossbar.digital;
  if (array.noise < 0) array.noise = share * crossbar.adc_noise;
  if (array.noise_floor < 0) array.noise_floor = share * noise.floor;
}

}  // namespace crosstate::simulate
