// Cost on microcontrollers and digital accelerators.
#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/memory.h"

namespace crosstate::cost {
namespace {

// 1 / r: low and high are exchanged.
Range inverse(const Range& r) { return {1 / r.high, 1 / r.typical, 1 / r.low}; }

// Count of one constant over the sites of a step and of the end of a sequence.
struct Tally {
  std::string part, what;
  double per_step = 0, at_end = 0;
  void add(const OperationSite& site, double count) { (site.at_end ? at_end : per_step) += count; }
};

CostTerm term(const Tally& tally, const Range& each) {
  return {tally.part, tally.what, tally.per_step, tally.at_end, each};
}

// --- microcontroller

// Products use a byte or half-word instruction, even if the codes have fewer bits.
struct CycleTallies {
  Tally mac8{"products", "mac8"}, mac16{"products", "mac16"}, mac_float{"products", "mac_float"};
  Tally addition{"additions", "addition"}, requantisation{"scaling", "requantisation"};
  Tally rounding{"scaling", "rounding"}, look_up{"functions", "look_up"};
  Tally function{"functions", "function"}, overhead{"overhead", "step_overhead"};

  void add(const OperationSite& s) {
    const int bits = std::max(s.weight_bits, s.input_bits);
    const auto macs = static_cast<double>(s.macs);
    if (s.in_floats) {
      mac_float.add(s, macs);
    } else if (bits <= 8) {
      mac8.add(s, macs);
    } else {
      mac16.add(s, bits <= 16 ? macs : 2 * macs);
    }
    addition.add(s, static_cast<double>(s.additions));
    requantisation.add(s, static_cast<double>(s.requantisations));
    rounding.add(s, static_cast<double>(s.roundings));
    look_up.add(s, static_cast<double>(s.look_ups));
    function.add(s, static_cast<double>(s.functions));
    overhead.add(s, 1);
  }
  std::vector<Tally> all() const {
    return {mac8,     mac16,   mac_float, addition, requantisation,
            rounding, look_up, function,  overhead};
  }
};

Estimate on_microcontroller(const OperationSummary& operations, const Technology& t) {
  CycleTallies tallies;
  for (const OperationSite& s : operations.sites) tallies.add(s);
  Estimate e;
  for (const Tally& tally : tallies.all()) {
    e.energy.terms.push_back(term(tally, t[tally.what]));  // cycles
  }
  e.latency.terms = e.energy.terms;
  e.energy.factor = t["cycle_energy"];
  e.latency.factor = inverse(t["clock"]) * 1e3;  // ns
  e.area.terms.push_back({"chip", "area", 0, 1, t["area"]});
  return e;
}

// --- accelerator

double operations_of(const OperationSite& s) {
  return static_cast<double>(s.macs + s.additions + s.requantisations + s.roundings + s.look_ups +
                             s.functions);
}

struct UnitTallies {
  Tally multiply{"arithmetic", "multiply_bit"}, add_bit{"arithmetic", "add_bit"};
  Tally float_multiply{"arithmetic", "float_multiply"}, float_add{"arithmetic", "float_add"};
  Tally function{"arithmetic", "function_products"}, memory{"memory", "memory_bit"};
  Tally slots{"", "slot"};

  void add(const OperationSite& s) {
    const auto macs = static_cast<double>(s.macs), additions = static_cast<double>(s.additions);
    if (s.in_floats) {
      float_multiply.add(s, macs);
      float_add.add(s, macs + additions);
    } else {
      multiply.add(s, static_cast<double>(s.bit_operations_with_scaling()));
      const double sums = macs + static_cast<double>(s.requantisations + s.roundings);
      add_bit.add(s, sums * kAccumulatorWidth + additions * s.addition_bits);
    }
    function.add(s, static_cast<double>(s.functions));
    const auto weights = static_cast<double>(s.weights) * s.weight_bits;
    memory.add(s, weights + static_cast<double>(s.moved_bits));
    slots.add(s, operations_of(s));
  }
};

void add_area(const OperationSummary& operations, double memory_bits, bool in_floats,
              const Technology& t, CostList& area) {
  double widest = 0;
  for (const OperationSite& s : operations.sites) {
    if (s.macs == 0 || s.in_floats) continue;
    widest = std::max(widest, static_cast<double>(s.weight_bits) * s.input_bits);
  }
  const auto add = [&](const char* part, const char* what, double count, const Range& each) {
    area.terms.push_back({part, what, 0, count, each * kMillimetrePerMicrometre});
  };
  if (widest > 0) {
    add("arithmetic", "multiply_area", widest, t["lanes"] * t["multiply_area"]);
    add("arithmetic", "add_area", kAccumulatorWidth, t["lanes"] * t["add_area"]);
  }
  if (in_floats) add("arithmetic", "float_area", 1, t["lanes"] * t["float_area"]);
  add("memory", "memory_area", memory_bits, t["memory_area"]);
}

Estimate on_accelerator(const OperationSummary& operations, double memory_bits, bool in_floats,
                        const Technology& t) {
  UnitTallies tallies;
  for (const OperationSite& s : operations.sites) tallies.add(s);
  Estimate e;
  std::vector<CostTerm>& energy = e.energy.terms;
  energy.push_back(term(tallies.multiply, t["multiply_bit"] * kPicoPerFemto));
  energy.push_back(term(tallies.add_bit, t["add_bit"] * kPicoPerFemto));
  energy.push_back(term(tallies.float_multiply, t["float_multiply"]));
  energy.push_back(term(tallies.float_add, t["float_add"]));
  energy.push_back(
      term(tallies.function, t["function_products"] * (t["float_multiply"] + t["float_add"])));
  energy.push_back(term(tallies.memory, t["memory_bit"] * kPicoPerFemto));

  // Every operation occupies one lane for one cycle.
  const Range slot = inverse(t["clock"] * t["lanes"]) * 1e3;  // ns
  constexpr double kPicojoules = 1e-9;                        // pW ns
  Tally leakage = tallies.slots;
  leakage.part = "static";
  leakage.what = "leakage_bit";
  leakage.per_step *= memory_bits;
  leakage.at_end *= memory_bits;
  energy.push_back(term(leakage, t["leakage_bit"] * slot * kPicojoules));
  tallies.slots.part = "arithmetic";
  e.latency.terms.push_back(term(tallies.slots, slot));
  add_area(operations, memory_bits, in_floats, t, e.area);
  return e;
}

}  // namespace

Estimate estimate(const OperationSummary& operations, double memory_bits, bool in_floats,
                  const Technology& technology) {
  if (technology.kind == TargetKind::kCrossbar) {
    fail(technology.name, "is a crossbar, which requires a mapped quantized network");
  }
  if (!technology.floats && in_floats) {
    fail(technology.name, "computes in integers, but the network is a float network");
  }
  Estimate e = technology.kind == TargetKind::kMicrocontroller
                   ? on_microcontroller(operations, technology)
                   : on_accelerator(operations, memory_bits, in_floats, technology);
  e.target = technology.name;
  return e;
}

Estimate estimate(const Deployment& deployment, const OperationSummary& operations,
                  const Technology& technology) {
  const auto memory_bits = static_cast<double>(8 * count_memory(deployment).total());
  return estimate(operations, memory_bits, deployment.in_floats(), technology);
}

}  // namespace crosstate::cost
