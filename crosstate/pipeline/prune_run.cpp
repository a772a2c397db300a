#include "crosstate/pipeline/prune_run.h"

#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/prune/prune.h"
#include "crosstate/train/evaluate.h"
#include "crosstate/train/identity.h"

namespace crosstate::pipeline {
namespace {

// The data and shape recorded in the model's file replace the settings.
RunOptions recorded_options(const formats::Safetensors& content, const std::string& file,
                            RunOptions options) {
  options.model = model::Network::from_tensors(content, file).options();
  if (const std::optional<inference::Preparation> preparation =
          inference::Preparation::load(content, file)) {
    options.data.permutation_seed = preparation->permutation_seed;
    if (kind_of(options.data) == data::DataKind::kSeries && options.data.task == "auto") {
      options.data.task = preparation->readout.task->name();
    }
    if (preparation->front_end) options.front_end = preparation->front_end->options();
  }
  return options;
}

// The stages of pruning, for one model after the other.
class PruneRun {
 public:
  PruneRun(const std::string& file, const RunOptions& options, const RunContext& context)
      : pipeline_("prune", context, summary_) {
    subjects_.push_back({file, "pruned", formats::read_safetensors(file)});
    const std::string& against = options.prune.against;
    if (!against.empty())
      subjects_.push_back({against, "against", formats::read_safetensors(against)});
    options_ = recorded_options(subjects_.front().content, file, options);
    pipeline_.load(options_);
    for (const Subject& subject : subjects_) require_fit(subject);
    // A resumed run reads the models again.
    pipeline_.begin({file, against});
  }

  PruneSummary run() {
    std::vector<Stage> list;
    for (const Subject& subject : subjects_) add_stages(subject, list);
    list.push_back({"report", "", {}, [this](const Stage&) { write_report(); }});
    pipeline_.run(list);
    return std::move(summary_);
  }

 private:
  struct Subject {
    std::string file, name;
    formats::Safetensors content;
  };

  void require_fit(const Subject& subject) const {
    const std::string& file = subject.file;
    const model::Network network = model::Network::from_tensors(subject.content, file);
    try {
      train::check_fits(network, pipeline_.data().training);
    } catch (const Error& error) {
      fail(file, "does not fit the data: " + std::string(error.what()));
    }
    if (options_.prune.retrain && options_.quantize && !network.quantized() &&
        network.options().norm == model::Norm::kLayer &&
        !quant::folds_after_rounding(quant::resolved(options_.quant))) {
      fail(file,
           "model.norm = \"layer\" cannot be folded, which quant.weight requires with one scale "
           "per tensor or powers of two; expected quant.weight.granularity = \"channel\" and "
           "scales = \"free\"");
    }
    const std::string differs = pipeline_.data().preparation.difference(subject.content);
    if (!differs.empty()) {
      fail(file, "was trained on other data: its " + differs + " differs");
    }
  }

  // The points of a model share the network that results from training with the penalty.
  void add_stages(const Subject& subject, std::vector<Stage>& list) {
    list.push_back({subject.name, "testing " + subject.file, {}, [this, &subject](const Stage&) {
                      take(subject);
                    }});
    if (options_.prune.penalty > 0) {
      list.push_back({subject.name + "-penalty", "", training_settings(),
                      [this](const Stage& stage) { penalise(stage); }});
    }
    const std::vector<prune::PruneShares> points = prune::prune_points(options_.prune);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const std::string name =
          points.size() > 1 ? subject.name + "-" + std::to_string(i + 1) : subject.name;
      add_point(points[i], name, list);
    }
  }

  void add_point(const prune::PruneShares& shares, const std::string& name,
                 std::vector<Stage>& list) {
    list.push_back({name, "pruning to " + name, {}, [this, shares](const Stage& stage) {
                      prune_at_once(stage, shares);
                    }});
    if (options_.prune.retrain) {
      const std::vector<prune::PruneShares> way = prune::prune_schedule(options_.prune, shares);
      for (std::size_t i = 0; i < way.size(); ++i) {
        const std::string step = way.size() > 1 ? name + "-step" + std::to_string(i + 1) : name;
        const int epochs = epochs_of(way.size(), i);
        list.push_back(
            {step, "", training_settings(), [this, shares = way[i], epochs](const Stage& stage) {
               prune_and_retrain(stage, shares, epochs);
             }});
      }
    }
    list.push_back({name, "", {}, [this](const Stage& stage) { finish(stage); }});
  }

  // The settings of the shares do not count: every step prunes the network to its own.
  static std::vector<std::string> training_settings() {
    return {"data.",  "front_end.",    "augment.",        "quant.",
            "prune.", "!prune.states", "!prune.channels", "run."};
  }

  // The epochs of qat, divided among the steps; the last step gets the remainder.
  int epochs_of(std::size_t steps, std::size_t step) const {
    const int each = options_.qat.epochs / static_cast<int>(steps);
    return step + 1 < steps ? each : options_.qat.epochs - each * static_cast<int>(steps - 1);
  }

  double metric(const model::Network& network) const {
    const data::Dataset& test = pipeline_.data().test;
    if (test.count == 0) return std::numeric_limits<double>::quiet_NaN();
    return pipeline_.evaluate(network, test).metric();
  }

