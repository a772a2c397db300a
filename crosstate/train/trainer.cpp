#include "crosstate/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/base/memory.h"
#include "crosstate/base/stopwatch.h"
#include "crosstate/data/batch.h"
#include "crosstate/train/adamw.h"
#include "crosstate/train/checkpoint.h"
#include "crosstate/train/identity.h"
#include "crosstate/train/schedule.h"
#include "crosstate/train/teacher_outputs.h"

namespace crosstate::train {
namespace {

using nlohmann::json;

double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

std::span<const std::uint32_t> part(const std::vector<std::uint32_t>& order, std::size_t begin,
                                    std::size_t size) {
  return std::span(order).subspan(begin, std::min(size, order.size() - begin));
}

AdamWOptions adamw_options(const TrainOptions& options) {
  AdamWOptions result;
  result.learning_rate = options.learning_rate;
  result.recurrence_rate = options.recurrence_rate;
  result.range_rate = options.range_rate;
  result.weight_decay = options.weight_decay;
  return result;
}

std::filesystem::path checkpoint_path(const TrainContext& context) {
  return context.directory / (context.stage + ".checkpoint.safetensors");
}

class Trainer {
 public:
  Trainer(model::Network& network, const data::Dataset& training, const data::Dataset& validation,
          const TrainOptions& options, const TrainContext& context, ThreadPool& pool)
      : network_(network),
        training_(training),
        validation_(validation),
        options_(options),
        context_(context),
        pool_(pool),
        batch_size_(static_cast<std::size_t>(options.batch)),
        optimizer_(network.parameters(), adamw_options(options)) {
    steps_per_epoch_ = (training.count + batch_size_ - 1) / batch_size_;
    const auto steps = static_cast<double>(steps_per_epoch_);
    schedule_.steps = steps_per_epoch_ * static_cast<std::uint64_t>(options.epochs);
    schedule_.warmup = static_cast<std::uint64_t>(std::llround(options.warmup * steps));
    schedule_.final_share = options.final_rate;

    require_training_memory();
    identity_ = run_identity(network, training, validation, options, context);
    if (options.average > 0) average_ = network;
    offsets_ = class_offsets(options, training.readout.names);
    if (options.class_weights == ClassWeights::kBalanced) {
      weights_ = task().balanced_weights(training.readout, training.counted_targets());
    }
  }

  TrainSummary run() {
    if (!context_.directory.empty()) open_directory();
    bool whole = true;
    while (whole && !finished()) {
      EpochLog log;
      log.epoch = epochs_done() + 1;
      log.metric = task().primary().name;
      log.stage = stage_name(log.epoch);
      const Stopwatch watch;
      whole = train_epoch(log) && validate_epoch(log);
      log.seconds = watch.seconds();
      if (whole) keep(log);
    }
    if (best_epoch_ > 0) {
      network_ = model::Network::from_tensors(best_, "epoch " + std::to_string(best_epoch_));
    }
    return summary(!whole);
  }

 private:
  void require_training_memory() const {
    std::size_t longest = 0;
    for (std::size_t i = 0; i < training_.count; ++i) {
      longest = std::max(longest, training_.length_of(i));
    }
    const std::size_t count = std::min(batch_size_, training_.count);
    const std::size_t lanes = (count + kLanes - 1) / kLanes * kLanes;
    const auto values = static_cast<double>(lanes * longest * training_.channels);
    require_memory(training_.name, network_.training_bytes(count, longest) + sizeof(float) * values,
                   "training on " + std::to_string(lanes) + " sequences of " +
                       std::to_string(longest) + " steps (batches are made of 16) with " +
                       std::to_string(network_.options().channels) + " channels and " +
                       std::to_string(network_.options().layers) + " layers",
                   "; cut the sequences into shorter ones or take a smaller batch or network");
  }

  const task::Task& task() const { return *training_.readout.task; }
  int epochs_done() const { return static_cast<int>(history_.size()); }
  bool validates() const { return validation_.count > 0; }
  // Only in the last stage: networks of earlier stages are not results.
  bool out_of_patience() const {
    return options_.patience > 0 && validates() &&
           epochs_done() >= stage_of(options_.epochs).first &&
           epochs_done() - best_epoch_ >= options_.patience;
  }
  bool finished() const { return epochs_done() >= options_.epochs || out_of_patience(); }

  // The QuantStage of an epoch, and the first epoch of that stage.
  struct Stage {
    std::size_t index = 0;
    int first = 1;
  };
  Stage stage_of(int epoch) const {
    Stage stage;
    while (stage.index + 1 < context_.stages.size() &&
           epoch >= stage.first + context_.stages[stage.index].epochs) {
      stage.first += context_.stages[stage.index++].epochs;
    }
    return stage;
  }
  std::string stage_name(int epoch) const {
    return context_.stages.size() < 2 ? "" : context_.stages[stage_of(epoch).index].name;
  }

