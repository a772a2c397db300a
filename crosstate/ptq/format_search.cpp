#include "crosstate/ptq/format_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/cost/memory.h"
#include "crosstate/cost/operations.h"
#include "crosstate/model/network_state.h"

namespace crosstate::ptq {
namespace {

constexpr int kFirstBits = 8, kMostBits = 12;
// Of one site, relative to the variance of the outputs: a network with it is of little use.
constexpr double kHopelessError = 0.2;
// Networks measured per round of improvement, or from one start until one is integer.
constexpr std::size_t kAttempts = 10;
constexpr int kRounds = 3;

}  // namespace

FormatSearch::FormatSearch(const NetworkRounder& rounder, const quant::QuantOptions& options,
                           bool fixed, const Judge& coarse, const Judge& fine, std::uint64_t steps,
                           SearchContext context)
    : rounder_(rounder),
      options_(options),
      fixed_(fixed),
      coarse_(coarse),
      fine_(fine),
      steps_(steps),
      context_(std::move(context)) {
  use_choices(kFirstBits);
}

void FormatSearch::use_choices(int bits) {
  sites_ = site_choices(options_, fixed_, rounder_.network().state().gated(), bits);
  errors_.clear();
  for (const SiteChoices& site : sites_) errors_.emplace_back(site.choices.size());
  sensitivities_.clear();
  costs_.clear();
  fine_verdicts_.clear();
}

quant::QuantOptions FormatSearch::format_of(const Config& config) const {
  quant::QuantOptions format = resolved_without_noise(options_);
  for (std::size_t i = 0; i < config.size(); ++i) sites_[i].choices[config[i]].apply(format);
  return format;
}

FormatCost FormatSearch::cost_of(const Config& config) {
  const auto found = costs_.find(config);
  if (found != costs_.end()) return found->second;
  check_with(context_.check);
  const cost::Deployment deployment = cost::deployment(rounder_.in_format(format_of(config)));
  const FormatCost cost{cost::count_memory(deployment).total(),
                        cost::count_operations(deployment, steps_).bit_operations(steps_)};
  costs_.emplace(config, cost);
  return cost;
}

double FormatSearch::predicted_error(const Config& config) const {
  double error = 0;
  for (std::size_t i = 0; i < config.size(); ++i) error += errors_[i][config[i]].error;
  return error;
}

Verdict FormatSearch::verdict_of(const Config& config, const Judge& judge) {
  check_with(context_.check);
  ++evaluations_;
  Verdict verdict = judge.judge(rounder_.round(format_of(config)));
  if (!verdict.not_integer.empty()) not_integer_ = verdict.not_integer;
  return verdict;
}

const Verdict& FormatSearch::fine_verdict_of(const Config& config) {
  const auto found = fine_verdicts_.find(config);
  if (found != fine_verdicts_.end()) return found->second;
  return fine_verdicts_.emplace(config, verdict_of(config, fine_)).first->second;
}

bool FormatSearch::is_integer(const Config& config) {
  for (std::size_t i = 0; i < config.size(); ++i) {
    if (!errors_[i][config[i]].known) return false;
  }
  return fine_verdict_of(config).not_integer.empty();
}

bool FormatSearch::meets(const Config& config, double points) {
  const bool is_new = !fine_verdicts_.contains(config);
  const Verdict& verdict = fine_verdict_of(config);
  if (is_new && context_.say) {
    context_.say("a format of " + std::to_string(cost_of(config).bytes) + " bytes " +
                 (verdict.not_integer.empty() ? "loses " + fixed_text(verdict.loss, 2) + " +- " +
                                                    fixed_text(verdict.deviation, 2) + " points"
                                              : "cannot be converted to integers"));
  }
  return verdict.meets(points);
}

void FormatSearch::refuse_loss(double points, const Verdict& best) const {
  if (!best.not_integer.empty()) {
    throw Error(best.not_integer + ", in the most precise formats of the search");
  }
  // Rounded up, so that it is enough.
  const double enough = std::ceil(100 * best.certain_loss()) / 100;
  fail("options", "ptq.loss = " + exact_text(points) + ", but the most precise formats lose " +
                      fixed_text(best.loss, 2) + " +- " + fixed_text(best.deviation, 2) +
                      " points on the " + std::to_string(fine_.sequences()) +
                      " held-out sequences; expected at least " + fixed_text(enough, 2) +
                      ", their loss plus one standard error");
}

FormatSearch::Config FormatSearch::smallest() {
  // Sites add up, except for tables between two of them, of which fewer bits are never dearer.
  Config config(sites_.size(), 0);
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    Config cheapest = config;
    for (std::size_t j = 1; j < sites_[i].choices.size(); ++j) {
      Config other = config;
      other[i] = j;
      if (cost_of(other).bytes < cost_of(cheapest).bytes) cheapest = other;
    }
    config = cheapest;
  }
  return config;
}

