#include "crosstate/search/search.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/base/threads.h"
#include "crosstate/cost/memory.h"
#include "crosstate/data/batch.h"
#include "crosstate/model/network.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/search/search_report.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Trainings are described by their genes, since other ranks do not have the plan, which grows.
class SearchTasks : public SweepTasks {
 public:
  SearchTasks(const SweepPlan& plan, const GenomeSpace& space, Store& store, const fs::path& where,
              std::function<void(const SweepProgress&)> report)
      : SweepTasks(plan, store, where, std::move(report)), plan_(plan), space_(space) {}

  json describe(int task) const override {
    json what = SweepTasks::describe(task);
    if (!what.contains("point")) return what;
    const SweepPoint& point = plan_.points[what.at("point").get<std::size_t>()];
    return {{"train", plan_.values_of(point, genome_keys(space_))}};
  }

 private:
  const SweepPlan& plan_;
  const GenomeSpace& space_;
};

// The part of the search that every rank derives from the options alone.
struct Problem {
  pipeline::RunOptions run;
  SearchOptions options;
  GenomeSpace space;
  fs::path directory;
  SweepPlan plan;  // only the references, one of each size
};

void add_genes(SweepPlan& plan, const Problem& problem, const Genes& genes) {
  add_point(plan, with_genes(problem.run, problem.space, genes), genome_keys(problem.space),
            "search");
}

Problem problem_of(const pipeline::RunOptions& run, const SearchOptions& options,
                   const fs::path& directory) {
  validate(options);
  const GenomeSpace space = genome_space(run.model, options.bits, options.states, options.channels);
  Problem problem{run, options, space, directory, {}};
  if (!run.quantize || !run.qat.stages.empty()) {
    fail("options", "search needs run.quantize = true and no qat.stages");
  }
  if (run.train.validation == 0 && run.data.validation_speaker.empty()) {
    fail("options", "search compares candidates on held-out data, expected train.validation > 0");
  }
  problem.plan.settings.objectives = options.objectives;
  problem.plan.settings.threads = options.threads;
  problem.plan.settings.name = "Search for mixed precision and size";
  problem.plan.varied = genome_keys(problem.space);
  for (const Genes& size : space.sizes(space.bits.back())) add_genes(problem.plan, problem, size);
  return problem;
}

void require_budget(const SearchOptions& options, double least) {
  if (options.bytes == 0 || options.bytes >= least) return;
  fail("options", "search.bytes = " + std::to_string(options.bytes) + ", expected at least " +
                      std::to_string(std::llround(least)) +
                      ", the smallest size, with the fewest of search.bits at every site");
}

// Refuses a budget that no candidate keeps within, before any training, if the size follows from
// the shape of the network: pruned ones depend on what is pruned, residues by pole on the poles.
void require_possible(const Problem& problem) {
  const GenomeSpace& space = problem.space;
  const pipeline::RunOptions smallest =
      with_genes(problem.run, space, space.uniform(space.bits.front()));
  const quant::StateSite& state = smallest.quant.state;
  const bool by_pole = state.residue_bits > 0 && state.residue == quant::ResidueRule::kByPole;
  if (problem.options.bytes == 0 || space.prunes() || by_pole) return;
  ThreadPool pool(problem.options.threads);
  pipeline::RunOptions unchanged = smallest;
  unchanged.augment = {};
  const pipeline::RunData data = pipeline::load_run_data(unchanged, pool);
  model::Network network(
      smallest.model,
      {static_cast<int>(data.training.channels), static_cast<int>(data.training.readout.outputs())},
      smallest.seed);
  network.fold_norms();
  const std::vector<data::Batch> one =
      pipeline::calibration_batches(data::first(data.training, 1), smallest);
  network.quantize(smallest.quant, one, pool);
  require_budget(problem.options, static_cast<double>(cost::count_memory(network).total()));
}

std::vector<fs::path> reference_files(const Problem& problem) {
  std::vector<fs::path> files;
  for (const SweepPoint& point : problem.plan.points) {
    files.push_back(point_directory(problem.directory, point) / "qat.safetensors");
  }
  return files;
}

// The identity of everything that the proxy's results depend on.
std::string scope_of(const Problem& problem) {
  return problem.plan.digest() + " " + std::to_string(problem.options.sequences);
}

