#include "crosstate/crossbar/array.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "crosstate/analog/bit_line.h"
#include "crosstate/base/error.h"
#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/crossbar/lane_product.h"

namespace crosstate::crossbar {
namespace {

// Reads by compensate() have their own sequence numbers. The second half of its inputs is the
// negative of the first.
constexpr std::uint32_t kKnownSequence = 0xFFFFFF00;

// Bits above the number of an array in the address of a read: its slice, and whether the draw is
// for drives or for the weights of an inference.
constexpr int kSliceShift = 20;
constexpr std::uint32_t kDrives = 1u << 31, kWeights = 1u << 30;

void check(const ArrayPlan& plan, const CrossbarOptions& crossbar, const std::string& where) {
  const auto rows = static_cast<std::size_t>(crossbar.rows);
  const auto columns = static_cast<std::size_t>(crossbar.columns - crossbar.spare_columns);
  if (plan.rows > rows || plan.columns > columns ||
      plan.weights.size() != plan.rows * plan.columns) {
    fail(where, std::to_string(plan.weights.size()) + " weights for " + std::to_string(plan.rows) +
                    " x " + std::to_string(plan.columns) + " pairs, expected at most " +
                    std::to_string(rows) + " x " + std::to_string(columns));
  }
  if (!plan.drive.empty() && plan.drive.size() != plan.weights.size()) {
    fail(where, std::to_string(plan.drive.size()) + " row levels, expected one for each of " +
                    std::to_string(plan.weights.size()) + " weights, or none");
  }
  for (std::size_t i = 0; i < plan.weights.size(); ++i) {
    const std::string at = " in row " + std::to_string(i / plan.columns) + ", column " +
                           std::to_string(i % plan.columns);
    if (!std::isfinite(plan.weights[i])) {
      fail(where, "weight " + std::to_string(plan.weights[i]) + at + ", expected finite values");
    }
    if (!plan.drive.empty() && plan.weights[i] != 0 && !(plan.drive[i] > 0)) {
      fail(where, "weight " + std::to_string(plan.weights[i]) + at +
                      " in a row that is grounded for this column");
    }
  }
}

// Per column of the plan: the largest sum of one product.
std::vector<float> largest_sums(const ArrayPlan& plan, float largest_driven) {
  std::vector<float> sums(plan.columns, 0);
  for (std::size_t r = 0; r < plan.rows; ++r) {
    for (std::size_t c = 0; c < plan.columns; ++c) {
      sums[c] += std::abs(plan.weights[r * plan.columns + c]) * largest_driven;
    }
  }
  return sums;
}

kernels::Rows take(AlignedFloats& memory, std::size_t rows, std::size_t columns) {
  if (memory.size() < rows * columns) memory.resize(rows * columns);
  return {memory.data(), columns};
}

// Bits shift .. shift + bits - 1 of the magnitudes of integers, with their signs.
void take_slice(std::size_t rows, std::size_t columns, int shift, int bits,
                kernels::ConstRows codes, kernels::Rows slice) {
  const std::int32_t mask = (1 << bits) - 1;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < columns; ++k) {
      const auto code = static_cast<std::int32_t>(codes.row(r)[k]);
      const std::int32_t part = (std::abs(code) >> shift) & mask;
      slice.row(r)[k] = static_cast<float>(code < 0 ? -part : part);
    }
  }
}

}  // namespace

