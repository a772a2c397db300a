#include "crosstate/train/options.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate::train {

void fields(FieldList& list, const std::string& section, TrainOptions& options) {
  list.section(section);
  list.add("epochs", options.epochs, "Passes over the training set; the schedule spans them all.")
      .range(1, 100000);
  list.add("batch", options.batch,
           "Sequences per step, best a multiple of 16; raise it together with the rates.")
      .range(1, 65536);
  list.add("learning_rate", options.learning_rate,
           "Peak rate of weights, biases and norms; lower it when the loss jumps.")
      .range(0, 1);
  list.add("recurrence_rate", options.recurrence_rate,
           "Peak rate of log_dt, a and w, which move the poles; 0 freezes them.")
      .range(0, 1);
  list.add("range_rate", options.range_rate,
           "Peak rate of the quantizers' ranges; 0 keeps the calibrated ones.")
      .range(0, 1);
  list.add("weight_decay", options.weight_decay,
           "Pull of the weights towards 0, in units of the rate; raise against overfitting.")
      .range(0, 10);
  list.add("warmup", options.warmup,
           "Linear rise to the peak rates, at most half of the run; raise when the start diverges.")
      .in("epochs")
      .range(0, 100000);
  list.add("final_rate", options.final_rate,
           "Share of the peak rates that the cosine ends at; above 0 for runs to be continued.")
      .range(0, 1);
  list.add("clip", options.clip, "Largest norm of a step's gradient; 0 never clips.").range(0, 1e6);
  list.add(
          "average", options.average,
          "Decay per step of a moving average of the weights, which is validated and kept; about 1 "
          "- 10 / steps, such as 0.99 or 0.999; 0: the weights themselves.")
      .range(0, 0.999999);
  list.add(
          "norm_batches", options.norm_batches,
          "Training batches that measure the statistics of batch norms anew after each epoch; with "
          "few bits those gathered on the way are of other weights. 0: keeps them.")
      .in("batches")
      .range(0, 100000);
  list.add("label_smoothing", options.label_smoothing,
           "Share of the target spread over all classes; 0.1 for noisy labels.")
      .range(0, 0.99);
  list.add("class_weights", options.class_weights,
           "Of the classes in the loss; balanced: those with few training sequences weigh as much "
           "as the others, for sets that hold much more of some.")
      .one_of({"none", "balanced"});
  list.add("validation", options.validation,
           "Share of the training set held out to choose the best epoch, unless the data bring a "
           "validation part; 0 takes the last epoch.")
      .range(0, 0.9);
  list.add("patience", options.patience,
           "Stops after so many epochs without a better one; 0 runs them all.")
      .in("epochs")
      .range(0, 100000);
  list.add("log_every", options.log_every, "Time between two reports of progress.")
      .in("batches")
      .range(1, 1000000);
}

void validate(const TrainOptions& options, const std::string& section) {
  TrainOptions copy = options;
  FieldList list;
  fields(list, section, copy);
  list.from_json(list.to_json(), "options");
}

void require_effect(const TrainOptions& options, const task::Task& task) {
  if (task.categorical()) return;
  const auto refuse = [&](const std::string& setting, const std::string& expected) {
    fail("options", setting + " has no effect on " + task.name() + ", expected " + expected);
  };
  if (options.label_smoothing > 0) refuse("label_smoothing", "0");
  if (options.class_weights != "none") refuse("class_weights = \"balanced\"", "\"none\"");
}

}  // namespace crosstate::train
