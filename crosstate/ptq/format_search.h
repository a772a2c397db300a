// Search for the cheapest format of a network that is rounded after training. How much error every
// choice of every site adds is measured once, behind all other sites at the start of the search;
// errors of sites are taken to add up. That orders formats by their cost and error; of those, few
// are rounded and measured as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/model/network.h"
#include "crosstate/ptq/check.h"
#include "crosstate/ptq/formats.h"
#include "crosstate/ptq/judge.h"
#include "crosstate/ptq/options.h"
#include "crosstate/ptq/round_network.h"
#include "crosstate/quant/options.h"

namespace crosstate::ptq {

/// What a network costs where it is deployed.
struct FormatCost {
  std::size_t bytes = 0;             // memory of streaming inference
  std::uint64_t bit_operations = 0;  // of a sequence
  bool operator==(const FormatCost&) const = default;
};

/// What one choice of one site does, all others being at the start of the search.
struct Sensitivity {
  std::string site, choice;
  double error = 0;  // added, in units of Verdict::error
  double loss = 0;   // points of the metric, of the whole network
  FormatCost cost;   // of the whole network
};

/// A site of the format that was found.
struct ChosenSite {
  std::string site, choice;
  double error = 0;  // that the choice adds
  std::string next;  // the next cheaper choice, "" if there is none
  double error_of_next = 0;
  std::size_t bytes_of_next = 0;  // that it would save
};

struct FoundFormat {
  quant::QuantOptions format;  // resolved
  model::Network network;      // rounded
  FormatCost cost;
  Verdict verdict;  // on all held-out sequences
  std::vector<ChosenSite> sites;
  std::size_t evaluations = 0;  // networks that were rounded and measured
};

/// How a search reports and ends.
struct SearchContext {
  std::function<void(const std::string&)> say = {};  // what happens next
  Check check = {};  // before every network that is priced or measured
};

class FormatSearch {
 public:
  /// coarse, fine: compare formats, and confirm the one that is taken. steps: of a sequence, for
  /// bit operations. References must outlive the object.
  FormatSearch(const NetworkRounder& rounder, const quant::QuantOptions& options, bool fixed,
               const Judge& coarse, const Judge& fine, std::uint64_t steps, SearchContext context);

  /// The least memory of any format that may be chosen. Nothing is measured for it.
  std::size_t least_bytes();
  /// Throws Error if options.bytes is below least_bytes().
  void require_possible(const SearchOptions& options);

  /// Measures every choice of every site. For a goal of loss it goes down every ladder until the
  /// error is out of all proportion. Choices with which the network cannot be converted to integers
  /// are left out. Throws Error where even the most precise formats lose more or cannot be
  /// converted.
  void measure(const SearchOptions& options);
  const std::vector<Sensitivity>& sensitivities() const { return sensitivities_; }
  /// After measure(). Throws Error as require_possible() does, and if no format that was found
  /// within options.bytes can be converted to integers.
  FoundFormat find(const SearchOptions& options);
  /// The formats with the least error within numbers of bytes that fall in equal ratios from those
  /// of the most precise format to those of the smallest that measure() left; fewer than `formats`
  /// where several have as many bytes or none can be converted to integers. After find().
  std::vector<FoundFormat> front(int formats);

 private:
  using Config = std::vector<std::size_t>;  // number of the choice, by site
  struct Measured {
    bool known = false;  // only such choices are taken
    double error = 1e9;  // far above any that is measured, so that fill() replaces the others first
  };

  quant::QuantOptions format_of(const Config& config) const;
  FormatCost cost_of(const Config& config);
  double predicted_error(const Config& config) const;
  Verdict verdict_of(const Config& config, const Judge& judge);
  const Verdict& fine_verdict_of(const Config& config);
  bool is_integer(const Config& config);
  bool meets(const Config& config, double points);
  [[noreturn]] void refuse_loss(double points, const Verdict& best) const;
  void use_choices(int bits);
  Config smallest();  // of all formats that may be chosen

  // Configurations from `start` on, each cheaper than the one before by `cost` and of no more
  // bytes, at the least predicted error for what it saves.
  template <class Cost>
  std::vector<Config> descend(Config start, const Cost& cost);
  Config last_that_meets(const std::vector<Config>& way, double points);
  Config improve(Config best, double points);
  Config fill(Config config, std::size_t bytes);
  // None: of those tried, no format can be converted to integers.
  std::optional<Config> best_within(const std::vector<Config>& way, std::size_t bytes);
  std::vector<Config> descend_by_bytes();
  FoundFormat describe(const Config& config);

  const NetworkRounder& rounder_;
  const quant::QuantOptions options_;
  bool fixed_;
  const Judge& coarse_;
  const Judge& fine_;
  std::uint64_t steps_;
  SearchContext context_;
  std::vector<SiteChoices> sites_;
  std::vector<std::vector<Measured>> errors_;  // [sites][choices]
  std::vector<Sensitivity> sensitivities_;
  std::map<Config, FormatCost> costs_;
  std::map<Config, Verdict> fine_verdicts_;
  std::string not_integer_;  // why the last network could not be converted
  std::size_t evaluations_ = 0;
};

}  // namespace crosstate::ptq
