#include "crosstate/simulate/array_plan.h"

#include <algorithm>
#include <cmath>

#include "crosstate/analog/bit_line.h"
#include "crosstate/analog/steps.h"
#include "crosstate/integer/lanes.h"
#include "crosstate/simulate/conversion.h"

namespace crosstate::simulate {
namespace {

class Planner {
 public:
  Planner(const integer::IntegerNetwork& network, const mapping::Mapping& mapping,
          const crossbar::CrossbarOptions& crossbar, std::size_t number)
      : n_(network),
        mapping_(mapping),
        crossbar_(crossbar),
        a_(mapping.arrays[number]),
        plan_{.weights = a_.weights, .rows = a_.rows, .columns = a_.columns, .drive = a_.drive} {}

  crossbar::ArrayPlan run() {
    switch (a_.site) {
      case mapping::Site::kEncoder:
        plan_.slices = mapping_.input_slices;
        plan_.largest_code = integer::largest_magnitude(n_.input);
        matrix_ranges(n_.encoder_codes, n_.residual, n_.encoder.columns);
        break;
      case mapping::Site::kRecurrence:
        plan_.slices = mapping_.state_slices;
        plan_.largest_code = analog::recurrent_drive(static_cast<float>(n_.state_limit),
                                                     static_cast<float>(n_.residual.quant_min),
                                                     static_cast<float>(n_.residual.quant_max));
        recurrence_ranges();
        if (crossbar_.recurrence == crossbar::PoleStorage::kIncrement) {
          plan_.own_row.assign(a_.columns, crossbar::kNoRow);
          for (std::size_t c = 0; c < a_.state_columns; ++c) {
            plan_.own_row[c] = a_.input_rows + c;
          }
        }
        break;
      case mapping::Site::kLinear: {
        const integer::IntegerBlock& b = n_.blocks[a_.layer];
        plan_.slices = mapping_.activation_slices;
        plan_.largest_code = integer::largest_magnitude(b.activation);
        matrix_ranges(n_.gated ? b.linear_codes : b.sum, n_.gated ? b.linear : n_.residual,
                      b.shape.size());
        break;
      }
      case mapping::Site::kDecoder:
        // Rows are driven by slices, which may have fewer bits than the DACs.
        plan_.largest_code = analog::converter_high(mapping_.decoder_bits);
        score_ranges();
        break;
    }
    // With slice_base > 1 every copy has its own converters, whose codes are summed.
    if (mapping_.conversions_of_weight > 1) {
      for (crossbar::ColumnRange& range : plan_.ranges) range.partial = true;
    }
    return std::move(plan_);
  }

 private:
  void matrix_ranges(const integer::Requantizer& r, const integer::CodeFormat& to,
                     std::size_t inputs) {
    const bool partial = a_.rows < inputs || plan_.slices > 1;
    for (std::size_t c = 0; c < a_.columns; ++c) {
      plan_.ranges.push_back(column_range(r, a_.first_output + c, to, crossbar_.adc_bits, partial));
    }
  }

  void recurrence_ranges() {
    const int bits = crossbar_.adc_bits;
    const auto limit = static_cast<float>(n_.state_limit);
    const float step = std::exp2(static_cast<float>(missing_bits(state_format(n_), bits)));
    plan_.ranges.assign(a_.state_columns, {step, limit, plan_.slices > 1});
    if (n_.state_rounding == kernels::RoundingMode::kNoiseShaped) {
      register_ranges();
    } else if (fits_increments(mapping_, crossbar_)) {
      for (std::size_t c = 0; c < a_.state_columns; ++c) {
        plan_.ranges[c] = increment_range(plan_.ranges[c], largest_sum(c), bits);
      }
    }
    if (a_.output_columns == 0) return;
    for (const mapping::Piece& piece : a_.pieces) {
      const integer::IntegerBlock& b = n_.blocks[a_.layer];
      const bool partial = piece.modes < b.shape.modes(piece.channel) || plan_.slices > 1;
      plan_.ranges.push_back(column_range(b.output, piece.channel, b.ssm_output, bits, partial));
    }
  }

  // The reading of a converter is added to a register, which also has fraction bits.
  void register_ranges() {
    if (a_.state_columns == 0) return;
    const bool increments =
        crossbar_.recurrence == crossbar::PoleStorage::kIncrement && mapping_.state_slices == 1;
    const std::size_t parts = n_.complex ? 2 : 1;
    for (const mapping::Piece& p : a_.pieces) {
      const integer::IntegerBlock& b = n_.blocks[a_.layer];
      for (std::size_t i = 0; i < p.modes * parts; ++i) {
        const int residue = b.residue_bits[b.shape.first[p.channel] + p.first_mode + i / parts];
        const std::size_t c = p.state + i;
        plan_.ranges[c] =
            register_range(plan_.ranges[c], residue, increments ? largest_sum(c) : 0.0f, crossbar_);
      }
    }
  }

  float largest_sum(std::size_t column) const { return a_.line(column).sum() * plan_.largest_code; }

  // Scores have no codes: the range of their converters is a share of the largest possible sum.
  void score_ranges() {
    for (std::size_t c = 0; c < a_.columns; ++c) {
      const float range = std::max(1.0f, a_.line(c).sum() * plan_.largest_code *
                                             static_cast<float>(crossbar_.adc_full_scale));
      plan_.ranges.push_back({range / analog::converter_high(crossbar_.adc_bits), range, true});
    }
  }

  const integer::IntegerNetwork& n_;
  const mapping::Mapping& mapping_;
  const crossbar::CrossbarOptions& crossbar_;
  const mapping::MappedArray& a_;
  crossbar::ArrayPlan plan_;
};

}  // namespace

crossbar::ArrayPlan array_plan(const integer::IntegerNetwork& network,
                               const mapping::Mapping& mapping,
                               const crossbar::CrossbarOptions& crossbar, std::size_t number) {
  return Planner(network, mapping, crossbar, number).run();
}

bool fits_increments(const mapping::Mapping& mapping, const crossbar::CrossbarOptions& crossbar) {
  return crossbar.recurrence == crossbar::PoleStorage::kIncrement &&
         crossbar.increment_range == crossbar::IncrementRange::kFitted && mapping.state_slices == 1;
}

integer::CodeFormat state_format(const integer::IntegerNetwork& network) {
  return {-network.state_limit, network.state_limit, 1};
}

}  // namespace crosstate::simulate
