#include "crosstate/train/options.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/lists.h"
#include "crosstate/base/numbers.h"

namespace crosstate::train {
namespace {

constexpr double kLargestOffset = 100;

struct ClassOffset {
  std::string name;
  double value = 0;
};

std::string setting_of(const TrainOptions& options, const std::string& section) {
  return section + ".class_offsets = \"" + excerpt(options.class_offsets) + '"';
}

std::vector<ClassOffset> parse_offsets(const TrainOptions& options, const std::string& section) {
  std::vector<ClassOffset> offsets;
  for (const std::string& entry : split_list(options.class_offsets)) {
    const std::size_t equals = std::min(entry.rfind('='), entry.size());
    ClassOffset offset{entry.substr(0, equals)};
    const std::string number = entry.substr(std::min(equals + 1, entry.size()));
    const std::optional<double> value = read_number<double>(number).value;
    if (offset.name.empty() || !value || !(std::abs(*value) <= kLargestOffset)) {
      fail(kOptions, setting_of(options, section) + " has \"" + excerpt(entry) +
                         "\", expected NAME=OFFSET with an offset from -" +
                         fixed_text(kLargestOffset, 0) + " to " + fixed_text(kLargestOffset, 0) +
                         ", such as \"unknown=2\"");
    }
    offset.value = *value;
    for (const ClassOffset& other : offsets) {
      if (other.name != offset.name) continue;
      fail(kOptions, setting_of(options, section) + " has the class \"" + excerpt(offset.name) +
                         "\" twice, expected every class once");
    }
    offsets.push_back(std::move(offset));
  }
  return offsets;
}

}  // namespace

void fields(FieldList& list, const std::string& section, TrainOptions& options) {
  list.section(section);
  list.add("epochs", options.epochs,
           "Number of passes over the training set; the learning-rate schedule spans all of them.")
      .range(1, 100000);
  list.add("batch", options.batch,
           "Sequences per step, preferably a multiple of 16; raise it together with the learning "
           "rates.")
      .range(1, 65536);
  list.add("learning_rate", options.learning_rate,
           "Peak learning rate of weights, biases and norms; lower it if the loss jumps.")
      .range(0, 1);
  list.add("recurrence_rate", options.recurrence_rate,
           "Peak learning rate of log_dt, a and w, which determine the poles; 0 freezes them.")
      .range(0, 1);
  list.add("range_rate", options.range_rate,
           "Peak learning rate of quantization ranges; 0 keeps the calibrated ranges.")
      .range(0, 1);
  list.add("weight_decay", options.weight_decay,
           "Decoupled weight decay, relative to the learning rate; raise it against overfitting.")
      .range(0, 10);
  list.add("warmup", options.warmup,
           "Linear warm-up to the peak rates, at most half of the run; raise it if the start "
           "diverges.")
      .in("epochs")
      .range(0, 100000);
  list.add("final_rate", options.final_rate,
           "Final share of the peak rates at the end of the cosine; above 0 if the training will "
           "be continued.")
      .range(0, 1);
  list.add("clip", options.clip, "Largest gradient norm of a step; 0: no clipping.").range(0, 1e6);
  list.add("average", options.average,
           "Decay per step of a moving average of the weights, which is validated and saved; about "
           "1 - 10 / steps, such as 0.99 or 0.999; 0: no averaging.")
      .range(0, 0.999999);
  list.add("norm_batches", options.norm_batches,
           "Training batches from which the batch-norm statistics are recomputed after each epoch; "
           "with few bits, statistics accumulated during training belong to other weights. 0: keep "
           "those.")
      .in("batches")
      .range(0, 100000);
  list.add("label_smoothing", options.label_smoothing,
           "Label smoothing: share of the target distributed over all classes; 0.1 for noisy "
           "labels.")
      .range(0, 0.99);
  list.add("class_weights", options.class_weights,
           "Weights of the classes in the loss; balanced: every class has the same total weight, "
           "for imbalanced sets.");
  list.add(
      "class_offsets", options.class_offsets,
      "Offsets subtracted from the outputs of classes in the loss, such as \"unknown=2\"; "
      "separated "
      "by spaces or, if the text has a comma, by commas (\"not yes=2,\" for a name with a space). "
      "The trained model decides more often for classes with positive offsets (logit adjustment). "
      "Train a teacher with the same offsets.");
  list.add("validation", options.validation,
           "Share of the training set held out to choose the best epoch, unless the data have a "
           "validation part: whole speakers if file names contain _nohash_, else a share of each "
           "class. 0: keep the last epoch.")
      .range(0, 0.9);
  list.add("patience", options.patience,
           "Stop after this many epochs without improvement; 0: run all epochs.")
      .in("epochs")
      .range(0, 100000);
  list.add("log_every", options.log_every, "Batches between two progress reports.")
      .in("batches")
      .range(1, 1000000);
}

void validate(const TrainOptions& options, const std::string& section) {
  TrainOptions copy = options;
  FieldList list;
  fields(list, section, copy);
  list.from_json(list.to_json(), "options");
  parse_offsets(options, section);
}

std::vector<double> class_offsets(const TrainOptions& options,
                                  const std::vector<std::string>& classes,
                                  const std::string& section) {
  std::vector<double> offsets;
  for (const ClassOffset& given : parse_offsets(options, section)) {
    const auto found = std::find(classes.begin(), classes.end(), given.name);
    if (found == classes.end()) {
      fail(kOptions, setting_of(options, section) + ", but there is no class \"" +
                         excerpt(given.name) + "\"; expected some of " + listing(classes));
    }
    offsets.resize(classes.size());
    offsets[static_cast<std::size_t>(found - classes.begin())] = given.value;
  }
  return offsets;
}

void require_effect(const TrainOptions& options, const task::Readout& readout,
                    const std::string& section) {
  if (readout.task->categorical()) {
    class_offsets(options, readout.names, section);
    return;
  }
  const auto refuse = [&](const std::string& setting, const std::string& expected) {
    fail(kOptions, section + '.' + setting + " has no effect on " + readout.task->name() +
                       ", expected " + expected);
  };
  if (options.label_smoothing > 0) refuse("label_smoothing", "0");
  if (options.class_weights != ClassWeights::kNone)
    refuse("class_weights = \"balanced\"", "\"none\"");
  if (!options.class_offsets.empty()) refuse("class_offsets", "\"\"");
}

}  // namespace crosstate::train
