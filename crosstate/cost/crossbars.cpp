// Crossbar targets: arrays of a network with drivers, converters, digital parts, buffers and static
// power.
#include <algorithm>
#include <cmath>
#include <map>

#include "crosstate/analog/steps.h"
#include "crosstate/base/error.h"
#include "crosstate/cost/energy.h"

namespace crosstate::cost {
namespace {

int ceil_divide(int a, int b) { return (a + b - 1) / b; }

// Cost of a conversion to `bits`, scaled from that of target.output_bits.
Range conversion(const Technology& t, int bits) {
  const int more = bits - t.output_bits;
  const Range &at = t["convert"], &factor = t["convert_bit_factor"];
  Range scale{std::pow(factor.low, more), std::pow(factor.typical, more),
              std::pow(factor.high, more)};
  if (more < 0) std::swap(scale.low, scale.high);
  return at * scale;
}

// A product overlaps with the conversion of the previous one.
Range longer(const Range& a, const Range& b) {
  return {std::max(a.low, b.low), std::max(a.typical, b.typical), std::max(a.high, b.high)};
}

// A product with conversion of `columns` adjacent columns, sequential if they share a converter.
Range block_time(const Technology& t, double columns) {
  const Range& shared = t["columns_per_converter"];
  const Range turns{std::min(shared.low, columns), std::min(shared.typical, columns),
                    std::min(shared.high, columns)};
  return longer(t["read_time"], t["convert_time"] * turns);
}

// Arrays, products and digital work of a mapped network.
class CrossbarEstimator {
 public:
  CrossbarEstimator(const integer::IntegerNetwork& network, std::uint64_t steps,
                    const Technology& technology, const crossbar::CrossbarOptions& crossbar)
      : t_(technology),
        n_(network),
        d_(deployment(network)),
        operations_(count_operations(d_, steps)),
        increment_(crossbar.recurrence == crossbar::PoleStorage::kIncrement),
        offset_(crossbar.encoding == crossbar::WeightEncoding::kOffset) {
    crossbar::CrossbarOptions options = crossbar;
    options.rows = t_.rows;
    options.columns = t_.columns;
    options.dac_bits = options.adc_bits = kWidestDriver;
    mapping_ = mapping::map_network(network, options, steps);
    for (const OperationSite& s : operations_.sites) {
      if (s.name == "decoder") pooled_bits_ = s.input_bits;
    }
  }

  Estimate run() {
    e_.target = t_.name;
    e_.utilisation = mapping_.utilisation();
    for (const mapping::MappedArray& a : mapping_.arrays) array(a);
    digital();
    time();
    e_.area.terms.push_back({"arrays", "array", 0, static_cast<double>(e_.arrays), array_area(t_)});
    return std::move(e_);
  }

 private:
  // Drivers apply wider codes in slices, so that no code is too wide for the mapping.
  static constexpr int kWidestDriver = 16;

  int weight_slices(int bits) const {
    return std::max(1, ceil_divide(std::max(1, bits - 1), t_.cell_bits));
  }
  const BlockFormat& block(const mapping::MappedArray& a) const { return d_.blocks[a.layer]; }

  int input_bits(mapping::Site site, std::size_t layer) const {
    switch (site) {
      case mapping::Site::kEncoder:
        return d_.input.bits;
      case mapping::Site::kRecurrence:
        return std::max(d_.residual.bits, d_.state_bits);
      case mapping::Site::kLinear:
        return d_.blocks[layer].activation.bits;
      case mapping::Site::kDecoder:
        break;
    }
    return pooled_bits_;
  }
  int output_bits(const mapping::MappedArray& a) const {
    switch (a.site) {
      case mapping::Site::kEncoder:
        return d_.residual.bits;
      case mapping::Site::kLinear:
        return d_.gated ? block(a).linear_output.bits : d_.residual.bits;
      default:
        return t_.output_bits;
    }
  }
  int weight_bits(const mapping::MappedArray& a) const {
    switch (a.site) {
      case mapping::Site::kEncoder:
        return d_.encoder.bits;
      case mapping::Site::kRecurrence:
        return std::max({block(a).a_bits, block(a).c.bits, block(a).d.bits});
      case mapping::Site::kLinear:
        return block(a).linear.bits;
      case mapping::Site::kDecoder:
        break;
    }
    return d_.decoder.bits;
  }