ProgrammedArray::ProgrammedArray(const ArrayPlan& plan, const Target& target, std::uint64_t seed,
                                 std::uint32_t number, hardware::Backend* backend)
    : rows_(plan.rows),
      columns_(plan.columns),
      bit_lines_(static_cast<std::size_t>(target.crossbar.columns)),
      offset_(target.crossbar.encoding == WeightEncoding::kOffset),
      lines_(offset_ ? bit_lines_ + 1 : 2 * bit_lines_),
      seed_(seed),
      number_(number),
      slices_(plan.slices),
      slice_bits_(target.crossbar.dac_bits - 1),
      largest_code_(plan.largest_code),
      largest_driven_(slices_ == 1 ? largest_code_
                                   : std::exp2(static_cast<float>(slice_bits_)) - 1),
      target_(target),
      backend_(backend) {
  const CrossbarOptions& crossbar = target.crossbar;
  check(plan, crossbar, "array " + std::to_string(number));
  const device::ConductanceRange between = device::conductance_range(target.device);
  const double range = between.high - between.low;
  targets_ = idle(between.low, between.high);
  drive_.assign(plan.drive.begin(), plan.drive.end());
  drive_.resize(rows_ * columns_, 1);
  if (!plan.drive.empty()) {
    driven_.first.push_back(0);
    for (std::size_t c = 0; c < columns_; ++c) {
      for (std::size_t r = 0; r < rows_; ++r) {
        if (drive_[r * columns_ + c] > 0) driven_.rows.push_back(static_cast<std::uint32_t>(r));
      }
      driven_.first.push_back(static_cast<std::uint32_t>(driven_.rows.size()));
    }
  }
  aim_.resize(rows_ * columns_);
  for (std::size_t c = 0; c < columns_; ++c) {
    analog::BitLine line;
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t i = r * columns_ + c;
      if (drive_[i] > 0) line.add(plan.weights[i], drive_[i]);
    }
    // One unit of weight in uS. A column without weights uses the whole range for 1.
    const double full = line.unit() > 0 ? line.unit() : 1;
    scale_.push_back((offset_ ? range / 2 : range) / full);
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t i = r * columns_ + c;
      const double w = plan.weights[i];
      if (w == 0) continue;
      // Rounding to conductance levels is not an error of the first copy if further copies hold the
      // residual.
      const int levels = residual() ? 0 : crossbar.levels;
      const double g = analog::nearest_level(std::abs(w) / drive_[i] * scale_[c], range, levels);
      aim(targets_, pair(r, c), std::copysign(g, w));
      aim_[i] = levels < 2 ? w : std::copysign(g / scale_[c] * drive_[i], w);
    }
  }
  if (!target.wires.ideal() && crossbar.levels < 2 && backend_ == nullptr && !offset_) {
    for (int i = 0; i < crossbar.ir_drop_iterations; ++i) balance_wires(between.low, between.high);
  }
  program_copies(between);
  const ConverterAddress address{seed, number};
  drivers_ = RowDrivers(crossbar, rows_, largest_driven_, address);
  const auto ranges = plan.ranges.empty() ? std::vector<ColumnRange>(columns_) : plan.ranges;
  converters_ =
      ColumnConverters(crossbar, ranges, largest_sums(plan, largest_driven_), address, currents());
  if (target.crossbar.compensation == Compensation::kColumn) own_row_ = plan.own_row;
  if (crossbar.dac_noise > 0) {
    drive_noise_.assign(rows_, static_cast<float>(crossbar.dac_noise * crossbar.dac_noise));
  }
  if (backend_ != nullptr) program();
  update();
}

// The ratio of the effective to the programmed difference of a pair varies from row to row (IR
// drop). Each column is scaled such that its cells can compensate for this, and its targets are
// chosen such that the effective values equal the weights.
void ProgrammedArray::balance_wires(double low, double high) {
  std::vector<double> siemens(targets_.size());
  for (std::size_t i = 0; i < siemens.size(); ++i) siemens[i] = targets_[i] * 1e-6;
  const std::vector<double> through = circuit::effective_conductance(
      siemens, targets_.size() / (2 * bit_lines_), 2 * bit_lines_, target_.wires);
  // If adjacent cells shunt a pair so strongly that its effective sign is lost, no conductance can
  // compensate for it: the pair keeps its target, and the scale of the column is determined by the
  // other pairs.
  constexpr double kLeastShare = 0.01;
  const auto share = [&](std::size_t plus) {
    const double shown =
        (through[plus] - through[plus + 1]) * 1e6 / (targets_[plus] - targets_[plus + 1]);
    return shown >= kLeastShare ? shown : 1;
  };
  for (std::size_t c = 0; c < columns_; ++c) {
    // The largest share of every wanted conductance that all pairs of the column can represent.
    double least = 1e300;
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t i = r * columns_ + c, plus = 2 * (r * bit_lines_ + c);
      if (aim_[i] == 0 || targets_[plus] == targets_[plus + 1]) continue;
      const double wanted = std::abs(aim_[i]) / drive_[i] * scale_[c];
      const double most = share(plus) * (high - low);
      least = std::min(least, most / wanted);
    }
    if (least > 1e299) continue;
    least = std::min(least, 1.0);
    scale_[c] *= least;
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t i = r * columns_ + c, plus = 2 * (r * bit_lines_ + c);
      if (aim_[i] == 0 || targets_[plus] == targets_[plus + 1]) continue;
      const double wanted = std::abs(aim_[i]) / drive_[i] * scale_[c];
      const std::size_t cell = plus + (aim_[i] < 0 ? 1 : 0);
      targets_[cell] = low + std::clamp(wanted / share(plus), 0.0, high - low);
    }
  }
}

