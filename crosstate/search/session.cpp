#include "crosstate/search/session.h"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "crosstate/base/json.h"

namespace crosstate::search {
namespace {

using nlohmann::json;

// Individuals that have not been measured yet.
class MeasureTasks : public TaskList {
 public:
  MeasureTasks(const std::string& kind, const std::string& scope, std::vector<std::string> texts,
               Store& store)
      : kind_(kind), scope_(scope), texts_(std::move(texts)), store_(store), open_(texts_.size()) {
    for (std::size_t i = texts_.size(); i-- > 0;) free_.push_back(static_cast<int>(i));
  }

  std::optional<int> next() override {
    if (free_.empty()) return std::nullopt;
    const int task = free_.back();
    free_.pop_back();
    return task;
  }
  json describe(int task) const override { return {{kind_, text(task)}}; }
  void finish(int task, const json& result) override {
    store_.record_proxy(scope_, text(task), exact_json_text(result));
    --open_;
  }
  void give_back(int task) override { free_.push_back(task); }
  void lose(int task) override { give_back(task); }
  bool done() const override { return open_ == 0; }

 private:
  const std::string& text(int task) const { return texts_[static_cast<std::size_t>(task)]; }

  const std::string &kind_, &scope_;
  std::vector<std::string> texts_;
  Store& store_;
  std::vector<int> free_;
  std::size_t open_;
};

}  // namespace

void fields(FieldList& list, EvolutionOptions& options) {
  list.add("population", options.population,
           "Candidates per generation; default with --target: 24.")
      .range(4, 10000);
  list.add("generations", options.generations,
           "Generations of NSGA-II; more approach the Pareto front more closely; default with "
           "--target: 10.")
      .range(0, 100000);
  list.add("sequences", options.sequences,
           "Number of held-out sequences on which a candidate is evaluated; 0: all; default with "
           "--target: 256.")
      .in("sequences")
      .range(0, 1e9);
  list.add("threads", options.threads, "Threads of each task.").range(1, 1024);
  list.add("patience", options.patience,
           "Time without a heartbeat after which another rank counts as dead.")
      .in("s")
      .range(2, 3600);
}

SessionEnd run_session(Team& team, const SessionPlace& place, const SearchContext& context,
                       const std::function<bool(Store&)>& lead) {
  SessionEnd end;
  end.leads = team.leads();
  if (!team.leads()) {
    end.interrupted = !team.follow(context.stop);
    end.lost_a_rank = team.lost_a_rank();
    return end;
  }
  pipeline::OutputDirectory output(place.directory, place.command, context.earlier);
  if (context.opened) context.opened(output);
  output.begin(place.inputs);
  Store store(place.directory);
  end.interrupted = !lead(store);
  team.dismiss();
  end.lost_a_rank = team.lost_a_rank();
  return end;
}

Measurements::Measurements(std::string kind, std::string scope, Team& team, Store& store,
                           const Stop& stop)
    : kind_(std::move(kind)), scope_(std::move(scope)), team_(team), store_(store), stop_(stop) {}

std::vector<std::string> Measurements::unknown(const std::vector<std::string>& texts) const {
  std::set<std::string> seen;
  std::vector<std::string> unknown;
  for (const std::string& text : texts) {
    if (seen.insert(text).second && !store_.proxy(scope_, text)) unknown.push_back(text);
  }
  return unknown;
}

bool Measurements::measure(const std::vector<std::string>& texts) const {
  MeasureTasks tasks(kind_, scope_, unknown(texts), store_);
  return team_.run(tasks, stop_);
}

std::size_t Measurements::missing(const std::vector<std::string>& texts) const {
  return unknown(texts).size();
}

json Measurements::of(const std::string& text) const {
  const std::string stored = store_.proxy(scope_, text).value();
  json result = try_parse_json(stored);
  if (result.is_discarded()) refuse(text, "expected JSON, found \"" + excerpt(stored) + '"');
  return result;
}

void Measurements::refuse(const std::string& text, const std::string& why) const {
  fail(store_.place_of_proxy(scope_, text), why);
}

std::vector<Individual> evolved(const std::vector<int>& choices, const EvolutionOptions& options,
                                std::uint64_t seed, const std::vector<Genes>& first,
                                const std::function<void(const std::string&)>& say,
                                const Evaluate& judge) {
  int generation = 0;
  const auto evaluate = [&](std::vector<Individual>& all) {
    if (say) {
      say("generation " + std::to_string(generation++) + " of " +
          std::to_string(options.generations));
    }
    return judge(all);
  };
  const Nsga2Options evolution{
      .population = options.population, .generations = options.generations, .seed = seed};
  return nsga2(choices, evolution, first, evaluate);
}

}  // namespace crosstate::search