  void array(const mapping::MappedArray& a) {
    ArrayUse use;
    use.rows = static_cast<double>(a.rows);
    use.cells = use.rows * bit_lines();
    for (const double held : held_by_rows(a)) use.weight += held;
    use.input_bits = input_bits(a.site, a.layer);
    const int slices = weight_slices(weight_bits(a));
    use.weight_slices = slices;
    use.copies = static_cast<double>(mapping_.copies);
    use.conversions = static_cast<double>(mapping_.conversions_of_weight);
    e_.arrays += static_cast<std::size_t>(slices) * mapping_.copies;
    if (a.site == mapping::Site::kRecurrence) {
      ArrayUse states = use;
      drive(a, 0, a.states, states);
      for (const auto& [bits, columns] : state_conversions(a)) {
        product(states, columns, bits, false);
        states.rows = states.cells = states.weight = 0;  // read in one product
      }
      drive(a, a.states, a.columns, use);
      product(use, a.pieces.size(), block(a).ssm_output.bits, false);
    } else {
      product(use, a.columns, output_bits(a), a.site == mapping::Site::kDecoder && !d_.every_step);
    }
  }

  // The number of state columns by converter bits: those of the codes of the state, or of its
  // register.
  std::map<int, std::size_t> state_conversions(const mapping::MappedArray& a) const {
    std::map<int, std::size_t> columns_of_bits;
    const std::size_t parts = d_.parts();
    // As on simulated chips, converters of sums over slices of the codes have the range of the
    // codes.
    const bool increments = increment_ && input_slices(t_, input_bits(a.site, a.layer)) == 1;
    const auto limit = static_cast<float>(n_.state_limit);
    const float drive = analog::recurrent_drive(limit, static_cast<float>(n_.residual.quant_min),
                                                static_cast<float>(n_.residual.quant_max));
    for (const mapping::Piece& p : a.pieces) {
      const integer::IntegerBlock& b = n_.blocks[a.layer];
      for (std::size_t i = 0; i < p.modes * parts; ++i) {
        int bits = d_.state_bits;
        if (!b.residue_bits.empty()) {
          const int residue = b.residue_bits[b.shape.first[p.channel] + p.first_mode + i / parts];
          const float largest = increments ? a.line(p.state + i).sum() * drive : 0.0f;
          bits = analog::register_converter_bits(limit, residue, largest);
        }
        ++columns_of_bits[bits];
      }
    }
    return columns_of_bits;
  }

  double bit_lines() const { return offset_ ? t_.columns + 1 : 2 * t_.columns; }

  // Conductance of the cells of each row above the lowest one, relative to the whole range.
  std::vector<double> held_by_rows(const mapping::MappedArray& a) const {
    std::vector<double> held(a.rows, offset_ ? 0.5 : 0);  // of the reference cells
    float largest = 0;
    for (const float w : a.weights) largest = std::max(largest, std::abs(w));
    for (std::size_t i = 0; i < a.weights.size(); ++i) {
      const double w = largest > 0 ? double{a.weights[i]} / double{largest} : 0;
      held[i / a.columns] += offset_ ? (1 + w) / 2 : std::abs(w);
    }
    return held;
  }

  // The rows that are driven for columns first .. last - 1, block by block. Columns that are not
  // read conduct as well.
  void drive(const mapping::MappedArray& a, std::size_t first, std::size_t last,
             ArrayUse& use) const {
    if (a.drive.empty()) return;
    const bool states = first == 0;
    const std::size_t stride = states && d_.complex ? 2 : 1;
    const std::vector<double> held = held_by_rows(a);
    use.rows = use.weight = 0;
    for (std::size_t c = first; c < last; c += stride) {
      for (std::size_t r = 0; r < a.rows; ++r) {
        if (a.drive[r * a.columns + c] == 0) continue;
        use.rows += 1;
        use.weight += held[r];
      }
    }
    use.cells = use.rows * bit_lines();
  }