void ProgrammedArray::age_to(double seconds) {
  for (device::Cells& copy : cells_) copy.age_to(seconds);
  through_.clear();
  update();
}

void ProgrammedArray::restore(std::vector<device::Cells> cells, const std::string& where) {
  const auto same = [](const device::Cells& a, const device::Cells& b) {
    return std::ranges::equal(a.targets(), b.targets());
  };
  if (!std::equal(cells.begin(), cells.end(), cells_.begin(), cells_.end(), same)) {
    fail(where, "array " + std::to_string(number_) +
                    ": conductance targets differ from those of this model on this target");
  }
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const std::string setting = cells[k].other_setting(cells_[k]);
    if (!setting.empty()) fail(where, "made with another device." + setting);
  }
  cells_ = std::move(cells);
  through_.clear();
  update();
}

void ProgrammedArray::update() {
  effective_.resize(rows_ * columns_);
  variance_.resize(rows_ * columns_);
  if (backend_ != nullptr) {
    variance_.assign(rows_ * columns_, 0);
    for (std::size_t i = 0; i < aim_.size(); ++i) {
      effective_[i % columns_ * rows_ + i / columns_] = static_cast<float>(aim_[i]);
    }
    prepare_reads();
    return;
  }
  flickers_ = std::ranges::any_of(cells_, [](const device::Cells& copy) {
    return std::ranges::any_of(copy.inference_deviation(), [](double d) { return d > 0; });
  });
  flicker_variance_.assign(flickers_ ? rows_ * columns_ : 0, 0);
  const bool wired = !target_.wires.ideal();
  for (std::size_t k = through_.size(); wired && k < cells_.size(); ++k) {
    const auto held = cells_[k].conductance();
    std::vector<double> siemens(held.size());
    for (std::size_t i = 0; i < held.size(); ++i) siemens[i] = held[i] * 1e-6;
    through_.push_back(
        circuit::effective_conductance(siemens, held.size() / lines_, lines_, target_.wires));
    for (double& g : through_.back()) g *= 1e6;
  }
  std::vector<double> shares;
  for (std::size_t k = 0; k < cells_.size(); ++k) shares.push_back(share(k));
  for (std::size_t c = 0; c < columns_; ++c) {
    const double scale = scale_[c];
    const double slope = slope_.empty() ? 1 : slope_[c];
    for (std::size_t r = 0; r < rows_; ++r) {
      const double drive = drive_[r * columns_ + c];
      const double gain = drivers_.gain(r) * slope;
      // Deviations are added, not conductances, so that ideal cells represent their weights
      // exactly.
      double weight = wired ? 0 : aim_[r * columns_ + c], sum = 0, noise = 0, flicker = 0;
      for (std::size_t k = 0; k < cells_.size(); ++k) {
        const auto held = cells_[k].conductance(), spread = cells_[k].read_deviation();
        const auto between = cells_[k].inference_deviation();
        const Pair cells = placed(k, r, c);
        sum += shares[k] *
               (wired ? through_[k][cells.plus] - through_[k][cells.minus] : beyond(k, held, r, c));
        for (const std::size_t i : {cells.plus, cells.minus}) {
          const double shown = wired && held[i] > 0 ? through_[k][i] / held[i] : 1;
          const double deviation = spread[i] / scale * shown * shares[k];
          noise += deviation * deviation;
          const double slow = between[i] / scale * shown * shares[k];
          flicker += slow * slow;
        }
      }
      weight += sum / scale * drive;
      effective_[c * rows_ + r] = static_cast<float>(weight * gain);
      variance_[c * rows_ + r] = static_cast<float>(noise * gain * gain * drive * drive);
      if (!flickers_) continue;
      flicker_variance_[c * rows_ + r] = static_cast<float>(flicker * gain * gain * drive * drive);
    }
  }
  prepare_reads();
}