  // In the first epoch of every stage but the first.
  void change_formats(int epoch) {
    const Stage stage = stage_of(epoch);
    if (stage.index == 0 || epoch != stage.first) return;
    const quant::QuantOptions& quant = context_.stages[stage.index].quant;
    for (const std::size_t range : network_.requantize(quant, context_.calibration, pool_)) {
      optimizer_.restart(range);
    }
    if (average_) average_ = network_;
  }

  const model::Network& judged() const { return average_ ? *average_ : network_; }

  std::filesystem::path file(const std::string& ending) const {
    return context_.directory / (context_.stage + ending);
  }
  std::filesystem::path checkpoint_path() const {
    return crosstate::train::checkpoint_path(context_);
  }
  std::filesystem::path log_path() const { return file(".jsonl"); }

  // Continues from a checkpoint, or removes files of an earlier run, which would be taken for those
  // of this run if it were interrupted in its first epoch.
  void open_directory() {
    make_writable_directory(context_.directory);
    if (context_.resume && std::filesystem::exists(checkpoint_path())) {
      restore();
      write_log();
    } else {
      std::error_code ignored;
      std::filesystem::remove(checkpoint_path(), ignored);
      std::filesystem::remove(log_path(), ignored);
    }
  }

  // A part of a checkpoint, of which nothing is ignored.
  static model::Network whole_network(const formats::Safetensors& part, const std::string& where) {
    model::Network network = model::Network::from_tensors(part, where);
    formats::refuse_unknown(part, network.to_tensors(), where);
    return network;
  }

  void restore() {
    const std::string where = checkpoint_path().string();
    TrainCheckpoint checkpoint = read_checkpoint(checkpoint_path());
    require_same_run(checkpoint.identity, identity_, where);
    try {
      restore(std::move(checkpoint), where);
    } catch (const Error& error) {
      throw CannotContinue(error.what());
    }
  }

  void restore(TrainCheckpoint checkpoint, const std::string& where) {
    model::Network network = whole_network(checkpoint.network, where);
    // Needed only after the last epoch, but a damaged file should be reported now.
    whole_network(checkpoint.best, where + ": best epoch");
    AdamW optimizer(network.parameters(), adamw_options(options_));
    optimizer.load(network.parameters(), checkpoint.optimizer, where);
    formats::Safetensors known;
    optimizer.save(network.parameters(), known);
    formats::refuse_unknown(checkpoint.optimizer, known, where);
    const std::uint64_t expected = checkpoint.history.size() * steps_per_epoch_;
    if (optimizer.steps() != expected) {
      fail(where, std::to_string(optimizer.steps()) + " steps of the optimiser, expected " +
                      std::to_string(expected));
    }
    if (average_) {
      average_ = whole_network(checkpoint.average, where + ": average");
    } else {
      formats::refuse_unknown(checkpoint.average, {}, where + ": average");
    }
    network_ = std::move(network);
    optimizer_ = std::move(optimizer);
    history_ = std::move(checkpoint.history);
    best_epoch_ = checkpoint.best_epoch;
    best_ = std::move(checkpoint.best);
  }

  const data::Dataset& epoch_set(std::uint32_t epoch) const {
    if (!context_.epoch_data) return training_;
    const data::Dataset& set = context_.epoch_data(epoch);
    check_fits(network_, set);
    if (set.count != training_.count) {
      fail(set.name, std::to_string(set.count) + " sequences in epoch " +
                         std::to_string(epoch + 1) + ", expected " +
                         std::to_string(training_.count));
    }
    return set;
  }

  // Recomputes the statistics of the evaluated network from the first batches of the epoch. Returns
  // false if stopped.
  bool measure_norms(const data::Dataset& set, const std::vector<std::uint32_t>& order) {
    model::Network& network = average_ ? *average_ : network_;
    const auto block_length = static_cast<std::size_t>(network.options().block_length);
    const auto batches = static_cast<std::size_t>(options_.norm_batches);
    for (std::size_t i = 0; i < std::min(batches, steps_per_epoch_); ++i) {
      if (context_.stop && context_.stop()) return false;
      data::fill_batch(set, part(order, i * batch_size_, batch_size_), block_length, batch_);
      network.measure_norms(batch_, 1 / static_cast<double>(i + 1), pool_);
    }
    return true;
  }

