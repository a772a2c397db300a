#include "crosstate/search/execute.h"

#include <algorithm>
#include <new>
#include <numeric>
#include <span>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/identity.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;

// A readable name that is valid on every file system; the hash distinguishes names that are
// truncated.
std::string file_name(const std::string& name) {
  std::string plain;
  for (const char c : name.substr(0, 100)) {
    const bool kept = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ||
                      c == '=' || c == '_';
    plain += kept ? c : '_';
  }
  Fnv1a<std::uint32_t> hash;
  hash.add(name);
  return plain + '-' + hash.text();
}

// Task::sums() of the test set; empty if the network of the last stage is not an integer network;
// nothing if stopped.
std::optional<std::vector<double>> integer_sums(const fs::path& directory,
                                                const pipeline::RunOptions& options,
                                                ThreadPool& pool,
                                                const std::function<bool()>& stop) {
  const std::string file = (directory / "qat.integer.safetensors").string();
  if (!fs::exists(file)) return std::vector<double>();
  const inference::Model model = inference::Model::load(file);
  const data::Dataset test =
      pipeline::load_test_data(options.data, model.preparation(), file, pool);
  const std::optional<inference::Predictions> predictions =
      model.predict(test, inference::ModelBackend::kInteger, pool, stop);
  if (!predictions) return std::nullopt;
  return inference::evaluate(*predictions, test, file).sums;
}

pipeline::RunContext run_context(const std::string& task, const fs::path& directory,
                                 ThreadPool& pool, const ExecuteContext& context) {
  pipeline::RunContext run;
  run.directory = directory;
  run.pool = &pool;
  run.stop = context.stop;
  run.note = context.note;
  if (context.progress) {
    run.progress = [&context, task](const train::TrainProgress& p) { context.progress(task, p); };
  }
  return run;
}

// A run that resumes an interrupted attempt, or starts over where that is impossible.
pipeline::RunSummary run_or_restart(const std::string& task, const pipeline::RunOptions& options,
                                    pipeline::RunContext run_context,
                                    const ExecuteContext& context) {
  const auto attempt = [&](pipeline::Earlier earlier) {
    pipeline::OutputDirectory output(run_context.directory, "train", earlier,
                                     pipeline::Guard::kAlreadyLocked);
    run_context.output = &output;
    run_context.resume = earlier == pipeline::Earlier::kContinue;
    return pipeline::run(options, run_context);
  };
  try {
    return attempt(pipeline::Earlier::kContinue);
  } catch (const CannotContinue& error) {
    if (context.note) context.note(task + " starts over: " + error.what());
  }
  return attempt(pipeline::Earlier::kReplace);
}

template <class F>
std::optional<Outcome> guarded(F body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return failed_outcome("out of memory");
  } catch (const std::exception& error) {
    return failed_outcome(error.what());
  }
}

}  // namespace

fs::path point_directory(const fs::path& sweep, const SweepPoint& point) {
  return sweep / "points" / file_name(point.name);
}

fs::path parent_directory(const fs::path& sweep, const SweepParent& parent) {
  return sweep / "float" / parent.name;
}

bool is_trained(const fs::path& sweep, const SweepParent& parent) {
  std::error_code unreadable;
  return fs::exists(parent_directory(sweep, parent) / "summary.json", unreadable);
}

std::optional<Outcome> train_parent(const SweepParent& parent, const ExecuteContext& context) {
  return guarded([&]() -> std::optional<Outcome> {
    ThreadPool pool(context.threads);
    const fs::path directory = parent_directory(context.directory, parent);
    const std::string task = "float " + parent.name;
    const pipeline::RunSummary summary =
        run_or_restart(task, parent.options, run_context(task, directory, pool, context), context);
    if (summary.interrupted) return std::nullopt;
    return outcome_of(summary, {});
  });
}

std::optional<Outcome> run_point(const SweepPlan& plan, const SweepPoint& point,
                                 const ExecuteContext& context) {
  return guarded([&]() -> std::optional<Outcome> {
    ThreadPool pool(context.threads);
    const fs::path directory = point_directory(context.directory, point);
    pipeline::RunOptions options = point.options;
    if (point.parent >= 0) {
      const SweepParent& parent = plan.parents[static_cast<std::size_t>(point.parent)];
      options.start = (parent_directory(context.directory, parent) / "float.safetensors").string();
    }
    const pipeline::RunSummary summary = run_or_restart(
        point.name, options, run_context(point.name, directory, pool, context), context);
    if (summary.interrupted) return std::nullopt;
    if (summary.test_sequences == 0) return outcome_of(summary, {});
    const std::optional<std::vector<double>> integers =
        integer_sums(directory, point.options, pool, context.stop);
    if (!integers) return std::nullopt;
    return outcome_of(summary, *integers);
  });
}

}  // namespace crosstate::search