double ProgrammedArray::volts_per_code() const {
  const double most =
      backend_ != nullptr ? target_.external.voltage : target_.crossbar.read_voltage;
  return most / double{largest_driven_};
}

std::vector<double> ProgrammedArray::currents() const {
  // The currents of equal copies are added.
  const double copies = residual() ? 1 : target_.crossbar.slices;
  std::vector<double> out;
  for (const double scale : scale_) out.push_back(scale * copies * volts_per_code());
  return out;
}

void ProgrammedArray::prepare_reads() {
  fixed_variance_.clear();
  const double floor = target_.crossbar.dac_noise_floor * 1e-6 / volts_per_code();  // codes
  if (floor > 0) {
    const float* const noise = converters_.noise();
    for (std::size_t c = 0; c < columns_; ++c) {
      double sum = noise == nullptr ? 0 : noise[c];
      for (std::size_t r = 0; r < rows_; ++r) {
        const double drive = drive_[r * columns_ + c];
        if (drive == 0) continue;
        const double shown = floor * effective_[c * rows_ + r] / drive;
        sum += shown * shown;
      }
      fixed_variance_.push_back(static_cast<float>(sum));
    }
  }
  cells_noisy_ = std::any_of(variance_.begin(), variance_.end(), [](float v) { return v > 0; });
  noisy_ = cells_noisy_ || fixed_variance() != nullptr;
  if (!driven_.first.empty()) prepare_driven();
}

void ProgrammedArray::prepare_driven() {
  driven_.weights.clear();
  driven_.variances.clear();
  for (std::size_t c = 0; c < columns_; ++c) {
    for (std::size_t i = driven_.first[c]; i < driven_.first[c + 1]; ++i) {
      driven_.weights.push_back(effective_[c * rows_ + driven_.rows[i]]);
      if (cells_noisy_) driven_.variances.push_back(variance_[c * rows_ + driven_.rows[i]]);
    }
  }
  driven_.fixed_variance.assign(noisy_ ? columns_ : 0, 0);
  if (fixed_variance() != nullptr)
    std::copy_n(fixed_variance(), columns_, driven_.fixed_variance.data());
  const auto conversions = converters_.conversions();
  driven_.conversions.assign(conversions.begin(), conversions.end());
  driven_.shift = shift_;
  driven_.own = own_;
  driven_.own_row = own_row_;
}

void ProgrammedArray::draw_weights(std::uint32_t sequence, AlignedFloats& weights,
                                   ReadScratch& scratch) const {
  const std::size_t count = driven_.first.empty() ? rows_ * columns_ : driven_.rows.size();
  weights.resize(count * kLanes);
  const kernels::Rows variance = take(scratch.variance, count, kLanes);
  std::size_t i = 0;
  for (std::size_t c = 0; c < columns_; ++c) {
    const std::size_t end = driven_.first.empty() ? i + rows_ : driven_.first[c + 1];
    for (std::size_t r = 0; i < end; ++i, ++r) {
      const std::size_t at = c * rows_ + (driven_.first.empty() ? r : driven_.rows[i]);
      std::fill_n(&weights[i * kLanes], kLanes, effective_[at]);
      std::fill_n(variance.row(i), kLanes, flicker_variance_[at]);
    }
  }
  add_read_noise({seed_, number_ | kWeights, sequence, 0}, 0, count, 1, variance,
                 {weights.data(), kLanes});
}