  void product(ArrayUse use, std::size_t columns, int bits, bool at_end) {
    use.columns = static_cast<double>(columns);
    use.output_bits = bits;
    add_array_product(t_, use, at_end ? 0 : 1, at_end ? 1 : 0, e_.energy);
    const std::size_t conversions = columns * static_cast<std::size_t>(use.weight_slices) *
                                    static_cast<std::size_t>(input_slices(t_, use.input_bits)) *
                                    mapping_.conversions_of_weight;
    (at_end ? e_.conversions_at_end : e_.conversions_per_step) += conversions;
  }

  // Digital work: sums over tiles of the same outputs, additions of state increments, and the
  // operations between arrays. Converters apply the scales, except that of the residual sum.
  void digital() {
    double products = 0, add_bits = 0, memory_bits = 0;
    const auto ends_with = [](const OperationSite& s, const char* name) {
      return s.name.ends_with(name);
    };
    for (const OperationSite& s : operations_.sites) {
      if (ends_with(s, ".residual")) {
        products += static_cast<double>(s.bit_operations_with_scaling());
      }
      if (ends_with(s, ".gating")) products += static_cast<double>(s.bit_operations());
      if (ends_with(s, ".residual") || s.name == "pooling") {
        add_bits += static_cast<double>(s.additions) * kAccumulatorWidth;
      }
      if (s.look_ups > 0) memory_bits += static_cast<double>(s.moved_bits);
    }
    // Registers of states to which converters add, and their adders.
    const bool shaped = n_.state_rounding == kernels::RoundingMode::kNoiseShaped;
    std::size_t register_bits = 0;
    for (const BlockFormat& b : d_.blocks) {
      register_bits += b.modes * static_cast<std::size_t>(d_.state_bits);
      for (const std::uint8_t residue : b.residue_bits) register_bits += residue;
    }
    if (increment_ || shaped) {
      const auto bits = static_cast<double>(d_.parts() * register_bits);
      add_bits += bits;
      memory_bits += 2 * bits;
    }
    double tile_sums = 0;
    for (const mapping::MappedArray& a : mapping_.arrays) {
      const bool summed = a.site != mapping::Site::kRecurrence && a.first_input > 0;
      const bool each_step = a.site != mapping::Site::kDecoder || d_.every_step;
      if (summed && each_step) tile_sums += static_cast<double>(a.columns);
    }
    add_bits += tile_sums * kAccumulatorWidth;
    const auto add = [&](const char* part, const char* what, double count) {
      e_.energy.terms.push_back({part, what, count, 0, t_[what] * kPicoPerFemto});
    };
    add("digital", "multiply_bit", products);
    add("digital", "add_bit", add_bits);
    add("buffers", "memory_bit", memory_bits);
  }

