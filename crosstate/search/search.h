// Mixed precision and pruning under a budget: sensitivity of every site, then a multi-objective
// search over the bits of all sites and the size with a cheap proxy, then quantization-aware
// training of the best candidates.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/search/genome.h"
#include "crosstate/search/proxy.h"
#include "crosstate/search/sweep.h"

namespace crosstate::search {

struct SearchOptions {
  int bytes = 0;                             // in total; 0: no budget
  std::string bits = "2 3 4 6 8";            // alternatives for every site
  std::string states = "0", channels = "0";  // shares to prune, alternatives
  int population = 40, generations = 25;
  int candidates = 6;   // number of candidates to train
  int sequences = 500;  // held-out sequences for the proxy; 0: all
  std::string objectives = kObjectives;
  int threads = 1;
  double patience = 15;  // seconds; as in SweepSettings
};
void fields(FieldList& list, SearchOptions& options);
void validate(const SearchOptions& options);

struct SensitivityPoint {
  std::string site;
  int bits = 0;
  ProxyMeasures measures;
};

struct SearchSummary {
  bool leads = true, interrupted = false, lost_a_rank = false;
  ProxyMeasures reference;  // every site at the most bits, nothing pruned
  std::vector<SensitivityPoint> sensitivity;
  std::vector<Individual> front;  // of the proxy, sorted by bytes; costs are loss and bytes
  GenomeSpace space;
  SweepPlan plan;  // trained points: first the references by size, then candidates
  SweepResults results;
};

struct SearchContext {
  std::filesystem::path directory;
  pipeline::Earlier earlier = pipeline::Earlier::kRefuse;  // handling of existing results
  bool retry_failed = false;  // repeat trainings that failed in an earlier session
  int workers = 1;
  std::unique_ptr<Transport> transport;
  std::function<void(const std::string&)> say;       // called at each step; may be empty
  std::function<void(const SweepProgress&)> report;  // called on rank 0; may be empty
  std::function<void(const pipeline::OutputDirectory&)> opened;  // as in SweepContext
  std::function<bool()> stop;
  std::function<void(const std::string&)> note = {};  // as in SweepContext
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
