// The settings of all commands: what a file may hold that serves several of them.
#include "cli/bench.h"
#include "cli/common.h"
#include "cli/cost_model.h"
#include "crosstate/circuit/cell_law.h"
#include "crosstate/device/population.h"
#include "crosstate/search/search.h"

namespace crosstate::cli {
namespace {

struct Everything {
  RunOptions run;
  SweepSettings sweep;
  SearchOptions search;
  PopulationOptions population;
  CostOptions cost;
  PeerOptions peers;
  CellLaw cells;
  BenchOptions bench;
};

}  // namespace

const FieldList& all_settings() {
  static Everything values;
  static const FieldList list = [] {
    FieldList all = values.run.fields();
    fields(all, values.sweep);
    fields(all, values.search);
    fields(all, values.population);
    fields(all, values.cost);
    fields(all, values.peers);
    fields(all, values.cells);
    add_stream_settings(all);
    for (const Bench which : {Bench::kTrain, Bench::kScan, Bench::kInfer, Bench::kArray}) {
      FieldList bench;
      fields(bench, values.bench, which);
      all.tolerate(bench);
    }
    return all;
  }();
  return list;
}

}  // namespace crosstate::cli
