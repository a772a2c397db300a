// What a network predicts for a sequence: targets, loss, interpretation of the outputs, and
// metrics. One implementation per file, listed in task.cpp; docs/tasks.md describes how to add one.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/task/scope.h"
#include "crosstate/task/statistics.h"

namespace crosstate::task {

class Task;
const Task& classification();  // one of several classes
const Task& regression();      // one or several real values

/// Target of a step that is excluded from loss and metrics, because its label is unknown or the
/// sequence has ended.
inline constexpr float kNotCounted = std::numeric_limits<float>::quiet_NaN();
inline bool counts(std::span<const float> target) { return !std::isnan(target[0]); }

/// What the outputs of a network mean. Stored in the model file.
struct Readout {
  const Task* task = &classification();
  std::vector<std::string> names = {};  // one per output: names of classes or of values
  std::vector<double> offset = {},
                      scale = {};  // value = offset + scale * output; empty: the output itself
  Scope scope = Scope::kSequence;

  std::size_t outputs() const { return names.size(); }
  /// Values per target; 0 without outputs and therefore without targets.
  std::size_t width() const;
  bool every_step() const { return scope == Scope::kStep; }
  /// Number of targets (and read-outs) of a sequence of `steps` steps.
  std::size_t targets(std::size_t steps) const { return every_step() ? steps : 1; }
  /// What a target belongs to, as text: "sequence" or "step".
  const char* unit() const { return every_step() ? "step" : "sequence"; }
  bool operator==(const Readout&) const = default;
};

/// Output of an executor for one sequence or, with Scope::kStep, for one step.
struct Output {
  /// From outputs as float; finds the first largest.
  explicit Output(std::span<const float> values);
  /// From outputs rounded to float after the largest was found.
  Output(std::span<const float> outputs, std::size_t first_largest)
      : values(outputs), largest(first_largest) {}

  std::span<const float> values;  // one per output of the network
  std::size_t largest = 0;        // index of the largest value, the first of equal ones
};

/// The targets of a set as read from a file.
struct TargetTable {
  std::vector<std::string> names;  // of the columns; empty: the file has none
  std::size_t width = 1;           // columns
  std::vector<std::string> cells;  // rows * width
  std::vector<std::string> where;  // by row: its place in the file, for errors
};

/// Parameters of the loss of one target.
struct TaskLoss {
  double label_smoothing = 0;            // for categories, 0 to 1
  std::span<const double> weights = {};  // from Task::balanced_weights(); empty: all 1
  std::span<const float> teacher = {};   // outputs of another network; empty: none
  double distillation = 0;               // share of the teacher, 0 to 1
  double temperature = 1;                // of both distributions, above 0
  /// One per output, subtracted from the outputs for the term of the target; empty: none.
  std::span<const double> offsets = {};
};

/// A measure of the quality of a network on a set.
struct TaskMetric {
  std::string name;   // in JSON keys and column names: "accuracy"
  std::string title;  // in text and reports: "accuracy"
  bool higher_is_better = true;
  bool is_share = false;  // written as a percentage

  bool better(double a, double b) const { return higher_is_better ? a > b : a < b; }
  /// "accuracy (%)": heading of a column or axis with values from in_report().
  std::string heading() const { return is_share ? title + " (%)" : title; }
  double in_report(double value) const { return is_share ? 100 * value : value; }
  /// in_report() with a suitable number of decimals; "-" for NaN.
  std::string cell(double value) const;
  /// The same with the unit: "97.31 %".
  std::string text(double value) const;
};

/// A table with details of a result, for reports.
struct TaskTable {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

/// Everything that depends on the kind of targets. `target` is that of one sequence or step;
/// `targets` are those of a set, row by row. All of them count, unless a function says otherwise.
class Task {
 public:
  virtual ~Task() = default;

  /// Name in settings and files: "classification".
  virtual const char* name() const = 0;
  /// Whether outputs are categories, so that label smoothing and class weights apply.
  virtual bool categorical() const = 0;

  // --- targets

