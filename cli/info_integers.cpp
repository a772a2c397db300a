#include "cli/info_integers.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/reference.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

constexpr int kMeasured = 100;  // test sequences, unless data.test_limit is set

json certificate_json(const integer::Certificate& c) {
  json out = {{"fits_int32", c.fits_int32},
              {"fits_int64", c.fits_int64},
              {"exact_in_float", c.exact_in_float},
              {"longest_sequence", c.longest_sequence}};
  for (const integer::AccumulatorBound& b : c.accumulators) {
    out["accumulators"][b.name] = {{"bound", b.bound}, {"bits", b.bits()}};
  }
  for (const integer::StateBound& s : c.states) {
    out["states"].push_back({{"modes", s.modes},
                             {"never_saturate", s.never_saturate},
                             {"largest_over_limit", s.largest},
                             {"state_error", s.state_error},
                             {"output_error", s.output_error}});
  }
  return out;
}

std::vector<report::Table> certificate_tables(const integer::Certificate& c) {
  report::Table bounds{
      "Certificate: no input exceeds", {"accumulator", "magnitude", "signed bits"}, {}};
  for (const integer::AccumulatorBound& b : c.accumulators) {
    bounds.rows.push_back({b.name, std::to_string(b.bound), std::to_string(b.bits())});
  }
  report::Table states{"States",
                       {"layer", "modes", "never saturate", "largest bound / limit",
                        "rounding error (steps)", "of outputs (codes)"},
                       {}};
  for (std::size_t l = 0; l < c.states.size(); ++l) {
    const integer::StateBound& s = c.states[l];
    states.rows.push_back({std::to_string(l), std::to_string(s.modes),
                           std::to_string(s.never_saturate), number(s.largest),
                           number(s.state_error), number(s.output_error)});
  }
  return {bounds, states};
}

std::string certificate_text(const integer::Certificate& c) {
  std::string text = "No accumulator overflows";
  text += c.fits_int32 ? ": sums fit 32 bits, products of requantizers 64, "
                       : " 64 bits, but sums need more than 32, ";
  text += c.longest_sequence == std::numeric_limits<std::int64_t>::max()
              ? "in sequences of any length.\n"
              : "in sequences of up to " + std::to_string(c.longest_sequence) + " steps.\n";
  text += c.exact_in_float ? "Floating-point lanes compute it exactly.\n"
                           : "Too wide for floating-point lanes at " + c.obstacle +
                                 ": scalar integers compute it.\n";
  return text;
}

// Saturation rates and dead modes on some sequences of a test set.
struct Measured {
  std::string set;
  std::size_t sequences = 0;
  integer::CodeUsage usage;
};

// The set that the options select; none if no data are named and the built-in sample is of another
// task or too long.
std::optional<Measured> measure(const inference::Model& model, const integer::IntegerNetwork& n,
                                const data::DataOptions& options) {
  data::DataOptions some = options;
  if (some.test_limit == 0) some.test_limit = kMeasured;
  ThreadPool pool(1);
  data::Dataset set;
  try {
    set = pipeline::load_test_data(some, model.preparation(), model.name(), pool);
    model.require_fit(set, inference::ModelBackend::kInteger);
  } catch (const Error&) {
    if (options.directory.empty()) return std::nullopt;
    throw;
  }
  say_notes(set);
  integer::ReferenceExecutor executor(n);
  for (std::size_t i = 0; i < set.count; ++i) executor.run(set.sequence(i), set.length_of(i));
  return Measured{set.name, set.count, executor.usage()};
}

// Modes whose state stayed at 0, and modes whose C is 0.
struct DeadModes {
  std::size_t still = 0, unread = 0;
};

DeadModes dead_modes(const integer::IntegerNetwork& n, const integer::CodeUsage& usage,
                     std::size_t l) {
  const integer::IntegerBlock& b = n.blocks[l];
  DeadModes dead;
  for (std::size_t i = 0; i < b.cr.size(); ++i) {
    dead.still += usage.blocks[l].largest[i] == 0 ? 1 : 0;
    dead.unread += b.cr[i] == 0 && (!n.complex || b.ci[i] == 0) ? 1 : 0;
  }
  return dead;
}

// Name and counts of every site that can saturate.
std::vector<std::pair<std::string, integer::CodeUsage::Site>> sites_of(
    const integer::IntegerNetwork& n, const integer::CodeUsage& usage) {
  std::vector<std::pair<std::string, integer::CodeUsage::Site>> sites = {
      {"input", usage.input}, {"residual", usage.residual}};
  for (std::size_t l = 0; l < usage.blocks.size(); ++l) {
    const std::string at = "layers." + std::to_string(l) + ".";
    sites.emplace_back(at + "state", usage.blocks[l].state);
    sites.emplace_back(at + "ssm_output", usage.blocks[l].ssm_output);
    if (n.gated) sites.emplace_back(at + "linear", usage.blocks[l].linear);
  }
  return sites;
}

json usage_json(const integer::IntegerNetwork& n, const Measured& measured) {
  json out = {{"data", measured.set}, {"sequences", measured.sequences}};
  for (const auto& [name, site] : sites_of(n, measured.usage)) {
    out["saturation"][name] = site.saturation();
  }
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const DeadModes dead = dead_modes(n, measured.usage, l);
    out["modes"].push_back(
        {{"modes", n.blocks[l].cr.size()}, {"still", dead.still}, {"unread", dead.unread}});
  }
  return out;
}

std::vector<report::Table> usage_tables(const integer::IntegerNetwork& n,
                                        const Measured& measured) {
  const std::string on =
      " on " + std::to_string(measured.sequences) + " sequences of " + measured.set;
  report::Table saturation{"Saturation" + on, {"site", "values", "beyond the codes (%)"}, {}};
  for (const auto& [name, site] : sites_of(n, measured.usage)) {
    saturation.rows.push_back(
        {name, std::to_string(site.values), fixed_text(100 * site.saturation(), 3)});
  }
  report::Table modes{"Dead modes" + on, {"layer", "modes", "state stays 0", "C is 0"}, {}};
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const DeadModes dead = dead_modes(n, measured.usage, l);
    modes.rows.push_back({std::to_string(l), std::to_string(n.blocks[l].cr.size()),
                          std::to_string(dead.still), std::to_string(dead.unread)});
  }
  return {saturation, modes};
}

}  // namespace

IntegerReport report_integers(const inference::Model& model, const data::DataOptions& data) {
  const integer::IntegerNetwork n = model.integers();
  const integer::Certificate certificate = integer::certify(n);
  IntegerReport report;
  report.values["certificate"] = certificate_json(certificate);
  report.tables = certificate_tables(certificate);
  report.text = certificate_text(certificate);
  if (const auto measured = measure(model, n, data)) {
    report.values["usage"] = usage_json(n, *measured);
    for (report::Table& table : usage_tables(n, *measured))
      report.tables.push_back(std::move(table));
  } else {
    const bool hears = model.preparation() && model.preparation()->front_end;
    report.text += std::string("Saturation and dead modes: --data with ") +
                   (hears ? "recordings" : "sequences that fit") + " measures them.\n";
  }
  return report;
}

}  // namespace crosstate::cli