  // Returns false if stopped.
  bool train_epoch(EpochLog& log) {
    change_formats(log.epoch);
    const auto index = static_cast<std::uint32_t>(log.epoch - 1);
    const data::Dataset& set = epoch_set(index);
    const std::vector<std::uint32_t> order =
        data::training_order(set, batch_size_, context_.seed, index);
    const auto block_length = static_cast<std::size_t>(network_.options().block_length);
    const Stopwatch watch;
    Tally tally;
    tally.readout = training_.readout;
    for (std::size_t i = 0; i < steps_per_epoch_; ++i) {
      if (context_.stop && context_.stop()) return false;
      const std::span<const std::uint32_t> rows = part(order, i * batch_size_, batch_size_);
      data::fill_batch(set, rows, block_length, batch_);
      const model::BatchResult result = step(log.epoch, i, rows);
      batch_loss_ = result.loss;
      tally.add(result, batch_.count);
      ++steps_now_;
      const bool due = (i + 1) % static_cast<std::size_t>(options_.log_every) == 0;
      if (due || i + 1 == steps_per_epoch_) report(progress(log.epoch, tally, watch.seconds()));
    }
    log.train_loss = tally.loss();
    log.train_metric = tally.metric();
    log.learning_rate = options_.learning_rate * schedule_.share(optimizer_.steps() - 1);
    log.samples_per_second = per_second(static_cast<double>(tally.count), watch.seconds());
    return measure_norms(set, order);
  }

  model::BatchResult step(int epoch, std::size_t index, std::span<const std::uint32_t> rows) {
    const std::uint64_t global = optimizer_.steps();
    model::LossOptions loss{options_.label_smoothing, context_.seed, global};
    loss.weights = weights_;
    loss.offsets = offsets_;
    if (const Teacher& teacher = context_.teacher; teacher.weight > 0) {
      const auto sets = static_cast<std::size_t>(context_.epoch_data ? context_.epoch_sets : 1);
      if (!teacher_outputs_) teacher_outputs_.emplace(teacher, sets, training_.count);
      const std::size_t set = sets == 0 ? 0 : static_cast<std::size_t>(epoch - 1) % sets;
      loss.teacher = teacher_outputs_->of(batch_, rows, set, pool_);
      loss.distillation = teacher.weight;
      loss.temperature = teacher.temperature;
    }
    if (context_.teacher.streams > 0) {
      loss.stream_teacher = context_.teacher.networks.front();
      loss.stream_weight = context_.teacher.streams;
    }
    const model::BatchResult result = network_.train_step(batch_, loss, pool_);
    const double norm = gradient_norm(network_.parameters());
    if (!std::isfinite(result.loss) || !std::isfinite(norm)) {
      const bool loss_failed = !std::isfinite(result.loss);
      fail(context_.stage,
           "epoch " + std::to_string(epoch) + ", step " + std::to_string(index + 1) + " of " +
               std::to_string(steps_per_epoch_) + ": the " + (loss_failed ? "loss" : "gradient") +
               " is no longer a finite number; try a lower learning_rate");
    }
    const bool clips = options_.clip > 0 && norm > options_.clip;
    optimizer_.step(network_.parameters(), schedule_.share(global),
                    clips ? options_.clip / norm : 1);
    if (context_.after_step) {
      context_.after_step(network_, options_.learning_rate * schedule_.share(global));
    }
    if (average_) average_->move_towards(network_, 1 - average_decay(epoch));
    return result;
  }

  // The decay is smaller in the first steps of a stage; otherwise the initial weights would
  // dominate the average for a long time.
  double average_decay(int epoch) const {
    const auto before = static_cast<std::uint64_t>(stage_of(epoch).first - 1) * steps_per_epoch_;
    const auto steps = static_cast<double>(optimizer_.steps() - before);
    return std::min(options_.average, steps / (9 + steps));
  }

  // Returns false if stopped.
  bool validate_epoch(EpochLog& log) {
    log.validation_loss = log.validation_metric = std::numeric_limits<double>::quiet_NaN();
    if (!validates()) return true;
    const auto tally = evaluate_set(judged(), validation_, options_.batch, pool_, context_.stop);
    if (!tally) return false;
    if (!std::isfinite(tally->loss())) {
      fail(context_.stage, "epoch " + std::to_string(log.epoch) + ", step " +
                               std::to_string(steps_per_epoch_) +
                               ": the validation loss is not finite; try a lower learning_rate");
    }
    log.validation_loss = tally->loss();
    log.validation_metric = tally->metric();
    return true;
  }

  bool is_best(const EpochLog& log) const {
    if (best_epoch_ < stage_of(log.epoch).first || !validates()) return true;
    const EpochLog& best = history_[static_cast<std::size_t>(best_epoch_ - 1)];
    if (log.validation_metric != best.validation_metric) {
      return task().primary().better(log.validation_metric, best.validation_metric);
    }
    return log.validation_loss < best.validation_loss;
  }

