// Cells whose mean and standard deviation were measured at given times, interpolated over the
// logarithm of time. The deviation d(t) of a cell is a Brownian motion whose time is the variance:
// d(t) = W(m(t)^2) sigma(t) / m(t), with m the largest sigma so far. So d is N(0, sigma^2) at every
// t, grows by independent increments while sigma grows, and shrinks in proportion to sigma.
#include <algorithm>
#include <cmath>
#include <limits>

#include "crosstate/device/draws.h"
#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

// Position of the time: `share` of the way from times[k] to times[k + 1].
struct Moment {
  std::size_t k = 0;
  double share = 0;
};

Moment moment_at(const std::vector<double>& times, double seconds) {
  if (seconds <= times.front()) return {};
  if (seconds >= times.back()) return {times.size() - 1, 0};
  const auto next = std::upper_bound(times.begin(), times.end(), seconds);
  const auto k = static_cast<std::size_t>(next - times.begin()) - 1;
  // log(0) is undefined: the first interval is interpolated over ln(1 + t / 1 s) if it starts at 0.
  const double offset = times[k] > 0 ? 0 : 1;
  const double from = std::log(times[k] + offset), to = std::log(times[k + 1] + offset);
  return {k, (std::log(seconds + offset) - from) / (to - from)};
}

class Timed : public DeviceModel {
 public:
  Timed(const DeviceOptions& options, TimedStatistics statistics)
      : of_(std::move(statistics)),
        moves_(options.drift && of_.ages),
        verified_(options.write_verify) {}

  ConductanceRange range() const override { return of_.range; }
  double last_time() const override { return of_.ages ? of_.times.back() : kLongestTime; }
  const std::string& source() const override { return of_.source; }

  double programmed(double target, const CellDraws& draws) const override {
    const Moments first = of_.at(0, target);
    return first.mean + walked(target, first.deviation, draws);
  }

  void age(const CellBlock& cells, double seconds, std::span<double> g) const override {
    const Moment when = moves_ ? moment_at(of_.times, seconds) : Moment{};
    for (std::size_t i = 0; i < g.size(); ++i) {
      const CellDraws draws({cells.seed, cells.array, static_cast<std::uint32_t>(i)});
      const bool moved = when.k > 0 || when.share > 0;
      g[i] = std::max(0.0, moved ? state(cells.target[i], cells.programmed[i], when, draws)
                                 : cells.programmed[i]);
    }
  }

  double read_deviation(double g) const override {
    return of_.read_deviation ? of_.read_deviation(g) : 0;
  }

 private:
  // W(m^2), whose time ends at the square of the largest standard deviation over all times.
  double walked(double target, double m, const CellDraws& draws) const {
    double most = 0;
    for (std::size_t k = 0; k < of_.times.size(); ++k) {
      most = std::max(most, of_.at(k, target).deviation);
    }
    if (most == 0) return 0;
    return most / std::sqrt(kPathEnd) * draws.relaxation(kPathEnd * (m / most) * (m / most));
  }

  double state(double target, double programmed, const Moment& when, const CellDraws& draws) const {
    const Moments first = of_.at(0, target);
    Moments now = of_.at(when.k, target);
    if (when.share > 0) {
      const Moments next = of_.at(when.k + 1, target);
      now.mean += when.share * (next.mean - now.mean);
      now.deviation += when.share * (next.deviation - now.deviation);
    }
    double m = now.deviation;
    for (std::size_t k = 0; k <= when.k; ++k) m = std::max(m, of_.at(k, target).deviation);
    const double ratio = m > 0 ? now.deviation / m : 1;
    // Write-verify left another deviation than the published one; the walk continues from there.
    const double offset =
        verified_ ? programmed - first.mean - walked(target, first.deviation, draws) : 0;
    return now.mean + ratio * (offset + walked(target, m, draws));
  }

  TimedStatistics of_;
  bool moves_, verified_;
};

}  // namespace

ModelPointer make_timed(const DeviceOptions& options, TimedStatistics statistics) {
  return std::make_shared<Timed>(options, std::move(statistics));
}

ModelPointer make_table(const DeviceOptions& options, DeviceTable table) {
  TimedStatistics statistics;
  statistics.range = table.range();
  statistics.times = table.times();
  statistics.source = table.text();
  statistics.at = [table = std::move(table)](std::size_t time, double target) {
    return table.at(time, target);
  };
  return make_timed(options, std::move(statistics));
}

}  // namespace crosstate::device