Work search_work(const Problem& problem, const std::function<void(const std::string&)>& note) {
  const auto proxy = std::make_shared<Proxy>(problem.run, reference_files(problem),
                                             static_cast<std::size_t>(problem.options.sequences),
                                             problem.options.threads);
  return [&problem, proxy, note](const json& task, const Stop& stop) -> std::optional<json> {
    const ExecuteContext execute{problem.directory, problem.options.threads, {}, stop, note};
    if (task.contains("proxy")) {
      const Genes genes = genes_from(problem.space, task.at("proxy"));
      const auto measures = proxy->measure(
          problem.space.size_of(genes), with_genes(problem.run, problem.space, genes).quant, stop);
      if (!measures) return std::nullopt;
      return to_json(*measures);
    }
    std::optional<Outcome> outcome;
    if (task.contains("float")) {
      outcome = train_parent(problem.plan.parents.front(), execute);
    } else {
      SweepPlan plan = problem.plan;
      plan.points.clear();
      add_genes(plan, problem, genes_from(problem.space, task.at("train")));
      outcome = run_point(plan, plan.points.front(), execute);
    }
    if (!outcome) return std::nullopt;
    return to_json(*outcome);
  };
}

// The steps of the leading rank; each returns false if stopped.
class Search {
 public:
  Search(const Problem& problem, Team& team, Store& store, SearchContext& context,
         SearchSummary& summary)
      : problem_(problem),
        team_(team),
        store_(store),
        context_(context),
        summary_(summary),
        proxies_("proxy", scope_of(problem), team, store, context.stop) {}

  bool run() {
    return train("training the reference of each size") && require_references() &&
           require_smallest() && analyse() && evolve() &&
           train("quantization-aware training of candidates");
  }

 private:
  void say(const std::string& what) const {
    if (context_.say) context_.say(what);
  }

  bool train(const std::string& what) {
    say(what);
    store_.add(summary_.plan.points);
    SearchTasks tasks(summary_.plan, problem_.space, store_, problem_.directory, context_.report);
    return team_.run(tasks, context_.stop);
  }

  bool require_references() const {
    std::set<std::string> names;
    for (const SweepPoint& point : problem_.plan.points) names.insert(point.name);
    for (const StoredPoint& point : store_.points()) {
      if (!names.contains(point.name) || point.outcome.status == PointStatus::kDone) continue;
      fail("search", "the reference " + excerpt(point.name, 400) + " could not be trained: " +
                         point.outcome.error + "; --resume --retry-failed trains it again");
    }
    return true;
  }

  bool measure(const std::vector<Genes>& all) {
    std::vector<std::string> texts;
    for (const Genes& genes : all) texts.push_back(genes_text(problem_.space, genes));
    return proxies_.measure(texts);
  }

  ProxyMeasures measures_of(const Genes& genes) const {
    return proxies_.of(genes_text(problem_.space, genes), proxy_measures_from);
  }

  // The budget holds the smallest candidate, too, if its size depends on the references.
  bool require_smallest() {
    if (problem_.options.bytes == 0) return true;
    const std::vector<Genes> all = problem_.space.sizes(problem_.space.bits.front());
    if (!measure(all)) return false;
    least_bytes_ = measures_of(all.front()).bytes;
    for (const Genes& genes : all) least_bytes_ = std::min(least_bytes_, measures_of(genes).bytes);
    require_budget(problem_.options, least_bytes_);
    return true;
  }

  // One site at a time, starting from the reference.
  bool analyse() {
    say("sensitivity of every site");
    const GenomeSpace& space = problem_.space;
    const Genes reference = space.uniform(space.bits.back());
    std::vector<Genes> all = {reference};
    std::vector<std::pair<std::size_t, int>> changed;
    for (std::size_t site = 0; site < space.sites.size(); ++site) {
      for (int gene = 0; gene + 1 < static_cast<int>(space.bits.size()); ++gene) {
        Genes& genes = all.emplace_back(reference);
        genes[site] = gene;
        changed.emplace_back(site, gene);
      }
    }
    if (!measure(all)) return false;
    summary_.reference = measures_of(reference);
    for (std::size_t i = 0; i < changed.size(); ++i) {
      const Genes& genes = all[i + 1];
      const std::size_t site = changed[i].first;
      summary_.sensitivity.push_back(
          {space.sites[site], space.bits_of(genes, site), measures_of(genes)});
    }
    return true;
  }