void ProgrammedArray::compensate() {
  if (target_.crossbar.compensation == Compensation::kNone) return;
  slope_.clear();
  shift_.clear();
  own_.clear();
  converters_.correct({});
  update();
  const auto n = static_cast<std::size_t>(target_.crossbar.compensation_inputs);
  AlignedFloats codes(rows_ * n), sums(columns_ * n);
  Random random(seed_, Stream::kConverters, number_, kKnownSequence);
  // Known inputs stay within the largest code and within the bits of a slice.
  const auto most = static_cast<std::int32_t>(std::min(largest_code_, 127.0f));
  const auto inputs = static_cast<std::uint32_t>(2 * most + 1);
  // Errors of weights then cancel on average, and only the offsets of the converters remain.
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t k = i % n;
    const auto drawn = [&] { return static_cast<std::int32_t>(random.below(inputs)) - most; };
    codes[i] = k < n / 2 ? static_cast<float>(drawn()) : -codes[i - n / 2];
  }
  const kernels::ConstRows in(codes.data(), n);
  const kernels::Rows out{sums.data(), n};
  ReadScratch scratch;
  AlignedFloats weights;
  if (flickers_) draw_weights(kKnownSequence, weights, scratch);
  multiply(0, columns_, n / kLanes, in, out, kKnownSequence, 0, scratch, nullptr, nullptr,
           flickers_ ? weights.data() : nullptr);

  // Least-squares fit of the exact sums to the measured sums and to the column's own row. All
  // inputs have a mean of 0.
  std::vector<double> slope(columns_), shift(columns_), own(own_row_.empty() ? 0 : columns_);
  double all_products = 0, all_squares = 0;
  std::vector<double> wanted(n);
  for (std::size_t c = 0; c < columns_; ++c) {
    std::fill(wanted.begin(), wanted.end(), 0.0);
    for (std::size_t r = 0; r < rows_; ++r) {
      const double weight = aim_[r * columns_ + c];
      if (weight == 0) continue;
      const float* const of_row = in.row(r);
      for (std::size_t k = 0; k < n; ++k) wanted[k] += weight * of_row[k];
    }
    const float* of_own = own.empty() || own_row_[c] == kNoRow ? nullptr : in.row(own_row_[c]);
    double x = 0, y = 0, xx = 0, xy = 0, oo = 0, ox = 0, oy = 0;
    for (std::size_t k = 0; k < n; ++k) {
      const double want = wanted[k], got = out.row(c)[k],
                   code = of_own == nullptr ? 0 : double{of_own[k]};
      x += got;
      y += want;
      xx += got * got;
      xy += got * want;
      oo += code * code;
      ox += code * got;
      oy += code * want;
    }
    // In units of the cells; otherwise columns of large weights would dominate.
    all_products += xy * scale_[c] * scale_[c];
    all_squares += xx * scale_[c] * scale_[c];
    const auto count = static_cast<double>(n);
    const double spread = xx - x * x / count, product = xy - x * y / count;
    const double area = spread * oo - ox * ox;
    if (of_own != nullptr && area > 1e-6 * spread * oo) {
      slope[c] = (product * oo - ox * oy) / area;
      own[c] = (spread * oy - ox * product) / area;
    } else {
      slope[c] = spread > 0 ? product / spread : 1;
    }
    shift[c] = (y - slope[c] * x) / count;
  }
  if (target_.crossbar.compensation == Compensation::kGlobal) {
    slope_.assign(columns_, static_cast<float>(all_squares > 0 ? all_products / all_squares : 1));
  } else {
    slope_.assign(slope.begin(), slope.end());
    shift_.assign(shift.begin(), shift.end());
    own_.assign(own.begin(), own.end());
  }
  converters_.correct(slope_);
  update();
}

void ProgrammedArray::product(const AlignedFloats& matrix, const float* bias, std::size_t first,
                              std::size_t count, std::size_t panel, kernels::ConstRows in,
                              kernels::Rows out) const {
  if (driven_.first.empty()) {
    kernels::linear_forward(matrix.data() + first * rows_, bias, count, rows_, panel, in, out);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t c = first + i;
    float* const sum = out.row(i);
    std::fill_n(sum, panel, bias == nullptr ? 0.0f : bias[i]);
    for (std::uint32_t at = driven_.first[c]; at < driven_.first[c + 1]; ++at) {
      const std::size_t r = driven_.rows[at];
      const float w = matrix[c * rows_ + r];
      const float* const x = in.row(r);
      for (std::size_t k = 0; k < panel; ++k) sum[k] += w * x[k];
    }
  }
}

kernels::ConstRows ProgrammedArray::driven(std::size_t panel, kernels::ConstRows codes,
                                           ReadScratch& scratch) const {
  if (!drivers_.has_inl()) return codes;
  const kernels::Rows out = take(scratch.driven, rows_, panel);
  drivers_.drive(panel, codes, out);
  return out;
}