std::size_t FormatSearch::least_bytes() { return cost_of(smallest()).bytes; }

void FormatSearch::require_possible(const SearchOptions& options) {
  if (options.bytes == 0) return;
  const std::size_t least = least_bytes();
  if (static_cast<std::size_t>(options.bytes) >= least) return;
  fail("options", "ptq.bytes = " + std::to_string(options.bytes) + ", expected at least " +
                      std::to_string(least) +
                      ", the smallest size of this network in any format of the search");
}

void FormatSearch::measure(const SearchOptions& options) {
  Config start(sites_.size(), 0);
  if (options.bytes == 0) {
    // Formats of more bits are tried only where those of 8 are not enough.
    std::optional<Verdict> best;
    int bits = kFirstBits;
    while (!meets(start, options.loss)) {
      const Verdict& verdict = fine_verdict_of(start);
      if (!best || verdict.certain_loss() < best->certain_loss()) best = verdict;
      bits += 2;
      if (bits > kMostBits) refuse_loss(options.loss, *best);
      use_choices(bits);
      start.assign(sites_.size(), 0);
    }
  }
  const Verdict base = verdict_of(start, coarse_);
  if (!base.not_integer.empty()) {
    throw Error(base.not_integer + ", in the format from which the search starts");
  }
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const std::vector<Choice>& choices = sites_[i].choices;
    errors_[i][0] = {true, 0};
    sensitivities_.push_back({sites_[i].site, choices[0].text, 0, base.loss, cost_of(start)});
    if (choices.size() > 1 && context_.say) {
      context_.say("measuring " + std::to_string(choices.size()) + " choices of " + sites_[i].site);
    }
    std::size_t hopeless = std::numeric_limits<std::size_t>::max();  // a ladder
    double before = 0;                                               // on the same ladder
    for (std::size_t j = 1; j < choices.size(); ++j) {
      if (choices[j].ladder == hopeless) continue;
      Config config = start;
      config[i] = j;
      const Verdict verdict = verdict_of(config, coarse_);
      if (!verdict.not_integer.empty()) continue;
      double error = std::max(0.0, verdict.error - base.error);
      // Less along a ladder is chance.
      if (choices[j].ladder == choices[j - 1].ladder) error = std::max(error, before);
      before = error;
      errors_[i][j] = {true, error};
      sensitivities_.push_back(
          {sites_[i].site, choices[j].text, error, verdict.loss, cost_of(config)});
      if (options.bytes == 0 && error > kHopelessError) hopeless = choices[j].ladder;
    }
  }
}

template <class Cost>
std::vector<FormatSearch::Config> FormatSearch::descend(Config start, const Cost& cost) {
  std::vector<Config> way = {start};
  for (;;) {
    const Config& now = way.back();
    const double cost_now = cost(now), bytes_now = static_cast<double>(cost_of(now).bytes);
    double best_ratio = std::numeric_limits<double>::infinity(), best_saving = 0;
    Config best;
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      for (std::size_t j = 0; j < sites_[i].choices.size(); ++j) {
        if (j == now[i] || !errors_[i][j].known) continue;
        Config other = now;
        other[i] = j;
        const double saving = cost_now - cost(other);
        if (!(saving > 0) || static_cast<double>(cost_of(other).bytes) > bytes_now) continue;
        const double ratio = std::max(0.0, errors_[i][j].error - errors_[i][now[i]].error) / saving;
        if (ratio > best_ratio || (ratio == best_ratio && saving <= best_saving)) continue;
        best_ratio = ratio;
        best_saving = saving;
        best = other;
      }
    }
    if (best.empty()) return way;
    way.push_back(best);
  }
}

