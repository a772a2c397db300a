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

namespace crosstate {
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

// Task::sums() of the test set; empty where the network of the last stage is not an integer
// network; nothing if stopped.
std::optional<std::vector<double>> integer_sums(const fs::path& directory,
                                                const RunOptions& options, ThreadPool& pool,
                                                const std::function<bool()>& stop) {
  const std::string file = (directory / "qat.integer.safetensors").string();
  if (!fs::exists(file)) return std::vector<double>();
  const Model model = Model::load(file);
  const Dataset test = load_test_data(options.data, model.preparation(), file, pool);
  const std::optional<Predictions> predictions =
      model.predict(test, ModelBackend::kInteger, pool, stop);
  if (!predictions) return std::nullopt;
  return evaluate(*predictions, test, file).sums;
}

RunContext run_context(const std::string& task, const fs::path& directory, ThreadPool& pool,
                       const ExecuteContext& context) {
  RunContext run;
  run.directory = directory;
  run.pool = &pool;
  run.stop = context.stop;
  run.note = context.note;
  if (context.progress) {
    run.progress = [&context, task](const TrainProgress& p) { context.progress(task, p); };
  }
  return run;
}

// A run that resumes an interrupted attempt, or starts over where that is impossible.
RunSummary run_or_restart(const std::string& task, const RunOptions& options,
                          RunContext run_context, const ExecuteContext& context) {
  const auto attempt = [&](Earlier earlier) {
    OutputDirectory output(run_context.directory, "train", earlier, Guard::kAlreadyLocked);
    run_context.output = &output;
    run_context.resume = earlier == Earlier::kContinue;
    return run(options, run_context);
  };
  try {
    return attempt(Earlier::kContinue);
  } catch (const CannotContinue& error) {
    if (context.note) context.note(task + " starts anew: " + error.what());
  }
  return attempt(Earlier::kReplace);
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
    const RunSummary summary =
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
    RunOptions options = point.options;
    if (point.parent >= 0) {
      const SweepParent& parent = plan.parents[static_cast<std::size_t>(point.parent)];
      options.start = (parent_directory(context.directory, parent) / "float.safetensors").string();
    }
    const RunSummary summary = run_or_restart(
        point.name, options, run_context(point.name, directory, pool, context), context);
    if (summary.interrupted) return std::nullopt;
    const std::optional<std::vector<double>> integers =
        integer_sums(directory, point.options, pool, context.stop);
    if (!integers) return std::nullopt;
    return outcome_of(summary, *integers);
  });
}

}  // namespace crosstate