  /// Values per target for a given number of outputs.
  virtual std::size_t width(std::size_t outputs) const = 0;
  /// Whether a cell marks a step that does not count: it is blank or "nan".
  virtual bool not_counted(std::string_view cell) const;
  /// The readout and the targets of a table. Throws Error with the place of the row for an invalid
  /// cell.
  virtual Readout read(const TargetTable& table, std::vector<float>& targets) const = 0;
  /// What is wrong with a target; "" if it is valid.
  virtual std::string wrong(const Readout& readout, std::span<const float> target) const = 0;
  /// Chooses offset and scale from the training set, if the task has them.
  virtual void fit(Readout& readout, std::span<const float> targets) const;
  /// Why a training set is unusable; "" if it is usable.
  virtual std::string unusable(const Readout& readout, std::span<const float> targets) const = 0;
  /// A defect of a training set as a note that follows its name; "" if there is none.
  virtual std::string lacking(const Readout& readout, std::span<const float> targets) const;
  /// A non-negative integer for every sequence; a validation part gets its share of each.
  virtual std::vector<std::int32_t> strata(const Readout& readout,
                                           std::span<const float> targets) const = 0;

  // --- training

  /// The loss of one target. `slope`, if not empty, receives its gradient with respect to the
  /// outputs.
  virtual double loss(const Readout& readout, std::span<const float> outputs,
                      std::span<const float> target, const TaskLoss& options,
                      std::span<double> slope) const = 0;
  /// Class weights that give every category the same total weight in the loss over a training set;
  /// only if categorical().
  virtual std::vector<double> balanced_weights(const Readout& readout,
                                               std::span<const float> targets) const;

  // --- metrics

  /// The first metric is the primary one: it selects epochs and represents a network in summaries.
  virtual const std::vector<TaskMetric>& metrics() const = 0;
  const TaskMetric& primary() const { return metrics().front(); }
  /// Number of sums from which the metrics of a set follow. They are sums over targets: the sums
  /// of two parts add up to those of the whole.
  virtual std::size_t sums(const Readout& readout) const = 0;
  /// Adds one target.
  virtual void add(const Readout& readout, const Output& output, std::span<const float> target,
                   std::span<double> sums) const = 0;
  /// The value of every metric.
  virtual std::vector<double> evaluate(const Readout& readout,
                                       std::span<const double> sums) const = 0;
  /// The metric that is the share of right decisions, one for each sequence, so that wilson() and
  /// PairedDecisions apply; null if there is none. Steps of a sequence are not independent.
  virtual const TaskMetric* share_of_right(const Readout& readout) const;

  // --- results

  /// The metrics by name, and further results of the task.
  virtual nlohmann::json to_json(const Readout& readout, std::span<const double> sums) const;
  /// One line: "accuracy 97.30 % (973 of 1000)".
  virtual std::string text(const Readout& readout, std::span<const double> sums) const;
  /// Details for one network, such as a confusion matrix.
  virtual std::vector<TaskTable> tables(const Readout& readout, std::span<const double> sums) const;
  /// Columns of a predictions file, and the fields of one target. The fields of a target that does
  /// not count are empty.
  virtual std::vector<std::string> prediction_header(const Readout& readout) const = 0;
  virtual std::vector<std::string> prediction(const Readout& readout, const Output& output,
                                              std::span<const float> target) const = 0;
  /// Prediction without a known target: the decision and the outputs.
  virtual std::vector<std::string> answer(const Readout& readout, const Output& output) const = 0;
};

inline std::size_t Readout::width() const { return names.empty() ? 0 : task->width(outputs()); }

/// All tasks, in the order of lists.
const std::vector<const Task*>& tasks();
std::vector<std::string> task_names();
/// Throws Error with `where` for a name that is not among task_names().
const Task& task_named(std::string_view name, const std::string& where);

/// The primary metric computed from sums.
double primary_value(const Readout& readout, std::span<const double> sums);

/// The interval of the primary metric on so many sequences; nothing unless it is
/// Task::share_of_right().
std::optional<Interval> interval_of(const Readout& readout, double primary, std::size_t sequences);

/// Whether the decision on a sequence is right; only with Task::share_of_right().
bool is_right(const Readout& readout, const Output& output, std::span<const float> target);

/// Writes a readout to the metadata of a model file and reads it back; reads nothing from a file
/// without one. Throws Error with `where` if it is damaged.
void save_readout(const Readout& readout, std::map<std::string, std::string>& metadata);
std::optional<Readout> load_readout(const std::map<std::string, std::string>& metadata,
                                    const std::string& where);

/// Throws Error with `where` unless two readouts are of the same task with the same names; `data`
/// names the owner of the second.
void require_same_outputs(const Readout& model, const Readout& data, const std::string& where,
                          const std::string& data_name);

}  // namespace crosstate::task
