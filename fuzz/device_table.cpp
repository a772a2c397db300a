// CSV files of measured cells, including conductances computed from them.
#include <cmath>

#include "crosstate/device/table.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const device::DeviceTable table = device::DeviceTable::parse(bytes, "fuzz.csv");
  require(table.range().low < table.range().high, "a range");
  for (std::size_t k = 0; k < table.times().size(); ++k) {
    require(k == 0 || table.times()[k - 1] < table.times()[k], "times in order");
    for (const double share : {0.0, 0.3, 1.0}) {
      const device::ConductanceRange range = table.range();
      const device::Moments moments = table.at(k, range.low + share * (range.high - range.low));
      require(std::isfinite(moments.mean) && moments.mean >= 0, "a mean");
      require(std::isfinite(moments.deviation) && moments.deviation >= 0, "a deviation");
    }
  }
}
