// Replies of the driver of an external chip: two lines of three currents.
#include <cmath>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/hardware/protocol.h"
#include "fuzz/target.h"

namespace crosstate::fuzz {
namespace {

std::vector<double> currents(const std::string& bytes, std::size_t piece) {
  std::vector<double> found(6);
  hardware::ReplyReader reader("fuzz", hardware::kReply, 2, found);
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    reader.take(std::string_view(bytes).substr(i, piece));
  }
  if (!reader.complete()) fail("fuzz", "came: " + reader.progress());
  return found;
}

}  // namespace

void read(const std::string& bytes) {
  const std::vector<double> whole = currents(bytes, bytes.size());
  for (const double i : whole) require(std::isfinite(i), "finite currents");
  require(currents(bytes, 1) == whole, "the same currents from single bytes");
}

}  // namespace crosstate::fuzz
