// Tables of hardware constants for crosstate cost --target.
#include "crosstate/cost/technology.h"

#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  const cost::Technology t = cost::parse_technology(bytes, "fuzz.toml");
  require(t.constants.size() == cost::constants_of(t.kind).size(), "every constant of its kind");
  for (const auto& [name, constant] : t.constants) {
    const cost::Range& v = constant.value;
    require(v.low <= v.typical && v.typical <= v.high, name + " ascends");
    require(!constant.source.empty(), name + " has a source");
  }
}