void ProgrammedArray::analog(std::size_t first, std::size_t count, std::size_t steps,
                             kernels::ConstRows in, kernels::Rows out, const ReadAddress& address,
                             ReadScratch& scratch, float* seen, const float* weights) const {
  const std::size_t panel = steps * kLanes;
  in = driven(panel, in, scratch);
  if (!drive_noise_.empty()) {
    const kernels::Rows driven = take(scratch.driven, rows_, panel),
                        spread = take(scratch.variance, rows_, panel);
    for (std::size_t r = 0; r < rows_; ++r) {
      if (in.data != driven.data) std::copy_n(in.row(r), panel, driven.row(r));
      std::fill_n(spread.row(r), panel, drive_noise_[r]);
    }
    // Drives of one step differ between the columns for which they are applied.
    add_read_noise({address.seed, address.array | kDrives, address.sequence, address.step}, first,
                   rows_, steps, spread, driven);
    in = driven;
  }
  if (backend_ != nullptr) {
    read_currents(first, count, panel, in, out, scratch);
  } else if (weights != nullptr) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t c = first + i;
      const bool all = driven_.first.empty();
      const std::size_t at = all ? c * rows_ : driven_.first[c];
      lane_product(weights + at * kLanes, all ? nullptr : driven_.rows.data() + at,
                   all ? rows_ : driven_.first[c + 1] - at, steps, in, out.row(i));
    }
  } else {
    product(effective_, nullptr, first, count, panel, in, out);
  }
  if (noisy_) {
    const kernels::Rows variance = take(scratch.variance, count, panel);
    const float* noise = fixed_variance();
    if (cells_noisy_) {
      // The variances of independent cells add, weighted by the squares of their drives.
      const kernels::Rows squares = take(scratch.squares, rows_, panel);
      kernels::multiply(rows_, panel, in, in, squares);
      product(variance_, noise != nullptr ? noise + first : nullptr, first, count, panel, squares,
              variance);
    } else {
      for (std::size_t i = 0; i < count; ++i) std::fill_n(variance.row(i), panel, noise[first + i]);
    }
    add_read_noise(address, first, count, steps, variance, out);
  }
  if (seen != nullptr) {
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t k = 0; k < panel; ++k) {
        seen[first + i] = std::max(seen[first + i], std::abs(out.row(i)[k]));
      }
    }
  }
  converters_.convert(first, count, panel, out);
}

void ProgrammedArray::correct(std::size_t first, std::size_t count, std::size_t panel,
                              kernels::ConstRows codes, kernels::Rows sums) const {
  if (!shift_.empty()) {
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t k = 0; k < panel; ++k) sums.row(i)[k] += shift_[first + i];
    }
  }
  for (std::size_t i = 0; i < count && !own_.empty(); ++i) {
    const float factor = own_[first + i];
    if (factor == 0) continue;
    const float* code = codes.row(own_row_[first + i]);
    for (std::size_t k = 0; k < panel; ++k) sums.row(i)[k] += factor * code[k];
  }
}

void ProgrammedArray::multiply(std::size_t first, std::size_t count, std::size_t steps,
                               kernels::ConstRows in, kernels::Rows out, std::uint32_t sequence,
                               std::uint32_t step, ReadScratch& scratch, const float* offset,
                               float* seen, const float* weights) const {
  const std::size_t panel = steps * kLanes;
  const ReadAddress address{seed_, number_, sequence, step};
  const bool at_once = !driven_.first.empty() && slices_ == 1 && backend_ == nullptr &&
                       drive_noise_.empty() && seen == nullptr;
  if (at_once) {
    read_driven(driven_, address, first, count, steps, in, driven(panel, in, scratch), weights,
                out);
  } else if (slices_ == 1) {
    analog(first, count, steps, in, out, address, scratch, seen, weights);
  } else {
    const kernels::Rows slice = take(scratch.slice, rows_, panel),
                        sum = take(scratch.sum, count, panel);
    for (std::size_t k = 0; k < slices_; ++k) {
      const int shift = static_cast<int>(k) * slice_bits_;
      take_slice(rows_, panel, shift, slice_bits_, in, slice);
      const kernels::Rows to = k == 0 ? out : sum;
      const auto part = static_cast<std::uint32_t>(k) << kSliceShift;
      analog(first, count, steps, slice, to, {seed_, number_ | part, sequence, step}, scratch, seen,
             weights);
      if (k == 0) continue;
      const AlignedFloats weight(count, std::exp2(static_cast<float>(shift)));
      kernels::accumulate(weight.data(), count, panel, sum, out);
    }
  }
  if (!at_once) correct(first, count, panel, in, out);
  if (offset == nullptr) return;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < panel; ++k) out.row(i)[k] += offset[i];
  }
}

}  // namespace crosstate::crossbar
