// Mixed precision and pruning under a budget: sensitivity of every site, then a multi-objective
// search over the bits of all sites and the size with a cheap proxy, then quantization-aware
// training of the best candidates.
#pragma once

#include <string>
#include <vector>

#include "crosstate/search/genome.h"
#include "crosstate/search/proxy.h"
#include "crosstate/search/session.h"

namespace crosstate::search {

struct SearchOptions : EvolutionOptions {
  int bytes = 0;                             // in total; 0: no budget
  std::string bits = "2 3 4 6 8";            // alternatives for every site
  std::string states = "0", channels = "0";  // shares to prune, alternatives
  int candidates = 6;                        // number of candidates to train
  std::string objectives = kObjectives;
};
void fields(FieldList& list, SearchOptions& options);
void validate(const SearchOptions& options);

struct SensitivityPoint {
  std::string site;
  int bits = 0;
  ProxyMeasures measures;
};

struct SearchSummary : SessionEnd {
  ProxyMeasures reference;  // every site at the most bits, nothing pruned
  std::vector<SensitivityPoint> sensitivity;
  std::vector<Individual> front;  // of the proxy, sorted by bytes; costs are loss and bytes
  GenomeSpace space;
  SweepPlan plan;  // trained points: first the references by size, then candidates
  SweepResults results;
};

/// The options of the run define network, data and training; its float network is trained once, or
/// taken from run.start. Writes sweep.sqlite, sensitivity.csv, proxy-front.csv, results.csv,
/// front.csv and report.html. All measurements are stored, and Earlier::kContinue repeats none. The
/// same seed gives the same points. Throws Error for options that do not fit, and if the reference
/// cannot be trained.
SearchSummary run_search(const pipeline::RunOptions& run, const SearchOptions& options,
                         SearchContext context);

report::Table sensitivity_table(const SearchSummary& summary);
report::Table candidate_table(const SearchSummary& summary);

}  // namespace crosstate::search
