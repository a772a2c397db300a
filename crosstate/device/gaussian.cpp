// Relative Gaussian noise: the simple model for sweeps, without a publication and without ageing.
#include <algorithm>

#include "crosstate/device/draws.h"
#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

class Gaussian : public DeviceModel {
 public:
  explicit Gaussian(const DeviceOptions& options) : options_(options) {}

  // The g_max of the options, so that no scaling takes place.
  ConductanceRange range() const override { return gaussian_range(options_); }

  double programmed(double target, const CellDraws& draws) const override {
    const double deviation = programming_deviation(options_, target);
    return deviation == 0 ? target : target + deviation * draws.programming();
  }

  void age(const CellBlock& cells, double, std::span<double> g) const override {
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = std::max(0.0, cells.programmed[i]);
  }

  double read_deviation(double g) const override {
    return crosstate::device::read_deviation(options_, g);
  }

 private:
  DeviceOptions options_;
};

}  // namespace

ModelPointer make_gaussian(const DeviceOptions& options) {
  return std::make_shared<Gaussian>(options);
}

}  // namespace crosstate::device