  // Sites are computed sequentially; the arrays of one site work in parallel.
  void time() {
    const auto slices = [&](mapping::Site site, std::size_t layer) {
      return static_cast<double>(input_slices(t_, input_bits(site, layer)));
    };
    double per_step = slices(mapping::Site::kEncoder, 0), per_block = 0, pauses = 1;
    for (std::size_t l = 0; l < d_.blocks.size(); ++l) {
      double products = 0;
      bool blocks = false;
      for (const std::size_t i : mapping_.of(mapping::Site::kRecurrence, l)) {
        products = std::max(products, static_cast<double>(mapping_.products(i)));
        blocks = blocks || !mapping_.arrays[i].drive.empty();
      }
      (blocks ? per_block : per_step) += products * slices(mapping::Site::kRecurrence, l);
      per_step += slices(mapping::Site::kLinear, l);
      pauses += 3;
    }
    const double decoder = slices(mapping::Site::kDecoder, 0);
    const double at_end = d_.every_step ? 0 : decoder, pauses_at_end = d_.every_step ? 0 : 1;
    if (d_.every_step) {
      per_step += decoder;
      pauses += 1;
    }
    const Range slice = slice_time(t_), pause = t_["digital_time"];
    const Range block = block_time(t_, d_.complex ? 2 : 1);
    e_.latency.terms.push_back({"products", "slice_time", per_step, at_end, slice});
    if (per_block > 0) e_.latency.terms.push_back({"products", "block_time", per_block, 0, block});
    e_.latency.terms.push_back({"digital", "digital_time", pauses, pauses_at_end, pause});
    const auto arrays = static_cast<double>(e_.arrays);
    const Range power = t_["array_static"] * kPicoPerFemto;  // uW ns = fJ
    e_.energy.terms.push_back(
        {"static", "static slice", arrays * per_step, arrays * at_end, power * slice});
    if (per_block > 0) {
      e_.energy.terms.push_back({"static", "static block", arrays * per_block, 0, power * block});
    }
    e_.energy.terms.push_back(
        {"static", "static pause", arrays * pauses, arrays * pauses_at_end, power * pause});
  }

  const Technology& t_;
  const integer::IntegerNetwork& n_;
  const Deployment d_;
  const OperationSummary operations_;
  const bool increment_, offset_;
  mapping::Mapping mapping_;
  int pooled_bits_ = 0;
  Estimate e_;
};

}  // namespace

int input_slices(const Technology& t, int bits) {
  if (t.input_bits == 1) return bits;
  return std::max(1, ceil_divide(bits - 1, t.input_bits - 1));
}

Range slice_time(const Technology& t) {
  return longer(t["read_time"], t["convert_time"] * t["columns_per_converter"]);
}

Range array_area(const Technology& t) {
  const Range& shared = t["columns_per_converter"];
  const Range converters{t.columns / shared.high, t.columns / shared.typical,
                         t.columns / shared.low};
  return (t["array_area"] + t["drive_area"] * t.rows + t["convert_area"] * converters +
          t["digital_area"]) *
         kMillimetrePerMicrometre;
}

void add_array_product(const Technology& t, const ArrayUse& use, double per_step, double at_end,
                       CostList& energy) {
  const double products = use.weight_slices * input_slices(t, use.input_bits);
  const auto add = [&](const char* part, const std::string& what, double count, const Range& each) {
    energy.terms.push_back({part, what, per_step * count, at_end * count, each});
  };
  // uS V^2 ns = fJ.
  const Range volts = t["read_voltage"] * t["read_voltage"];
  const Range drive = volts * t["read_time"] * t["activity"] * kPicoPerFemto;
  const double of_copies = products * use.copies, conversions = products * use.conversions;
  add("arrays", "cells at rest", of_copies * use.cells, drive * t["cell_low"]);
  add("arrays", "cells with weights", of_copies * use.weight, drive * t["cell_high"]);
  add("drivers", "drive", of_copies * use.rows, t["drive"] * kPicoPerFemto);
  const int bits = use.output_bits > 0 ? use.output_bits : t.output_bits;
  add("converters", "convert to " + std::to_string(bits) + " bits", conversions * use.columns,
      conversion(t, bits) * kPicoPerFemto);
  add("digital", "shift_add", conversions * use.columns, t["shift_add"] * kPicoPerFemto);
  add("buffers", "memory_bit", use.rows * use.input_bits + use.columns * bits,
      t["memory_bit"] * kPicoPerFemto);
}

Estimate estimate_on_crossbars(const integer::IntegerNetwork& network, std::uint64_t steps,
                               const Technology& technology,
                               const crossbar::CrossbarOptions& crossbar) {
  if (technology.kind != TargetKind::kCrossbar) {
    fail(technology.name, "is a " + name_of(technology.kind) + ", not a crossbar");
  }
  return CrossbarEstimator(network, steps, technology, crossbar).run();
}

}  // namespace crosstate::cost
