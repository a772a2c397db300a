#include "crosstate/crossbar/converters.h"

#include <algorithm>
#include <cmath>

#include "crosstate/analog/steps.h"
#include "crosstate/base/random.h"

namespace crosstate::crossbar {
namespace {

// The maximum of t - t^3 is 2 / (3 sqrt(3)), at t = 1 / sqrt(3).
constexpr float kBend = 2.5980762f;

// Parts of the address of draws that are fixed per chip.
enum Part : std::uint32_t { kAdcGain = 0, kAdcOffset, kAdcInl, kDacGain, kDacInl, kOffsetFloor };

AlignedFloats draws(double deviation, double mean, std::size_t count, const ConverterAddress& a,
                    Part part) {
  AlignedFloats out(count, static_cast<float>(mean));
  if (deviation == 0) return out;
  Random random(a.seed, Stream::kConverters, a.array, part);
  for (float& v : out) v = static_cast<float>(mean + deviation * random.normal());
  return out;
}

}  // namespace

ColumnConverters::ColumnConverters(const CrossbarOptions& options, std::vector<ColumnRange> columns,
                                   const std::vector<float>& largest,
                                   const ConverterAddress& address,
                                   const std::vector<double>& currents)
    : options_(options), columns_(std::move(columns)) {
  const std::size_t n = columns_.size();
  if (options.adc_offset_floor > 0 && !currents.empty()) {
    const AlignedFloats drawn = draws(options.adc_offset_floor, 0, n, address, kOffsetFloor);
    for (std::size_t c = 0; c < n; ++c) offset_floor_.push_back(double{drawn[c]} / currents[c]);
  }
  if (options.adc_noise_floor > 0) {
    for (const double current : currents) noise_floor_.push_back(options.adc_noise_floor / current);
  }
  distorts_ = options.adc_gain_error > 0 || options.adc_offset > 0 || options.adc_inl > 0 ||
              !offset_floor_.empty();
  if (distorts_) {
    gain_ = draws(options.adc_gain_error, 1, n, address, kAdcGain);
    offset_ = draws(options.adc_offset, 0, n, address, kAdcOffset);
    inl_ = draws(options.adc_inl, 0, n, address, kAdcInl);
  }
  if (options.adc_range == AdcRange::kFixed) {
    for (std::size_t c = 0; c < n; ++c) {
      if (largest[c] > 0) {
        columns_[c].range = static_cast<float>(options.adc_full_scale) * largest[c];
      }
    }
  }
  set_steps();
}

void ColumnConverters::calibrate(const std::vector<float>& seen) {
  if (options_.adc_range != AdcRange::kCalibrated) return;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (seen[c] > 0) columns_[c].range = static_cast<float>(options_.adc_margin) * seen[c];
  }
  set_steps();
}

void ColumnConverters::correct(const std::vector<float>& slope) {
  if (offset_floor_.empty() && noise_floor_.empty()) return;
  slope_ = slope;
  set_steps();
}

void ColumnConverters::set_steps() {
  const bool learned = options_.adc_range == AdcRange::kLearned;
  conversions_.clear();
  const auto slope = [&](std::size_t c) { return slope_.empty() ? 1.0 : double{slope_[c]}; };
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const ColumnRange& column = columns_[c];
    const bool partial = learned && column.partial && options_.partial_bits > 0;
    const int bits = partial ? options_.partial_bits : options_.adc_bits;
    const float high = analog::converter_high(bits);
    // If the range of a converter is that of the codes, rounding to its steps is rounding to codes.
    const bool rounds = !learned || partial || column.own;
    const float step = rounds ? column.range / high : column.step;
    ColumnConversion& to = conversions_.emplace_back();
    to.step = step;
    to.inverse = 1 / step;
    to.step_of_range = step / column.range;
    to.high = rounds ? high : 0;
    to.between = column.between ? step / 2 : 0;
    to.distorts = distorts_;
    if (!distorts_) continue;
    to.gain = gain_[c];
    to.bend = kBend * inl_[c];
    to.shift = offset_[c];
    if (!offset_floor_.empty()) {
      to.shift += static_cast<float>(offset_floor_[c] * slope(c) / double{step});
    }
  }
  noise_.clear();
  if (options_.adc_noise == 0 && noise_floor_.empty()) return;
  const auto noise = static_cast<float>(options_.adc_noise);
  for (const ColumnConversion& c : conversions_) {
    noise_.push_back(noise * c.step * noise * c.step);
  }
  for (std::size_t c = 0; c < noise_floor_.size(); ++c) {
    const double floor = noise_floor_[c] * slope(c);
    noise_[c] += static_cast<float>(floor * floor);
  }
}

void ColumnConverters::convert(std::size_t first, std::size_t count, std::size_t columns,
                               kernels::Rows sums) const {
  convert_columns(conversions().subspan(first, count), columns, sums);
}

RowDrivers::RowDrivers(const CrossbarOptions& options, std::size_t rows, float range,
                       const ConverterAddress& address)
    : inverse_range_(1 / range) {
  if (options.dac_gain_error > 0) gain_ = draws(options.dac_gain_error, 1, rows, address, kDacGain);
  if (options.dac_inl > 0) bends_ = draws(options.dac_inl, 0, rows, address, kDacInl);
  for (float& b : bends_) b *= kBend;
}

void RowDrivers::drive(std::size_t columns, kernels::ConstRows codes, kernels::Rows driven) const {
  drive_rows(bends_, inverse_range_, columns, codes, driven);
}

}  // namespace crosstate::crossbar
