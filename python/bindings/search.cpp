// crosstate/search: sweeps and searches.
#include "crosstate/search/search.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/inference/model.h"
#include "crosstate/search/design_search.h"
#include "crosstate/search/sweep.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

template <class Context>
void prepare(Context& context, const std::string& directory, const std::string& earlier,
             int workers, bool retry_failed, const nb::object& hooks, Call& call) {
  context.directory = directory;
  context.earlier = earlier_of(earlier);
  context.retry_failed = retry_failed;
  context.workers = workers;
  context.stop = [&call] { return call.stop(); };
  context.note = [&call, &hooks](const std::string& note) {
    call.python([&] { hooks.attr("note")(note); });
  };
  context.report = [&call, &hooks](const search::SweepProgress& progress) {
    call.python([&] {
      hooks.attr("point")(progress.task, progress.finished, progress.points,
                          progress.outcome.error);
    });
  };
}

// Whether all points are finished.
bool sweep(const std::string& file, const Settings& settings, const std::string& directory,
           const std::string& earlier, int workers, bool retry_failed, const nb::object& hooks) {
  Call call;
  bool interrupted = false;
  {
    const nb::gil_scoped_release release;
    search::SweepOverrides overrides;
    overrides.after = [&](FieldList& list) { apply(list, settings, {}, "crosstate.sweep"); };
    for (const auto& [key, value] : settings) overrides.keys.push_back(key);
    const search::SweepPlan plan = search::read_plan(file, overrides);
    refuse_idle(settings,
                [&](const std::string& key) { return search::idle_reason_in_plan(plan, key); });
    call.aside([&] {
      search::SweepContext context;
      prepare(context, directory, earlier, workers, retry_failed, hooks, call);
      interrupted = search::run_sweep(plan, std::move(context)).interrupted;
    });
  }
  call.rethrow();
  return !interrupted;
}

// Settings of the other kind of search, which a file may have.
template <class Options>
FieldList fields_of(Options& options) {
  FieldList list;
  search::fields(list, options);
  return list;
}

bool run_search(const Settings& settings, const std::string& config, const std::string& directory,
                const std::string& earlier, int workers, bool retry_failed,
                const nb::object& hooks) {
  pipeline::RunOptions run;
  search::SearchOptions options;
  FieldList list = run.fields();
  search::fields(list, options);
  std::vector<std::string> used;
  for (const Field& field : list.all()) used.push_back(field.key);
  search::DesignOptions design;
  list.tolerate(fields_of(design));
  list.use_only(used, "crosstate.search without a target");
  if (!config.empty()) list.read_toml(config);
  apply(list, settings, {}, "crosstate.search without a target");
  Call call;
  bool interrupted = false;
  {
    const nb::gil_scoped_release release;
    pipeline::validate(run);
    search::validate(options);
    call.aside([&] {
      search::SearchContext context;
      prepare(context, directory, earlier, workers, retry_failed, hooks, call);
      context.say = [&](const std::string& what) {
        call.python([&] { hooks.attr("stage")(what); });
      };
      interrupted = search::run_search(run, options, std::move(context)).interrupted;
    });
  }
  call.rethrow();
  return !interrupted;
}

// The summary as JSON; "" if interrupted.
std::string search_design(const inference::Model& model, const std::string& target,
                          const Settings& settings, const std::string& config,
                          const std::string& directory, const std::string& earlier, int workers,
                          const nb::object& hooks) {
  pipeline::RunOptions run;
  search::DesignOptions options;
  run.target = crossbar::read_target(target, run.target);
  FieldList list = run.fields();
  search::fields(list, options);
  search::SearchOptions bits;
  list.tolerate(fields_of(bits));
  list.use_only(search::design_settings(), "crosstate.search with a target");
  if (!config.empty()) list.read_toml(config);
  apply(list, settings, {}, "crosstate.search with a target");
  if (options.technology.empty()) options.technology = search::technology_of(target);
  Call call;
  std::string result;
  {
    const nb::gil_scoped_release release;
    pipeline::validate(run);
    search::validate(options, run.target);
    refuse_idle(settings, [&](const std::string& key) {
      return search::idle_reason_in_design(key, model, run, options);
    });
    call.aside([&] {
      search::SearchContext context;
      prepare(context, directory, earlier, workers, /*retry_failed=*/false, hooks, call);
      context.say = [&](const std::string& what) {
        call.python([&] { hooks.attr("stage")(what); });
      };
      const search::DesignSummary summary =
          search::run_design_search(model, run, options, std::move(context));
      if (!summary.interrupted) result = json_text(search::to_json(summary));
    });
  }
  call.rethrow();
  return result;
}

}  // namespace

void bind_search(nb::module_& m) {
  m.def("sweep", &sweep, "file"_a, "settings"_a, "directory"_a, "earlier"_a, "workers"_a,
        "retry_failed"_a, "hooks"_a);
  m.def("search", &run_search, "settings"_a, "config"_a, "directory"_a, "earlier"_a, "workers"_a,
        "retry_failed"_a, "hooks"_a);
  m.def("search_design", &search_design, "model"_a, "target"_a, "settings"_a, "config"_a,
        "directory"_a, "earlier"_a, "workers"_a, "hooks"_a);
}

}  // namespace crosstate::python