FormatSearch::Config FormatSearch::last_that_meets(const std::vector<Config>& way, double points) {
  std::size_t good = 0, bad = way.size();
  // Long ways end far beyond what can be met: the steps grow from the start.
  for (std::size_t step = 1; good + 1 < bad;) {
    const std::size_t next =
        bad == way.size() ? std::min(good + step, way.size() - 1) : good + (bad - good) / 2;
    if (meets(way[next], points)) {
      good = next;
      step *= 2;
    } else {
      bad = next;
    }
  }
  return way[good];
}

FormatSearch::Config FormatSearch::improve(Config best, double points) {
  for (int round = 0; round < kRounds; ++round) {
    const std::size_t bytes = cost_of(best).bytes;
    // One site cheaper, with or without another dearer.
    std::vector<std::pair<double, Config>> candidates;
    const auto consider = [&](const Config& config) {
      candidates.emplace_back(predicted_error(config), config);
    };
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      for (std::size_t j = 0; j < sites_[i].choices.size(); ++j) {
        if (j == best[i] || !errors_[i][j].known) continue;
        Config one = best;
        one[i] = j;
        consider(one);
        for (std::size_t k = 0; k < i; ++k) {
          for (std::size_t m = 0; m < sites_[k].choices.size(); ++m) {
            if (m == best[k] || !errors_[k][m].known) continue;
            const double up = errors_[k][best[k]].error - errors_[k][m].error;
            const double down = errors_[i][j].error - errors_[i][best[i]].error;
            if (up * down <= 0) continue;
            Config two = one;
            two[k] = m;
            consider(two);
          }
        }
      }
    }
    std::sort(candidates.begin(), candidates.end());
    std::size_t tried = 0;
    bool better = false;
    for (const auto& [error, config] : candidates) {
      if (cost_of(config).bytes >= bytes || fine_verdicts_.contains(config)) continue;
      if (++tried > kAttempts) break;
      if (!meets(config, points)) continue;
      best = config;
      better = true;
      break;
    }
    if (!better) break;
  }
  return best;
}

FormatSearch::Config FormatSearch::fill(Config config, std::size_t bytes) {
  for (;;) {
    const double error = predicted_error(config);
    double least = error;
    Config best;
    const auto consider = [&](const Config& other) {
      const double found = predicted_error(other);
      if (found >= least * (1 - 1e-9) || cost_of(other).bytes > bytes) return;
      const auto measured = fine_verdicts_.find(other);
      if (measured != fine_verdicts_.end() && !measured->second.not_integer.empty()) return;
      least = found;
      best = other;
    };
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      for (std::size_t j = 0; j < sites_[i].choices.size(); ++j) {
        if (j == config[i] || !errors_[i][j].known) continue;
        Config one = config;
        one[i] = j;
        consider(one);
        const double gain = errors_[i][config[i]].error - errors_[i][j].error;
        if (gain <= 0) continue;
        for (std::size_t k = 0; k < sites_.size(); ++k) {
          for (std::size_t m = 0; m < sites_[k].choices.size() && k != i; ++m) {
            if (m == config[k] || !errors_[k][m].known) continue;
            if (errors_[k][m].error - errors_[k][config[k]].error >= gain) continue;
            Config two = one;
            two[k] = m;
            consider(two);
          }
        }
      }
    }
    if (best.empty()) return config;
    config = best;
  }
}

std::vector<FormatSearch::Config> FormatSearch::descend_by_bytes() {
  return descend(Config(sites_.size(), 0),
                 [&](const Config& c) { return static_cast<double>(cost_of(c).bytes); });
}

