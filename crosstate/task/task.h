// What a network is trained to tell of a sequence: its targets, the loss against them, what the
// outputs mean and how well they do. One implementation per file, listed in task.cpp; docs/tasks.md
// tells how to add one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crosstate::task {

class Task;
const Task& classification();  // one of several classes
const Task& regression();      // one or several real values

/// What the outputs of a network stand for. It travels in the model's file.
struct Readout {
  const Task* task = &classification();
  std::vector<std::string> names = {};  // one per output: of classes, or of the values told
  std::vector<double> offset = {},
                      scale = {};  // value = offset + scale * output; empty: the output itself

  std::size_t outputs() const { return names.size(); }
  /// Target values per sequence; 0 where there are no outputs, so no targets.
  std::size_t width() const;
  bool operator==(const Readout&) const = default;
};

/// What an executor says of one sequence.
struct Output {
  /// Of outputs in floating point, whose first largest it finds.
  explicit Output(std::span<const float> values);
  /// Of outputs that were rounded to float after the largest was found.
  Output(std::span<const float> outputs, std::size_t first_largest)
      : values(outputs), largest(first_largest) {}

  std::span<const float> values;  // one per output of the network
  std::size_t largest = 0;        // index of the largest value, the first of equals
};

/// The targets of a set as a file holds them.
struct TargetTable {
  std::vector<std::string> names;  // of the columns; empty: the file tells none
  std::size_t width = 1;           // columns
  std::vector<std::string> cells;  // rows * width
  std::vector<std::string> where;  // by row: its place, for errors
};

/// How the loss of one sequence is made.
struct TaskLoss {
  double label_smoothing = 0;            // of categories, 0 to 1
  std::span<const double> weights = {};  // of Task::balanced_weights(); empty: all 1
  std::span<const float> teacher = {};   // outputs of another network; empty: none
  double distillation = 0;               // weight of the teacher, 0 to 1
  double temperature = 1;                // that softens both distributions, above 0
};

/// A measure of how well a network does on a set.
struct TaskMetric {
  std::string name;   // of JSON keys and columns: "accuracy"
  std::string title;  // in text and reports: "accuracy"
  bool higher_is_better = true;
  bool is_share = false;  // written in percent

  bool better(double a, double b) const { return higher_is_better ? a > b : a < b; }
  /// "accuracy (%)": of a column or an axis, whose values are in_report().
  std::string heading() const { return is_share ? title + " (%)" : title; }
  double in_report(double value) const { return is_share ? 100 * value : value; }
  /// in_report() with as many decimals as are worth reading; "-" for NaN.
  std::string cell(double value) const;
  /// The same with its unit: "97.31 %".
  std::string text(double value) const;
};

/// A table about a result, for reports.
struct TaskTable {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

/// Everything that differs between kinds of targets. `target` is one sequence's, `targets` those of
/// a set, row by row, as Dataset::targets holds them.
class Task {
 public:
  virtual ~Task() = default;

  /// In settings and files: "classification".
  virtual const char* name() const = 0;
  /// Whether outputs are categories, so that label smoothing and class weights mean something.
  virtual bool categorical() const = 0;

  // --- targets

  /// Target values per sequence for a number of outputs.
  virtual std::size_t width(std::size_t outputs) const = 0;
  /// The readout and the targets of a table. Throws Error with the row's place for a cell that is
  /// none.
  virtual Readout read(const TargetTable& table, std::vector<float>& targets) const = 0;
  /// What is wrong with a target; "": nothing.
  virtual std::string wrong(const Readout& readout, std::span<const float> target) const = 0;
  /// Chooses offset and scale by the training set, where the task has them.
  virtual void fit(Readout& readout, std::span<const float> targets) const;
  /// Why nothing can be learned from a training set; "": it can.
  virtual std::string unusable(const Readout& readout, std::span<const float> targets) const = 0;
  /// What a training set lacks, as a note to follow its name; "": nothing.
  virtual std::string lacking(const Readout& readout, std::span<const float> targets) const;
  /// A number from 0 for every sequence; a validation part takes its share of each.
  virtual std::vector<std::int32_t> strata(const Readout& readout,
                                           std::span<const float> targets) const = 0;

  // --- training

  /// The loss of one sequence. `slope`, if not empty, becomes its gradient by the outputs.
  virtual double loss(const Readout& readout, std::span<const float> outputs,
                      std::span<const float> target, const TaskLoss& options,
                      std::span<double> slope) const = 0;
  /// Weights that let every category count the same in the loss over a training set; only where
  /// categorical().
  virtual std::vector<double> balanced_weights(const Readout& readout,
                                               std::span<const float> targets) const;

  // --- how well a network does

  /// The first is the primary one: it chooses epochs and stands for a network in summaries.
  virtual const std::vector<TaskMetric>& metrics() const = 0;
  const TaskMetric& primary() const { return metrics().front(); }
  /// How many numbers the metrics of a set follow from. They are sums over its sequences: those of
  /// two parts add up to those of the whole.
  virtual std::size_t sums(const Readout& readout) const = 0;
  /// Adds one sequence.
  virtual void add(const Readout& readout, const Output& output, std::span<const float> target,
                   std::span<double> sums) const = 0;
  /// The value of every metric.
  virtual std::vector<double> evaluate(const Readout& readout,
                                       std::span<const double> sums) const = 0;

  // --- results for people and programs

  /// The metrics by name, and what the task tells beside them.
  virtual nlohmann::json to_json(const Readout& readout, std::span<const double> sums) const;
  /// One line: "accuracy 97.30 % (973 of 1000)".
  virtual std::string text(const Readout& readout, std::span<const double> sums) const;
  /// Details of one network, such as a confusion matrix.
  virtual std::vector<TaskTable> tables(const Readout& readout, std::span<const double> sums) const;
  /// Columns of a file of predictions, and the fields of one sequence.
  virtual std::vector<std::string> prediction_header(const Readout& readout) const = 0;
  virtual std::vector<std::string> prediction(const Readout& readout, const Output& output,
                                              std::span<const float> target) const = 0;
  /// What is told of a sequence whose target nobody knows: the decision and the outputs.
  virtual std::vector<std::string> answer(const Readout& readout, const Output& output) const = 0;
};

inline std::size_t Readout::width() const { return names.empty() ? 0 : task->width(outputs()); }

/// Every task that there is, in the order of lists.
const std::vector<const Task*>& tasks();
std::vector<std::string> task_names();
/// Throws Error with `where` for a name that is none of task_names().
const Task& task_named(std::string_view name, const std::string& where);

/// The primary metric of some sums.
double primary_value(const Readout& readout, std::span<const double> sums);

/// Adds what a model's file tells of its outputs to the file's metadata, and back; nothing for a
/// file that tells none of it. Throws Error with `where` for one that is damaged.
void save_readout(const Readout& readout, std::map<std::string, std::string>& metadata);
std::optional<Readout> load_readout(const std::map<std::string, std::string>& metadata,
                                    const std::string& where);

/// Throws Error with `where` unless two readouts are the same task with the same names; `data` says
/// whose the second is.
void require_same_outputs(const Readout& model, const Readout& data, const std::string& where,
                          const std::string& data_name);

}  // namespace crosstate::task
