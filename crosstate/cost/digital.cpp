// Cost on microcontrollers and digital accelerators.
#include <algorithm>

#include "crosstate/base/error.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/memory.h"

namespace crosstate::cost {
namespace {

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
  Tally function{"arithmetic", "function_products"};
  Tally weights{"memory", "memory_bit"}, values{"memory", "memory_bit"};
  Tally control{"clock and control", "control"}, slots{"", "slot"};

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
    weights.add(s, static_cast<double>(s.weights) * s.weight_bits);
    values.add(s, static_cast<double>(s.moved_bits));
    control.add(s, operations_of(s));
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

// Between time steps, the logic is gated and the memory retains its content.
void add_rest(double retained_bits, const Technology& t, Estimate& e) {
  e.rest.terms.push_back(
      {"memory", "leakage_bit", 0, retained_bits, t["leakage_bit"] * kMicroPerPico});
  for (const CostTerm& area : e.area.terms) {
    if (area.part == "arithmetic") {
      e.rest.terms.push_back({"gated logic", "gated " + area.what, 0, area.at_end,
                              area.each * t["leakage_area"] * inverse(t["gating"])});
    }
    // The periphery of a memory that only retains its content is gated as well.
    e.wake.terms.push_back(
        {"wake-up", "wake " + area.what, 0, area.at_end, area.each * t["wake_area"]});
  }
}

Estimate on_accelerator(const OperationSummary& operations, const MemoryBits& memory,
                        bool in_floats, const Technology& t, const EstimateOptions& options) {
  UnitTallies tallies;
  for (const OperationSite& s : operations.sites) tallies.add(s);
  const bool nonvolatile = options.weights == WeightMemory::kNonvolatile;
  const double retained_bits = nonvolatile ? memory.states : memory.all;
  if (nonvolatile) tallies.weights.what = "nonvolatile_bit";
  Estimate e;
  std::vector<CostTerm>& energy = e.energy.terms;
  energy.push_back(term(tallies.multiply, t["multiply_bit"] * kPicoPerFemto));
  energy.push_back(term(tallies.add_bit, t["add_bit"] * kPicoPerFemto));
  energy.push_back(term(tallies.float_multiply, t["float_multiply"]));
  energy.push_back(term(tallies.float_add, t["float_add"]));
  energy.push_back(
      term(tallies.function, t["function_products"] * (t["float_multiply"] + t["float_add"])));
  for (const Tally* bits : {&tallies.weights, &tallies.values}) {
    energy.push_back(term(*bits, t[bits->what] * kPicoPerFemto));
  }
  energy.push_back(term(tallies.control, t["control"] * kPicoPerFemto));

  // Every operation occupies one lane for one cycle.
  const Range slot = inverse(t["clock"] * t["lanes"]) * 1e3;  // ns
  constexpr double kPicojoules = 1e-9;                        // pW ns
  Tally leakage = tallies.slots;
  leakage.part = "static";
  leakage.what = "leakage_bit";
  leakage.per_step *= retained_bits;
  leakage.at_end *= retained_bits;
  energy.push_back(term(leakage, t["leakage_bit"] * slot * kPicojoules));
  tallies.slots.part = "arithmetic";
  e.latency.terms.push_back(term(tallies.slots, slot));
  add_area(operations, memory.all, in_floats, t, e.area);
  for (const CostTerm& area : e.area.terms) {
    if (area.part != "arithmetic") continue;
    // uW ns = fJ.
    energy.push_back({"static", "leakage of " + area.what, area.at_end * tallies.slots.per_step,
                      area.at_end * tallies.slots.at_end,
                      area.each * t["leakage_area"] * slot * kPicoPerFemto});
  }
  add_rest(retained_bits, t, e);
  return e;
}

}  // namespace

Estimate estimate(const OperationSummary& operations, const MemoryBits& memory, bool in_floats,
                  const Technology& technology, const EstimateOptions& options) {
  if (technology.kind == TargetKind::kCrossbar) {
    fail(technology.name, "is a crossbar, which requires a mapped quantized network");
  }
  if (!technology.floats && in_floats) {
    fail(technology.name, "computes in integers, but the network is a float network");
  }
  Estimate e = technology.kind == TargetKind::kMicrocontroller
                   ? on_microcontroller(operations, technology)
                   : on_accelerator(operations, memory, in_floats, technology, options);
  e.target = technology.name;
  e.operations_per_step = 2 * static_cast<double>(operations.macs_per_step());
  return e;
}

Estimate estimate(const Deployment& deployment, const OperationSummary& operations,
                  const Technology& technology, const EstimateOptions& options) {
  const MemorySummary memory = count_memory(deployment);
  const MemoryBits bits{static_cast<double>(8 * memory.total()),
                        static_cast<double>(8 * memory.bytes(MemoryKind::kState))};
  return estimate(operations, bits, deployment.in_floats(), technology, options);
}

}  // namespace crosstate::cost
