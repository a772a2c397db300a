// Factory functions of the models in models.h, one source file per family.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/device/model.h"
#include "crosstate/device/table.h"

namespace crosstate::device {

using ModelPointer = std::shared_ptr<const DeviceModel>;

ModelPointer make_gaussian(const DeviceOptions& options);                  // gaussian.cpp
ModelPointer make_pcm(const DeviceOptions& options);                       // pcm.cpp
ModelPointer make_hermes(const DeviceOptions& options);                    // pcm.cpp
ModelPointer make_hermes_single(const DeviceOptions& options);             // pcm.cpp
ModelPointer make_simple(const DeviceOptions& options);                    // pcm.cpp
ModelPointer make_cmo(const DeviceOptions& options);                       // cmo.cpp
ModelPointer make_neurram(const DeviceOptions& options);                   // rram.cpp
ModelPointer make_neurram_cubic(const DeviceOptions& options);             // rram.cpp
ModelPointer make_milo(const DeviceOptions& options);                      // rram.cpp
ModelPointer make_sonos(const DeviceOptions& options);                     // sonos.cpp
ModelPointer make_table(const DeviceOptions& options, DeviceTable table);  // timed.cpp

/// 1/f noise at `seconds`, whose variance grows with ln((seconds + t_r) / (2 t_r)): the part that
/// an inference finds as it is, and the part that is faster than the inference.
struct FlickerClock {
  double slow, fast;
};
FlickerClock flicker_clock(double seconds, double t_r, double inference_time);  // models.cpp

/// A model of cells whose mean and standard deviation are known at given times; the deviation of
/// each cell is a random walk between them. timed.cpp.
struct TimedStatistics {
  ConductanceRange range;
  std::vector<double> times;                                   // s, ascending
  std::function<Moments(std::size_t time, double target)> at;  // uS, at times[time]
  std::function<double(double g)> read_deviation;              // uS, or empty: none
  bool ages = true;  // false: the state at times[0] is kept, and any time is defined
  std::string source;
};
ModelPointer make_timed(const DeviceOptions& options, TimedStatistics statistics);

}  // namespace crosstate::device
