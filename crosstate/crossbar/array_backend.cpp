// Products on the cells of a backend, in volts and amperes.
#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "crosstate/crossbar/array.h"

namespace crosstate::crossbar {
namespace {

// Bound on the rounding error of a sum of up to 4,096 currents in double precision, relative to the
// sum of their magnitudes.
constexpr double kRounding = 1e-12;

}  // namespace

void ProgrammedArray::program() {
  std::vector<double> siemens(targets_.size());
  for (std::size_t i = 0; i < siemens.size(); ++i) siemens[i] = targets_[i] * 1e-6;
  backend_->program(number_, siemens);
  highest_ = *std::max_element(siemens.begin(), siemens.end());
  std::map<std::vector<float>, std::size_t> numbers;
  for (std::size_t c = 0; c < columns_; ++c) {
    std::vector<float> levels(rows_);
    for (std::size_t r = 0; r < rows_; ++r) levels[r] = drive_[r * columns_ + c];
    product_.push_back(numbers.try_emplace(std::move(levels), numbers.size()).first->second);
  }
}

void ProgrammedArray::read_currents(std::size_t first, std::size_t count, std::size_t panel,
                                    kernels::ConstRows in, kernels::Rows out,
                                    ReadScratch& scratch) const {
  const double volts = target_.external.voltage / double{largest_driven_};  // per code
  const std::size_t all_rows = targets_.size() / (2 * bit_lines_), end = first + count;
  std::vector<double>& voltages = scratch.voltages;
  for (std::size_t c = first; c < end; ++c) {
    // Columns with the same levels are read in one product, including all columns between them.
    const auto columns = product_.begin();
    const auto here = columns + static_cast<std::ptrdiff_t>(c);
    if (std::find(columns + static_cast<std::ptrdiff_t>(first), here, *here) != here) continue;
    const auto same = [&](std::size_t other) { return product_[other] == *here; };
    std::size_t last = end - 1;
    while (!same(last)) --last;

    voltages.assign(panel * all_rows, 0);
    scratch.rounding.assign(panel, 0);
    for (std::size_t r = 0; r < rows_; ++r) {
      const double per_code = drivers_.gain(r) * drive_[r * columns_ + c] * volts;
      if (per_code == 0) continue;
      for (std::size_t k = 0; k < panel; ++k) {
        voltages[k * all_rows + r] = in.row(r)[k] * per_code + 0.0;  // 0 V, not -0 V
        scratch.rounding[k] += std::abs(voltages[k * all_rows + r]) * highest_ * kRounding;
      }
    }
    const hardware::BitLines lines{2 * c, 2 * (last + 1 - c)};
    scratch.currents.resize(panel * lines.count);
    backend_->multiply(number_, lines, panel, voltages, scratch.currents);
    for (std::size_t of = c; of <= last; ++of) {
      if (!same(of)) continue;
      const double slope = slope_.empty() ? 1 : double{slope_[of]};
      const double per_ampere = slope / (volts * scale_[of] * 1e-6);
      float* const sums = out.row(of - first);
      for (std::size_t k = 0; k < panel; ++k) {
        const double* pair = scratch.currents.data() + k * lines.count + 2 * (of - c);
        const double difference = pair[0] - pair[1];
        const bool rest = std::abs(difference) <= scratch.rounding[k];
        sums[k] = rest ? 0 : static_cast<float>(difference * per_ampere);
      }
    }
  }
}

}  // namespace crosstate::crossbar