  void keep(const EpochLog& log) {
    if (is_best(log)) {
      best_epoch_ = log.epoch;
      best_ = judged().to_tensors();
    }
    history_.push_back(log);
    if (!context_.directory.empty()) {
      TrainCheckpoint checkpoint{identity_, history_, best_epoch_, network_.to_tensors(),
                                 best_,     {},       {}};
      if (average_) checkpoint.average = average_->to_tensors();
      optimizer_.save(network_.parameters(), checkpoint.optimizer);
      write_checkpoint(checkpoint_path(), checkpoint);
      write_log();
    }
    TrainProgress end = last_progress_;
    end.epoch_end = true;
    end.last = finished();
    end.log = log;
    end.seconds_left = end.last ? 0 : seconds_left();
    report(end);
  }

  // The whole log is rewritten each time, so that it always agrees with the checkpoint.
  void write_log() const {
    std::string lines;
    for (const EpochLog& log : history_) lines += exact_json_text(json(log)) + '\n';
    write_file(log_path(), lines);
  }

  double seconds_left() const {
    const auto left = static_cast<double>(schedule_.steps - optimizer_.steps());
    return steps_now_ == 0 ? 0 : watch_.seconds() / static_cast<double>(steps_now_) * left;
  }

  TrainProgress progress(int epoch, const Tally& tally, double seconds) {
    TrainProgress result;
    const std::string stage = stage_name(epoch);
    result.stage = context_.stage + (stage.empty() ? "" : ' ' + stage);
    result.epoch = epoch;
    result.epochs = options_.epochs;
    result.done = tally.count;
    result.samples = training_.count;
    result.loss = tally.loss();
    result.metric = tally.metric();
    result.batch_loss = batch_loss_;
    result.kind = task().primary();
    result.samples_per_second = per_second(static_cast<double>(tally.count), seconds);
    result.seconds_left = seconds_left();
    last_progress_ = result;
    return result;
  }

  void report(const TrainProgress& progress) const {
    if (context_.progress) context_.progress(progress);
  }

  TrainSummary summary(bool was_interrupted) const {
    TrainSummary result;
    result.epochs = history_;
    result.best_epoch = best_epoch_;
    if (best_epoch_ > 0) {
      result.best_validation_metric =
          history_[static_cast<std::size_t>(best_epoch_ - 1)].validation_metric;
    }
    double training_seconds = 0, sequences = 0;
    for (const EpochLog& log : history_) {
      result.seconds += log.seconds;
      if (!(log.samples_per_second > 0)) continue;
      sequences += static_cast<double>(training_.count);
      training_seconds += static_cast<double>(training_.count) / log.samples_per_second;
    }
    result.samples_per_second = per_second(sequences, training_seconds);
    result.interrupted = was_interrupted;
    result.stopped_early = !was_interrupted && epochs_done() < options_.epochs;
    return result;
  }

  model::Network& network_;
  const data::Dataset& training_;
  const data::Dataset& validation_;
  const TrainOptions& options_;
  const TrainContext& context_;
  ThreadPool& pool_;
  std::size_t batch_size_;
  std::size_t steps_per_epoch_ = 0;
  std::uint64_t steps_now_ = 0;  // in this call, unlike those of the optimiser
  Schedule schedule_;
  AdamW optimizer_;
  std::optional<model::Network> average_;
  std::optional<TeacherOutputs> teacher_outputs_;
  std::vector<double> weights_;  // of categories
  std::vector<double> offsets_;  // likewise
  json identity_;
  std::vector<EpochLog> history_;
  int best_epoch_ = 0;
  formats::Safetensors best_;
  data::Batch batch_;
  double batch_loss_ = 0;
  Stopwatch watch_;
  TrainProgress last_progress_;
};

}  // namespace

TrainSummary train(model::Network& network, const data::Dataset& training,
                   const data::Dataset& validation, const TrainOptions& options,
                   const TrainContext& context) {
  validate(options);
  require_effect(options, training.readout);
  if (training.count == 0) fail(training.name, "no sequences to train on");
  check_fits(network, training);
  training.require_any_target();
  if (validation.count > 0) {
    check_fits(network, validation);
    validation.require_any_target();
  }
  validate(context, network, training, options);
  std::unique_ptr<ThreadPool> own;
  if (context.pool == nullptr) own = std::make_unique<ThreadPool>();
  ThreadPool& pool = own ? *own : *context.pool;
  return Trainer(network, training, validation, options, context, pool).run();
}

void require_continuable(const model::Network& network, const data::Dataset& training,
                         const data::Dataset& validation, const TrainOptions& options,
                         const TrainContext& context) {
  if (!context.resume || context.directory.empty()) return;
  const std::filesystem::path path = checkpoint_path(context);
  if (!std::filesystem::exists(path)) return;
  require_same_run(read_checkpoint(path).identity,
                   run_identity(network, training, validation, options, context), path.string());
}

}  // namespace crosstate::train