std::optional<FormatSearch::Config> FormatSearch::best_within(const std::vector<Config>& way,
                                                              std::size_t bytes) {
  const auto first = std::find_if(way.begin(), way.end(),
                                  [&](const Config& c) { return cost_of(c).bytes <= bytes; });
  std::vector<Config> starts(first, way.end());
  // The way is greedy and may end above the smallest size.
  if (starts.empty()) starts.push_back(smallest());
  for (const Config& start : starts) {
    // Each attempt avoids the formats that the ones before have found not to be integer.
    for (std::size_t attempt = 0; attempt < kAttempts; ++attempt) {
      Config found = fill(start, bytes);
      if (is_integer(found)) return found;
      if (!fine_verdicts_.contains(found))
        break;  // nothing was measured: the next would be the same
    }
  }
  return std::nullopt;
}

std::vector<FoundFormat> FormatSearch::front(int formats) {
  const std::vector<Config> way = descend_by_bytes();
  const auto most = static_cast<double>(cost_of(way.front()).bytes);
  const auto least = static_cast<double>(cost_of(way.back()).bytes);
  std::vector<FoundFormat> found;
  std::size_t before = 0;
  for (int i = 0; i < formats; ++i) {
    const double share = formats == 1 ? 0 : static_cast<double>(i) / (formats - 1);
    const auto bytes = static_cast<std::size_t>(std::lround(most * std::pow(least / most, share)));
    const std::optional<Config> config = best_within(way, bytes);
    if (!config || cost_of(*config).bytes == before) continue;
    before = cost_of(*config).bytes;
    found.push_back(describe(*config));
  }
  return found;
}

FoundFormat FormatSearch::find(const SearchOptions& options) {
  const auto operations_of = [&](const Config& c) {
    return static_cast<double>(cost_of(c).bit_operations);
  };
  const std::vector<Config> way = descend_by_bytes();
  if (options.bytes > 0) {
    require_possible(options);
    const std::optional<Config> best = best_within(way, static_cast<std::size_t>(options.bytes));
    if (!best) {
      throw Error(not_integer_ +
                  "; no format was found within ptq.bytes = " + std::to_string(options.bytes) +
                  " that can be converted to integers, expected more bytes");
    }
    return describe(*best);
  }
  Config best = improve(last_that_meets(way, options.loss), options.loss);
  best = last_that_meets(descend(best, operations_of), options.loss);
  return describe(best);
}

FoundFormat FormatSearch::describe(const Config& config) {
  const quant::QuantOptions format = format_of(config);
  const Verdict verdict = fine_verdict_of(config);
  FoundFormat found{.format = format,
                    .network = rounder_.round(format),
                    .cost = cost_of(config),
                    .verdict = verdict,
                    .sites = {},
                    .evaluations = evaluations_};
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const std::vector<Choice>& choices = sites_[i].choices;
    ChosenSite site{.site = sites_[i].site,
                    .choice = choices[config[i]].text,
                    .error = errors_[i][config[i]].error,
                    .next = "",
                    .error_of_next = std::numeric_limits<double>::infinity(),
                    .bytes_of_next = 0};
    // One that saves bytes or, where none does, one that saves operations.
    for (const bool of_bytes : {true, false}) {
      if (!site.next.empty()) break;
      for (std::size_t j = 0; j < choices.size(); ++j) {
        Config other = config;
        other[i] = j;
        const FormatCost cost = cost_of(other);
        const bool cheaper = of_bytes ? cost.bytes < found.cost.bytes
                                      : cost.bytes == found.cost.bytes &&
                                            cost.bit_operations < found.cost.bit_operations;
        if (!errors_[i][j].known || !cheaper || errors_[i][j].error >= site.error_of_next) continue;
        site.next = choices[j].text;
        site.error_of_next = errors_[i][j].error;
        site.bytes_of_next = found.cost.bytes - cost.bytes;
      }
    }
    if (site.next.empty()) site.error_of_next = 0;
    found.sites.push_back(std::move(site));
  }
  return found;
}

}  // namespace crosstate::ptq
