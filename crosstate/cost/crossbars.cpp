// Crossbar targets: arrays of a network with drivers, converters, digital parts, buffers and static
// power.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "crosstate/analog/steps.h"
#include "crosstate/base/error.h"
#include "crosstate/cost/converters.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/memory.h"

namespace crosstate::cost {
namespace {

constexpr int kCoefficientBits = 16;  // of a digital correction

int ceil_divide(int a, int b) { return (a + b - 1) / b; }

// Cost of a conversion to `bits`, scaled from that of target.output_bits.
Range conversion(const Technology& t, int bits) {
  return to_bits(t["convert"], t["convert_bit_factor"], bits - t.output_bits);
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

// A row as a driver sees it: conductance above the lowest one, relative to the whole range, and the
// number of cells that belong to a weight.
struct RowLoad {
  double held = 0, cells = 0;
};

// Rows of one product, driven at the same time or one block after the other.
struct DrivenRows {
  double rows = 0, held = 0, cells = 0;
  void add(const RowLoad& row, double all_cells) {
    rows += 1;
    held += row.held;
    cells += all_cells;
  }
};

// Consecutive products of the arrays of one site.
struct Phase {
  double arrays = 0;  // copies and slices included
  double slices = 0;  // whole products
  double blocks = 0;  // products of single blocks
  bool at_end = false;
};

// Arrays, products and digital work of a mapped network.
class CrossbarEstimator {
 public:
  CrossbarEstimator(const integer::IntegerNetwork& network, std::uint64_t steps,
                    const Technology& technology, const crossbar::CrossbarOptions& crossbar,
                    const EstimateOptions& choice, bool gated_between,
                    const Technology* accelerator)
      : t_(technology),
        choice_(choice),
        gated_between_(gated_between),
        n_(network),
        d_(deployment(network)),
        sites_(crossbar::digital_sites(crossbar)),
        accelerator_(accelerator),
        operations_(count_operations(d_, steps)),
        increment_(crossbar.recurrence == crossbar::PoleStorage::kIncrement),
        offset_(crossbar.encoding == crossbar::WeightEncoding::kOffset),
        compensation_(crossbar.compensation) {
    crossbar::CrossbarOptions options = crossbar;
    options.rows = t_.rows;
    options.columns = t_.columns;
    options.dac_bits = options.adc_bits = kWidestDriver;
    mapping_ = mapping::map_network(network, options, steps);
    for (const OperationSite& s : operations_.sites) {
      if (s.operation == Operation::kDecoder) pooled_bits_ = s.input_bits;
    }
  }

  Estimate run() {
    e_.target = t_.name;
    e_.utilisation = mapping_.utilisation();
    e_.operations_per_step = 2 * static_cast<double>(operations_.macs_per_step());
    for (std::size_t i = 0; i < mapping_.arrays.size(); ++i) array(i);
    digital();
    digital_sites();
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
        return choice_.converter_bits > 0 ? choice_.converter_bits : t_.output_bits;
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

  // Arrays that hold the rows of mapped array `number`: more than one if rows of their own for
  // every drive level do not fit.
  double arrays_of(const mapping::MappedArray& a) const {
    double rows = 0;
    if (parallel(a)) {
      for (std::size_t r = 0; r < a.rows; ++r) {
        rows += static_cast<double>(levels_of(a, r, 0, a.columns).size());
      }
    }
    const double parts = std::max(1.0, std::ceil(rows / t_.rows));
    return parts * weight_slices(weight_bits(a)) * static_cast<double>(mapping_.copies);
  }

  void array(std::size_t number) {
    const mapping::MappedArray& a = mapping_.arrays[number];
    ArrayUse use;
    use.input_bits = input_bits(a.site, a.layer);
    use.weight_slices = weight_slices(weight_bits(a));
    use.copies = static_cast<double>(mapping_.copies);
    use.conversions = static_cast<double>(mapping_.conversions_of_weight);
    e_.arrays += static_cast<std::size_t>(arrays_of(a));
    if (a.site == mapping::Site::kRecurrence) {
      ArrayUse states = use;
      drive(a, 0, a.state_columns, states);
      states.read_bits = static_cast<double>(a.rows) * use.input_bits;
      const std::map<int, std::size_t> conversions =
          a.state_columns > 0 ? state_conversions(a) : std::map<int, std::size_t>();
      for (const auto& [bits, columns] : conversions) {
        // The next states go to their registers, whatever the converters add to them.
        states.written_bits = static_cast<double>(columns) * d_.state_bits;
        product(states, columns, bits, false);
        states.rows = states.cells = states.weight = 0;  // read in one product
        states.read_bits = 0;
      }
      if (a.output_columns == 0) return;
      drive(a, a.state_columns, a.columns, use);
      use.read_bits = static_cast<double>(a.states) * use.input_bits;
      product(use, a.pieces.size(), block(a).ssm_output.bits, false);
    } else {
      drive(a, 0, a.columns, use);
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
        const float largest = increments ? a.line(p.state + i).sum() * drive : 0.0f;
        if (!b.residue_bits.empty()) {
          const int residue = b.residue_bits[b.shape.first[p.channel] + p.first_mode + i / parts];
          bits = analog::register_converter_bits(limit, residue, largest);
        } else if (increments && choice_.state_converters == StateConverters::kIncrements) {
          constexpr int kFewest = 2;
          constexpr float kHalfCode = 0.5f;  // rounds as a conversion to codes does
          int fewest = kFewest;
          while (fewest < bits && analog::increment_step(largest, fewest) > kHalfCode) ++fewest;
          bits = fewest;
        }
        ++columns_of_bits[bits];
      }
    }
    return columns_of_bits;
  }

  double bit_lines() const { return offset_ ? t_.columns + 1 : 2 * t_.columns; }
  bool parallel(const mapping::MappedArray& a) const {
    return !a.drive.empty() && choice_.blocks == BlockDrive::kParallel;
  }

  // The levels at which a row is driven for columns first .. last - 1.
  static std::set<float> levels_of(const mapping::MappedArray& a, std::size_t row,
                                   std::size_t first, std::size_t last) {
    std::set<float> levels;
    for (std::size_t c = first; c < last; ++c) {
      if (a.level(row, c) > 0) levels.insert(a.level(row, c));
    }
    return levels;
  }

  // The load of a row, of the cells of one level only if it is given. Conductances are those that
  // are programmed: each column has a scale of its own.
  RowLoad load_of(const mapping::MappedArray& a, const std::vector<float>& units, std::size_t row,
                  float level = 0) const {
    RowLoad load{offset_ ? 0.5 : 0, offset_ ? 1.0 : 0};  // of the reference cells
    for (std::size_t c = 0; c < a.columns; ++c) {
      const float w = a.weights[row * a.columns + c], own = a.level(row, c);
      if (level > 0 && own != level) continue;
      if (w == 0 && choice_.idle_cells == IdleCells::kOpen) continue;
      const double share = own > 0 && units[c] > 0 ? double{w} / own / units[c] : 0;
      load.held += offset_ ? (1 + share) / 2 : std::abs(share);
      if (w != 0) load.cells += offset_ ? 1 : 2;
    }
    return load;
  }

  // The rows that are driven for columns first .. last - 1, block by block or all at once. Columns
  // that are not read conduct as well.
  void drive(const mapping::MappedArray& a, std::size_t first, std::size_t last,
             ArrayUse& use) const {
    std::vector<float> units;
    for (std::size_t c = 0; c < a.columns; ++c) units.push_back(a.line(c).unit());
    DrivenRows driven;
    const auto add = [&](const RowLoad& load) {
      driven.add(load, choice_.idle_cells == IdleCells::kOpen ? load.cells : bit_lines());
    };
    const std::size_t stride = first == 0 && d_.complex ? 2 : 1;
    for (std::size_t r = 0; r < a.rows; ++r) {
      if (a.drive.empty()) {
        add(load_of(a, units, r));
      } else if (parallel(a)) {
        for (const float level : levels_of(a, r, first, last)) add(load_of(a, units, r, level));
      } else {
        const RowLoad load = load_of(a, units, r);
        for (std::size_t c = first; c < last; c += stride) {
          if (a.level(r, c) > 0) add(load);
        }
      }
    }
    use.rows = driven.rows;
    use.weight = driven.held;
    use.cells = driven.cells;
  }

  void product(ArrayUse use, std::size_t columns, int bits, bool at_end) {
    if (choice_.converter_bits > 0) bits = std::min(bits, choice_.converter_bits);
    use.columns = static_cast<double>(columns);
    use.output_bits = bits;
    use.converter_bits = choice_.converter_bits;
    add_array_product(t_, use, at_end ? 0 : 1, at_end ? 1 : 0, e_.energy);
    const std::size_t conversions = columns * static_cast<std::size_t>(use.weight_slices) *
                                    static_cast<std::size_t>(input_slices(t_, use.input_bits)) *
                                    mapping_.conversions_of_weight;
    (at_end ? e_.conversions_at_end : e_.conversions_per_step) += conversions;
    // Sums of the slices of an input are corrected once.
    (at_end ? corrected_at_end_ : corrected_per_step_)
        .push_back({static_cast<double>(columns), bits});
  }

  // Digital work: sums over tiles of the same outputs, additions of state increments, and the
  // operations between arrays. Converters apply the scales, except that of the residual sum.
  void digital() {
    double products = 0, add_bits = 0, memory_bits = 0;
    for (const OperationSite& s : operations_.sites) {
      const bool residual = s.operation == Operation::kResidual;
      if (residual) products += static_cast<double>(s.bit_operations_with_scaling());
      if (s.operation == Operation::kGating) products += static_cast<double>(s.bit_operations());
      if (residual || s.operation == Operation::kPooling) {
        add_bits += static_cast<double>(s.additions) * kAccumulatorWidth;
      }
      if (s.look_ups > 0) memory_bits += static_cast<double>(s.moved_bits);
    }
    // Registers of states to which converters add, and their adders. The codes of the states have
    // been counted where they drive rows and are written; residues have not.
    const bool shaped = n_.state_rounding == kernels::RoundingMode::kNoiseShaped;
    std::size_t code_bits = 0, residue_bits = 0;
    for (const BlockFormat& b : analog_states()) {
      code_bits += b.modes * static_cast<std::size_t>(d_.state_bits);
      for (const std::uint8_t residue : b.residue_bits) residue_bits += residue;
    }
    if (increment_ || shaped) {
      add_bits += static_cast<double>(d_.parts() * (code_bits + residue_bits));
      memory_bits += 2 * static_cast<double>(d_.parts() * residue_bits);
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
    compensate();
  }

  // The blocks whose next states come from arrays.
  std::vector<BlockFormat> analog_states() const {
    std::vector<BlockFormat> blocks;
    for (std::size_t l = 0; l < d_.blocks.size(); ++l) {
      if (!sites_.block(l).states) blocks.push_back(d_.blocks[l]);
    }
    return blocks;
  }

  // Whether the accelerator computes a site. D belongs to C.
  bool is_digital(const OperationSite& site) const {
    const auto block = [&] { return sites_.block(site.block); };
    switch (site.operation) {
      case Operation::kEncoder:
        return sites_.encoder();
      case Operation::kDecoder:
        return sites_.decoder();
      case Operation::kPoles:
      case Operation::kResidue:
        return block().states;
      case Operation::kOutputs:
      case Operation::kSkip:
        return block().outputs;
      case Operation::kLinear:
        return block().pointwise;
      default:
        return false;
    }
  }

  // Digital sites on an accelerator beside the arrays. Its memory retains the weights all the time.
  void digital_sites() {
    if (sites_.empty()) return;
    OperationSummary own;
    for (const OperationSite& s : operations_.sites) {
      if (!is_digital(s)) continue;
      own.sites.push_back(s);
      digital_weight_bits_ += static_cast<double>(s.weights) * s.weight_bits;
    }
    const Estimate digital =
        estimate(own, {digital_weight_bits_, 0}, /*in_floats=*/false, *accelerator_, choice_);
    const auto take = [&](const CostList& from, CostList& to) {
      for (CostTerm term : from.terms) {
        if (term.what == "leakage_bit") continue;  // counted with the memory of the states
        term.part = "digital sites";
        term.what = kOfAccelerator + term.what;
        to.terms.push_back(std::move(term));
      }
    };
    take(digital.energy, e_.energy);
    take(digital.latency, e_.latency);
    digital_time_ = digital.latency.terms;
    take(digital.area, e_.area);
    take(digital.rest, e_.rest);
    take(digital.wake, e_.wake);
  }

  // Corrections of converted sums: a factor, per column also an offset, and for every state that is
  // an increment a multiple of its previous value. Each takes a coefficient from memory.
  void compensate() {
    if (compensation_ == crossbar::Compensation::kNone) return;
    const bool by_column = compensation_ == crossbar::Compensation::kColumn;
    struct Work {
      double products = 0, add_bits = 0, memory_bits = 0;
    };
    const auto work_of = [&](const std::vector<Corrected>& sums) {
      Work work;
      for (const Corrected& sum : sums) {
        work.products += sum.columns * sum.bits * kCoefficientBits;
        if (!by_column) continue;
        work.add_bits += sum.columns * kAccumulatorWidth;
        work.memory_bits += sum.columns * 2 * kCoefficientBits;
      }
      return work;
    };
    Work step = work_of(corrected_per_step_);
    const Work end = work_of(corrected_at_end_);
    coefficient_bits_ = step.memory_bits + end.memory_bits;
    if (by_column && increment_) {
      double states = 0;
      for (const BlockFormat& b : analog_states())
        states += static_cast<double>(b.modes * d_.parts());
      step.products += states * d_.state_bits * kCoefficientBits;
      step.add_bits += states * kAccumulatorWidth;
      step.memory_bits += states * kCoefficientBits;
      coefficient_bits_ += states * kCoefficientBits;
    }
    const auto add = [&](const char* what, double per_step, double at_end) {
      e_.energy.terms.push_back({"compensation", what, per_step, at_end, t_[what] * kPicoPerFemto});
    };
    add("multiply_bit", step.products, end.products);
    add("add_bit", step.add_bits, end.add_bits);
    add("memory_bit", step.memory_bits, end.memory_bits);
  }

  // Sites are computed sequentially; the arrays of one site work in parallel.
  std::vector<Phase> phases() const {
    std::vector<Phase> all;
    const auto add = [&](mapping::Site site, std::size_t layer, bool at_end) {
      Phase phase;
      phase.at_end = at_end;
      const double slices = static_cast<double>(input_slices(t_, input_bits(site, layer)));
      double products = 0;
      bool blocks = false;
      const std::vector<std::size_t> numbers = mapping_.of(site, layer);
      if (numbers.empty()) return;
      for (const std::size_t i : numbers) {
        const mapping::MappedArray& a = mapping_.arrays[i];
        phase.arrays += arrays_of(a);
        const std::size_t kinds = (a.state_columns > 0 ? 1 : 0) + (a.output_columns > 0 ? 1 : 0);
        const std::size_t own = parallel(a) ? kinds : mapping_.products(i);
        products = std::max(products, static_cast<double>(own));
        blocks = blocks || (!a.drive.empty() && !parallel(a));
      }
      (blocks ? phase.blocks : phase.slices) = products * slices;
      all.push_back(phase);
    };
    add(mapping::Site::kEncoder, 0, false);
    for (std::size_t l = 0; l < d_.blocks.size(); ++l) {
      add(mapping::Site::kRecurrence, l, false);
      add(mapping::Site::kLinear, l, false);
    }
    add(mapping::Site::kDecoder, 0, !d_.every_step);
    return all;
  }

  // Durations of a time step and of the end of a sequence, in whole products, products of blocks,
  // pauses for digital work and the time of the digital sites, times a number of arrays.
  struct Durations {
    double slices = 0, blocks = 0, pauses = 0, digital = 0;
    void add(double arrays, const Phase& phase) {
      slices += arrays * phase.slices;
      blocks += arrays * phase.blocks;
    }
  };

  void add_static(const char* name, const Range& microwatts, const Durations& step,
                  const Durations& end) {
    const auto add = [&](const char* of, double per_step, double at_end, const Range& time) {
      if (per_step == 0 && at_end == 0) return;
      e_.energy.terms.push_back({"static", std::string(name) + ' ' + of, per_step, at_end,
                                 microwatts * time * kPicoPerFemto});  // uW ns = fJ
    };
    add("slice", step.slices, end.slices, slice_time(t_));
    add("block", step.blocks, end.blocks, block_time(t_, d_.complex ? 2 : 1));
    add("pause", step.pauses, end.pauses, t_["digital_time"]);
    for (const CostTerm& time : digital_time_) {
      add("digital sites", step.digital * time.per_step, end.digital * time.at_end, time.each);
    }
  }

  void time() {
    const bool gated = choice_.idle == IdleArrays::kGated;
    e_.idle = choice_.idle;
    const auto arrays = static_cast<double>(e_.arrays);
    Durations step, end, active_step, active_end, idle_step, idle_end;
    double woken_step = 0, woken_end = 0, wakes_step = 0, wakes_end = 0;
    for (const Phase& p : phases()) {
      (p.at_end ? end : step).add(1, p);
      (p.at_end ? active_end : active_step).add(p.arrays, p);
      (p.at_end ? idle_end : idle_step).add(arrays - p.arrays, p);
      (p.at_end ? woken_end : woken_step) += p.arrays;
      (p.at_end ? wakes_end : wakes_step) += 1;
    }
    // A block has three: after its states, its outputs and its pointwise layer.
    step.pauses = 1 + 3 * static_cast<double>(d_.blocks.size()) + (d_.every_step ? 1 : 0);
    end.pauses = d_.every_step ? 0 : 1;
    step.digital = end.digital = 1;
    for (auto [idle, all] : {std::pair{&idle_step, &step}, {&idle_end, &end}}) {
      idle->pauses = arrays * all->pauses;
      idle->digital = arrays * all->digital;
    }

    const auto latency = [&](const char* part, const char* what, double per_step, double at_end,
                             const Range& each) {
      if (per_step > 0 || at_end > 0) {
        e_.latency.terms.push_back({part, what, per_step, at_end, each});
      }
    };
    latency("products", "slice_time", step.slices, end.slices, slice_time(t_));
    latency("products", "block_time", step.blocks, end.blocks, block_time(t_, d_.complex ? 2 : 1));
    latency("digital", "digital_time", step.pauses, end.pauses, t_["digital_time"]);

    const Range area = array_area(t_);
    const Range gated_power = area * t_["leakage_area"] * inverse(t_["gating"]);
    add_static("active", t_["array_active"], active_step, active_end);
    add_static(gated ? "gated" : "idle", gated ? gated_power : t_["array_idle"], idle_step,
               idle_end);
    if (gated) {
      e_.energy.terms.push_back({"wake-up", "wake", woken_step, woken_end, area * t_["wake_area"]});
      e_.energy.terms.push_back({"wake-up", "array_idle while waking", woken_step, woken_end,
                                 t_["array_idle"] * t_["wake_time"] * kPicoPerFemto});
      latency("wake-up", "wake_time", wakes_step, wakes_end, t_["wake_time"]);
    }
    const double retained =
        static_cast<double>(8 * count_memory(d_).bytes(MemoryKind::kState)) + coefficient_bits_ +
        (choice_.weights == WeightMemory::kNonvolatile ? 0 : digital_weight_bits_);
    const Range memory = t_["leakage_bit"] * (retained * kMicroPerPico);
    add_static("retention", memory, step, end);
    e_.rest.terms.push_back(
        {"memory", "leakage_bit", 0, retained, t_["leakage_bit"] * kMicroPerPico});
    if (gated_between_) {
      e_.rest.terms.push_back({"gated arrays", "gated array", 0, arrays, gated_power});
    } else {
      e_.rest.terms.push_back({"idle arrays", "array_idle", 0, arrays, t_["array_idle"]});
    }
    if (gated_between_ && !gated) {
      e_.wake.terms.push_back({"wake-up", "wake", 0, arrays, area * t_["wake_area"]});
    }
  }

  struct Corrected {
    double columns = 0;
    int bits = 0;
  };

  const Technology& t_;
  const EstimateOptions choice_;  // idle is gated or powered
  const bool gated_between_;      // time steps
  const integer::IntegerNetwork& n_;
  const Deployment d_;
  const analog::DigitalSites sites_;
  const Technology* accelerator_;  // of the digital sites
  const OperationSummary operations_;
  const bool increment_, offset_;
  const crossbar::Compensation compensation_;
  mapping::Mapping mapping_;
  int pooled_bits_ = 0;
  std::vector<Corrected> corrected_per_step_, corrected_at_end_;
  double coefficient_bits_ = 0, digital_weight_bits_ = 0;
  std::vector<CostTerm> digital_time_;  // latency of the digital sites
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
  // Sums of slices of weights or inputs are added after their conversion, so that few bits of the
  // whole sum do not spare any of theirs.
  int converted = products > 1 ? std::max(bits, t.output_bits) : bits;
  if (use.converter_bits > 0) converted = std::min(converted, use.converter_bits);
  add("converters", "convert to " + std::to_string(converted) + " bits", conversions * use.columns,
      conversion(t, converted) * kPicoPerFemto);
  add("digital", "shift_add", conversions * use.columns, t["shift_add"] * kPicoPerFemto);
  add("buffers", "memory_bit",
      use.read_bits.value_or(use.rows * use.input_bits) +
          use.written_bits.value_or(use.columns * bits),
      t["memory_bit"] * kPicoPerFemto);
}

Range full_array_efficiency(const Technology& t) {
  constexpr double kMeanWeight = 0.25;
  constexpr int kBits = 8;
  ArrayUse use;
  use.rows = t.rows;
  use.columns = t.columns;
  use.cells = 2.0 * t.rows * t.columns;
  use.weight = kMeanWeight * t.rows * t.columns;
  use.input_bits = kBits;
  use.weight_slices = ceil_divide(kBits - 1, t.cell_bits);
  CostList energy;
  add_array_product(t, use, 0, 1, energy);
  energy.terms.push_back({"static", "active", 0, use.weight_slices * input_slices(t, kBits),
                          t["array_active"] * slice_time(t) * kPicoPerFemto});
  const Range picojoules = energy.total(0);
  const double operations = 2.0 * t.rows * t.columns;
  return {operations / picojoules.high, operations / picojoules.typical,
          operations / picojoules.low};
}

Estimate estimate_on_crossbars(const integer::IntegerNetwork& network, std::uint64_t steps,
                               const Technology& technology,
                               const crossbar::CrossbarOptions& crossbar,
                               const EstimateOptions& options, const Technology* accelerator) {
  if (technology.kind != TargetKind::kCrossbar) {
    fail(technology.name, "is a " + name_of(technology.kind) + ", not a crossbar");
  }
  std::optional<Technology> scaled;
  if (!crossbar::digital_sites(crossbar).empty()) {
    scaled = same_node(accelerator != nullptr ? *accelerator : find_technology(kDigitalSites),
                       technology.node);
  }
  const auto with = [&](IdleArrays idle) {
    EstimateOptions choice = options;
    choice.idle = idle;
    const bool gated_between = options.idle != IdleArrays::kPowered;
    return CrossbarEstimator(network, steps, technology, crossbar, choice, gated_between,
                             scaled ? &*scaled : nullptr)
        .run();
  };
  if (options.idle != IdleArrays::kAuto) return with(options.idle);
  Estimate gated = with(IdleArrays::kGated), powered = with(IdleArrays::kPowered);
  const bool less = gated.energy.per_step().typical <= powered.energy.per_step().typical;
  return less ? std::move(gated) : std::move(powered);
}

}  // namespace crosstate::cost
