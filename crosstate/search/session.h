// What all searches share: NSGA-II over individuals that a team measures, measurements that are
// stored and never repeated, and the part of one process from its start to its end.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/search/nsga2.h"
#include "crosstate/search/sweep.h"

namespace crosstate::search {

struct EvolutionOptions {
  int population = 40, generations = 25;
  int sequences = 500;  // held-out sequences on which a candidate is evaluated; 0: all
  int threads = 1;
  double patience = 15;  // seconds; as in SweepSettings
};
/// Adds them to the section that the list has.
void fields(FieldList& list, EvolutionOptions& options);

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

/// How the session of a process ended.
struct SessionEnd {
  bool leads = true, interrupted = false, lost_a_rank = false;
};

struct SessionPlace {
  std::filesystem::path directory;
  std::string command;                        // as OutputDirectory knows it
  std::vector<std::filesystem::path> inputs;  // files that are never removed
};

/// On the leading rank: opens the directory and the store, calls `lead`, which returns whether it
/// was not stopped, and releases the other ranks. On these: works until then.
SessionEnd run_session(Team& team, const SessionPlace& place, const SearchContext& context,
                       const std::function<bool(Store&)>& lead);

/// Measurements of one kind, for individuals that are described by texts. A worker receives {kind:
/// text} and returns JSON, which is stored under `scope`: the identity of everything else that
/// determines the result.
class Measurements {
 public:
  Measurements(std::string kind, std::string scope, Team& team, Store& store, const Stop& stop);

  /// Measures those that are not stored yet; false if stopped.
  bool measure(const std::vector<std::string>& texts) const;
  /// The number of different texts among these that are not stored yet.
  std::size_t missing(const std::vector<std::string>& texts) const;
  /// A stored result. Throws Error, naming file, table and row, if it is not JSON.
  nlohmann::json of(const std::string& text) const;
  /// The same as `read` converts it, a function of JSON that throws Error for anything else, which
  /// is then preceded by file, table and row.
  template <class Read>
  auto of(const std::string& text, const Read& read) const {
    const nlohmann::json result = of(text);
    try {
      return read(result);
    } catch (const Error& error) {
      refuse(text, error.what());
    }
  }

 private:
  std::vector<std::string> unknown(const std::vector<std::string>& texts) const;
  [[noreturn]] void refuse(const std::string& text, const std::string& why) const;

  std::string kind_, scope_;
  Team& team_;
  Store& store_;
  Stop stop_;
};

/// nsga2() that says which generation is evaluated.
std::vector<Individual> evolved(const std::vector<int>& choices, const EvolutionOptions& options,
                                std::uint64_t seed, const std::vector<Genes>& first,
                                const std::function<void(const std::string&)>& say,
                                const Evaluate& judge);

}  // namespace crosstate::search