  void take(const Subject& subject) {
    original_ = std::make_unique<model::Network>(
        model::Network::from_tensors(subject.content, subject.file));
    PrunedModel& model = summary_.models.emplace_back();
    model.file = subject.file;
    model.quantized = original_->quantized();
    model.size = prune::size_of(*original_);
    model.memory = cost::count_memory(*original_);
    model.metric = metric(*original_);
    batches_ = score_batches(pipeline_.data().training, options_);
    whole_ = std::make_unique<model::Network>(*original_);
    set_noise(*whole_);
  }

  void set_noise(model::Network& network) const {
    if (!network.quantized()) return;
    quant::QuantOptions quant = network.quant_options();
    quant.weight_noise = options_.quant.weight_noise;
    quant.device_noise = options_.quant.device_noise;
    quant.noise_unit = options_.quant.noise_unit;
    quant.chip_steps = options_.quant.chip_steps;
    quant.noise_recurrence = options_.quant.noise_recurrence;
    network.requantize(quant, batches_, pipeline_.pool());
  }

  // Trains with a penalty that shrinks unimportant modes and channels.
  void penalise(const Stage& stage) {
    train::TrainContext context;
    context.after_step = [this](model::Network& trained, double rate) {
      prune::shrink_groups(trained, rate * options_.prune.penalty);
    };
    train(stage, *whole_, options_.prune.penalty_epochs, std::move(context));
  }

  model::Network pruned(const model::Network& network, const prune::PruneShares& shares) const {
    return prune::prune(network, options_.prune, shares, prune::size_of(*original_), batches_,
                        pipeline_.pool());
  }

  void prune_at_once(const Stage& stage, const prune::PruneShares& shares) {
    PrunePoint& point = summary_.models.back().points.emplace_back();
    point.wanted = shares;
    point.file = stage.name + ".safetensors";
    point.retrained = point.validation_metric = std::numeric_limits<double>::quiet_NaN();
    const model::Network at_once = pruned(*whole_, shares);
    point.one_shot = metric(at_once);
    smaller_ = std::make_unique<model::Network>(options_.prune.retrain ? *whole_ : at_once);
  }

  void prune_and_retrain(const Stage& stage, const prune::PruneShares& shares, int epochs) {
    *smaller_ = pruned(*smaller_, shares);
    if (!smaller_->quantized() && options_.quantize) {
      if (!quant::folds_after_rounding(quant::resolved(options_.quant))) smaller_->fold_norms();
      smaller_->quantize(options_.quant, calibration_batches(pipeline_.data().training, options_),
                         pipeline_.pool());
    }
    PrunePoint& point = summary_.models.back().points.back();
    point.training = train(stage, *smaller_, epochs, {});
    point.validation_metric = point.training.best_validation_metric;
  }

  train::TrainSummary train(const Stage& stage, model::Network& network, int epochs,
                            train::TrainContext context) {
    train::TrainOptions options = options_.qat;
    options.validation = options_.train.validation;
    options.epochs = epochs;
    context.teacher = {{original_.get()}, options_.qat.distill, options_.qat.temperature};
    context.config["checksum of the model"] = train::checksum(*original_);
    return pipeline_.train(stage, network, options, std::move(context));
  }

  void finish(const Stage& stage) {
    PrunePoint& point = summary_.models.back().points.back();
    pipeline_.finish(stage.name, *smaller_);
    if (options_.prune.retrain) point.retrained = metric(*smaller_);
    point.size = prune::size_of(*smaller_);
    point.memory = cost::count_memory(*smaller_);
  }

  void write_report() const {
    write_file(pipeline_.file("report.html"), report::to_html(prune_report(summary_)));
  }

  RunOptions options_;
  PruneSummary summary_;
  Pipeline pipeline_;
  std::vector<Subject> subjects_;
  std::vector<data::Batch> batches_;  // for scoring
  std::unique_ptr<model::Network> original_, whole_,
      smaller_;  // whole_: after training with the penalty
};

}  // namespace

void validate_prune(const RunOptions& options) {
  validate(options);
  if (!options.qat.stages.empty()) {
    fail("options", "qat.stages = \"" + options.qat.stages +
                        "\", expected none: a pruned model is retrained in its own formats");
  }
  if (options.qat.target_noise > 0) {
    fail("options", "qat.target_noise = " + exact_text(options.qat.target_noise) +
                        ", expected 0: a pruned model is retrained with the noise of [quant]");
  }
  if (options.prune.retrain && options.prune.schedule == prune::PruneSchedule::kGradual &&
      options.prune.steps > options.qat.epochs) {
    fail("options", "prune.steps = " + std::to_string(options.prune.steps) +
                        " exceeds qat.epochs = " + std::to_string(options.qat.epochs) +
                        "; expected at least one epoch for each step");
  }
}

std::vector<NetworkKind> networks_to_prune(const std::string& file, const RunOptions& options) {
  std::vector<NetworkKind> kinds;
  const auto add = [&](const std::string& name) {
    const inference::Model model = inference::Model::load(name);
    if (model.network() != nullptr) kinds.push_back(kind_of(*model.network()));
  };
  add(file);
  if (!options.prune.against.empty()) add(options.prune.against);
  return kinds;
}

PruneSummary prune_model(const std::string& file, const RunOptions& options,
                         const RunContext& context) {
  validate_prune(options);
  return PruneRun(file, options, context).run();
}

}  // namespace crosstate::pipeline