  bool evolve() {
    const GenomeSpace& space = problem_.space;
    std::vector<Genes> first;
    for (auto bits = space.bits.rbegin(); bits != space.bits.rend(); ++bits) {
      for (Genes& genes : space.sizes(*bits)) first.push_back(std::move(genes));
    }
    const auto judge = [&](std::vector<Individual>& all) {
      std::vector<Genes> genes;
      for (const Individual& one : all) genes.push_back(one.genes);
      if (!measure(genes)) return false;
      for (Individual& one : all) {
        const ProxyMeasures measured = measures_of(one.genes);
        one.costs = {measured.loss, measured.bytes};
        const double budget = problem_.options.bytes;
        one.violation = budget > 0 ? std::max(0.0, measured.bytes - budget) : 0;
      }
      return true;
    };
    std::vector<Individual> last =
        evolved(space.choices(), problem_.options, problem_.run.seed, first, context_.say, judge);
    if (last.empty()) return false;
    std::erase_if(last, [](const Individual& one) { return one.rank > 0 || one.violation > 0; });
    if (last.empty()) {
      fail("search",
           "no candidate within search.bytes = " + std::to_string(problem_.options.bytes) +
               " was found; the smallest has " + std::to_string(std::llround(least_bytes_)) +
               " bytes, expected a larger search.population or more search.bytes");
    }
    std::sort(last.begin(), last.end(), [](const Individual& a, const Individual& b) {
      return std::pair(a.costs[1], a.genes) < std::pair(b.costs[1], b.genes);
    });
    summary_.front = std::move(last);
    choose();
    return true;
  }

  // From the smallest to the best, in even steps along the front.
  void choose() {
    const std::size_t count = summary_.front.size();
    const auto wanted = std::min(count, static_cast<std::size_t>(problem_.options.candidates));
    for (std::size_t i = 0; i < wanted; ++i) {
      const std::size_t at = wanted == 1 ? count - 1 : i * (count - 1) / (wanted - 1);
      add_genes(summary_.plan, problem_, summary_.front[at].genes);
    }
  }

  const Problem& problem_;
  Team& team_;
  Store& store_;
  SearchContext& context_;
  SearchSummary& summary_;
  double least_bytes_ = 0;  // of any candidate, if there is a budget
  const Measurements proxies_;
};

}  // namespace

void fields(FieldList& list, SearchOptions& options) {
  list.section("search");
  list.add("bytes", options.bytes, "Memory budget of a network; 0: no limit.")
      .in("bytes")
      .range(0, 1e9);
  list.add("bits", options.bits,
           "Bit widths to choose from at every site, separated by spaces; 2 is ternary for "
           "weights. The largest is that of the reference.");
  list.add("states", options.states,
           "Shares of the states to prune before quantization, separated by spaces, such as \"0 "
           "0.5\"; a network of each size is trained as a reference.");
  list.add("channels", options.channels, "Shares of the channels to prune, likewise.");
  fields(list, static_cast<EvolutionOptions&>(options));
  list.add("candidates", options.candidates,
           "Number of candidates on the proxy's front that are trained with quantization.")
      .range(1, 1000);
  list.add("objectives", options.objectives,
           "Objectives of the final front, as in sweep.objectives.");
}

void validate(const SearchOptions& options) {
  SearchOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  parse_objectives(options.objectives, "search.objectives");
  genome_space({}, options.bits, options.states, options.channels);
}

SearchSummary run_search(const pipeline::RunOptions& run, const SearchOptions& options,
                         SearchContext context) {
  const task::Task& task = task_of(run);
  parse_objectives(objectives_of(options.objectives, task), "search.objectives", "options", &task);
  Problem problem = problem_of(run, options, fs::absolute(context.directory).lexically_normal());
  require_inputs(problem.plan);
  identify(problem.plan);
  require_possible(problem);
  make_writable_directory(problem.directory);
  Team team(search_work(problem, context.note),
            {context.workers, options.patience, scope_of(problem)}, std::move(context.transport));
  SearchSummary summary;
  summary.space = problem.space;
  summary.plan = problem.plan;
  const std::vector<fs::path> inputs = given_files(problem.plan);
  const SessionEnd end =
      run_session(team, {problem.directory, "search", inputs}, context, [&](Store& store) {
        if (context.retry_failed) store.forget_failures();
        const bool complete = Search(problem, team, store, context, summary).run();
        summary.results = collect(summary.plan, store);
        return complete;
      });
  static_cast<SessionEnd&>(summary) = end;
  if (summary.leads && !summary.interrupted) write_search_results(summary, problem.directory);
  return summary;
}

}  // namespace crosstate::search
