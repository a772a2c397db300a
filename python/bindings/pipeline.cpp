// crosstate/pipeline: training, quantization and pruning, as the command line runs them.
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/prune_run.h"
#include "crosstate/pipeline/quantize_run.h"
#include "crosstate/pipeline/run_report.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

// Where a run works, and whom it tells about it.
struct Place {
  std::string directory;
  std::string earlier;  // refuse | continue | replace
  int threads = 0;
  nb::object hooks;  // methods progress, stage, note, best
};

// The directory, threads and callbacks of one run; created without the GIL.
class Session {
 public:
  Session(const std::string& command, const Place& place)
      : output_(place.directory, command, earlier_of(place.earlier)), pool_(place.threads) {
    const nb::object& hooks = place.hooks;
    context.directory = output_.path();
    context.output = &output_;
    context.resume = place.earlier == "continue";
    context.pool = &pool_;
    context.stop = [this] { return call.stop(); };
    context.progress = [this, &hooks](const train::TrainProgress& p) {
      call.python([&] {
        const nlohmann::json log = p.epoch_end ? nlohmann::json(p.log) : nlohmann::json();
        const nb::object wants_stop = hooks.attr("progress")(
            p.stage, p.epoch, p.epochs, p.done, p.samples, p.loss, p.batch_loss, p.metric,
            p.kind.name, p.samples_per_second, p.seconds_left, p.epoch_end, p.last, json_text(log));
        if (nb::cast<bool>(wants_stop)) call.request();
      });
    };
    context.stage = [this, &hooks](const std::string& what) {
      call.python([&] { hooks.attr("stage")(what); });
    };
    context.note = [this, &hooks](const std::string& note) {
      call.python([&] { hooks.attr("note")(note); });
    };
    context.best_so_far = [this, &hooks](const inference::Model& model) {
      call.python([&] { hooks.attr("best")(inference::Model(model)); });
    };
  }

  std::filesystem::path file(const std::string& name) const { return output_.path() / name; }

  Call call;
  pipeline::RunContext context;

 private:
  pipeline::OutputDirectory output_;
  ThreadPool pool_;
};

template <class Work>
std::string run(const std::string& command, const Place& place, const Work& work) {
  nlohmann::json result;
  std::exception_ptr stopped;
  {
    const nb::gil_scoped_release release;
    Session session(command, place);
    result = work(session);
    stopped = session.call.failure();
  }
  if (stopped) std::rethrow_exception(stopped);
  return json_text(result);
}

// `given`: settings of a model, which may include some without effect.
std::string train(const Settings& given, const Settings& settings, const std::string& config,
                  const std::string& target, const Memory* memory, const Place& place) {
  Settings all = given;
  all.insert(all.end(), settings.begin(), settings.end());
  pipeline::RunOptions options =
      run_options(all, pipeline::run_settings(), "crosstate.train", target, config);
  use(memory, options.data);
  return run("train", place, [&](Session& session) {
    refuse_idle(settings, [&](const std::string& key) {
      return pipeline::idle_reason_in_run(key, options,
                                          [&] { return pipeline::kind_of(options.data); });
    });
    const pipeline::RunSummary summary = pipeline::run(options, session.context);
    if (!summary.interrupted) {
      write_file(session.file("report.html"), report::to_html(pipeline::run_report(summary)));
    }
    nlohmann::json result = pipeline::to_json(summary);
    result["interrupted"] = summary.interrupted;
    return result;
  });
}

std::string quantize(const std::string& file, const Settings& settings, const Memory* memory,
                     bool search, bool preset_named, const Place& place) {
  pipeline::RunOptions options =
      run_options(settings, pipeline::quantize_settings(), "crosstate.Model.quantize");
  use(memory, options.data);
  return run("quantize", place, [&](Session& session) {
    refuse_idle(settings, [&](const std::string& key) {
      return pipeline::idle_reason(key, pipeline::idle_in_quantize(options, search, preset_named));
    });
    const pipeline::QuantizeSummary summary =
        pipeline::quantize_model(file, options, {search, preset_named}, session.context);
    nlohmann::json result = pipeline::to_json(summary);
    result["interrupted"] = summary.interrupted;
    return result;
  });
}

// `given`: settings of the data, which may include some without effect.
std::string prune(const std::string& file, const Settings& given, const Settings& settings,
                  const Memory* memory, const Place& place) {
  Settings all = given;
  all.insert(all.end(), settings.begin(), settings.end());
  pipeline::RunOptions options =
      run_options(all, pipeline::prune_settings(), "crosstate.Model.prune");
  use(memory, options.data);
  return run("prune", place, [&](Session& session) {
    const std::vector<pipeline::NetworkKind> networks = pipeline::networks_to_prune(file, options);
    refuse_idle(settings, [&](const std::string& key) {
      return pipeline::idle_reason_in_prune(key, options, networks);
    });
    const pipeline::PruneSummary summary = pipeline::prune_model(file, options, session.context);
    nlohmann::json result = pipeline::to_json(summary);
    result["interrupted"] = summary.interrupted;
    return result;
  });
}

}  // namespace

void bind_pipeline(nb::module_& m) {
  nb::class_<Place>(m, "Place")
      .def(nb::init<std::string, std::string, int, nb::object>(), "directory"_a, "earlier"_a,
           "threads"_a, "hooks"_a);
  m.def("train", &train, "given"_a, "settings"_a, "config"_a, "target"_a, "memory"_a.none(),
        "place"_a);
  m.def("quantize", &quantize, "file"_a, "settings"_a, "memory"_a.none(), "search"_a,
        "preset_named"_a, "place"_a);
  m.def("prune", &prune, "file"_a, "given"_a, "settings"_a, "memory"_a.none(), "place"_a);
}

}  // namespace crosstate::python
