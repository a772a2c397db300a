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

// x + INL(x), both in units of one step; `inverse` is one step divided by the range.
void add_inl(std::size_t columns, float size, float inverse, const float* x, float* y) {
  for (std::size_t i = 0; i < columns; ++i) {
    const float t = std::clamp(x[i] * inverse, -1.0f, 1.0f);
    y[i] = x[i] + kBend * size * (t - t * t * t);
  }
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
  step_.clear();
  largest_.clear();
  between_.clear();
  for (const ColumnRange& c : columns_) {
    const bool partial = learned && c.partial && options_.partial_bits > 0;
    const int bits = partial ? options_.partial_bits : options_.adc_bits;
    const float high = analog::converter_high(bits);
    // If the range of a converter is that of the codes, rounding to its steps is rounding to codes.
    const bool rounds = !learned || partial || c.own;
    step_.push_back(rounds ? c.range / high : c.step);
    largest_.push_back(rounds ? high : 0);
    between_.push_back(c.between ? step_.back() / 2 : 0);
  }
  const auto slope = [&](std::size_t c) { return slope_.empty() ? 1.0 : double{slope_[c]}; };
  shift_ = offset_;
  for (std::size_t c = 0; c < offset_floor_.size(); ++c) {
    shift_[c] += static_cast<float>(offset_floor_[c] * slope(c) / double{step_[c]});
  }
  noise_.clear();
  if (options_.adc_noise == 0 && noise_floor_.empty()) return;
  const auto noise = static_cast<float>(options_.adc_noise);
  for (const float step : step_) noise_.push_back(noise * step * noise * step);
  for (std::size_t c = 0; c < noise_floor_.size(); ++c) {
    const double floor = noise_floor_[c] * slope(c);
    noise_[c] += static_cast<float>(floor * floor);
  }
}

void ColumnConverters::convert(std::size_t first, std::size_t count, std::size_t columns,
                               kernels::Rows sums) const {
  if (distorts_) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t c = first + i;
      float* x = sums.row(i);
      const float step = step_[c], inverse = 1 / step;
      for (std::size_t k = 0; k < columns; ++k) x[k] = x[k] * gain_[c] * inverse + shift_[c];
      add_inl(columns, inl_[c], step / columns_[c].range, x, x);
      for (std::size_t k = 0; k < columns; ++k) x[k] *= step;
    }
  }
  for (std::size_t i = 0, end = 0; i < count; i = end) {
    const float high = largest_[first + i];
    for (end = i + 1; end < count && largest_[first + end] == high; ++end) {
    }
    if (high == 0) continue;
    const kernels::Rows part{sums.row(i), sums.stride};
    const auto shift = [&](float sign) {
      for (std::size_t r = i; r < end; ++r) {
        const float by = sign * between_[first + r];
        for (std::size_t k = 0; by != 0 && k < columns; ++k) sums.row(r)[k] += by;
      }
    };
    shift(-1);
    kernels::fake_quantize_forward(step_.data() + first + i, -high, high, end - i, columns, part,
                                   part);
    shift(1);
  }
}

RowDrivers::RowDrivers(const CrossbarOptions& options, std::size_t rows, float range,
                       const ConverterAddress& address)
    : inverse_range_(1 / range) {
  if (options.dac_gain_error > 0) gain_ = draws(options.dac_gain_error, 1, rows, address, kDacGain);
  if (options.dac_inl > 0) inl_ = draws(options.dac_inl, 0, rows, address, kDacInl);
}

void RowDrivers::drive(std::size_t count, std::size_t columns, kernels::ConstRows codes,
                       kernels::Rows driven) const {
  for (std::size_t r = 0; r < count; ++r) {
    add_inl(columns, inl_[r], inverse_range_, codes.row(r), driven.row(r));
  }
}

}  // namespace crosstate::crossbar
