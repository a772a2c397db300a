// Trains, saves and loads a network, runs it with integers, simulates it on chips and computes its
// cost.
#include <crosstate/cost/price.h>
#include <crosstate/data/mnist.h>
#include <crosstate/inference/model.h>
#include <crosstate/pipeline/data.h>
#include <crosstate/simulate/simulate.h>
#include <crosstate/train/trainer.h>

#include <cstdio>
#include <filesystem>

using namespace crosstate;

int main() {
  ThreadPool pool;
  const data::TrainTest digits = data::read_mnist_sample();
  const data::Dataset training = data::first(digits.train, 3000),
                      test = data::first(digits.test, 100);

  // Float training, then quantization-aware training of weights, activations and states.
  model::Network network({.channels = 8, .states = 8, .layers = 1}, {.inputs = 1, .outputs = 10},
                         1);
  train::TrainOptions options;
  options.epochs = 3;
  options.batch = 16;
  train::train(network, training, {}, options, {});
  network.quantize(quant::quant_preset("w8a8s8"), pipeline::calibration_batches(training, {}),
                   pool);
  train::train(network, training, {}, options, {});
  network.fold_norms();

  const auto file = std::filesystem::temp_directory_path() / "digits.safetensors";
  inference::Model(network, inference::Preparation{.readout = training.readout}).save(file);
  const inference::Model model = inference::Model::load(file);
  std::filesystem::remove(file);
  const inference::Predictions predictions =
      model.predict(test, inference::ModelBackend::kInteger, pool);
  const simulate::SimulateSummary chips =
      simulate::simulate(model, crossbar::read_target("ideal"), test, pool, {.chips = 2});
  const cost::Estimate cost = cost::price(model, cost::find_technology("mcu-int8"), test.length);

  const inference::Evaluation digital = inference::evaluate(predictions, test, model.name());
  std::printf("integers: %s\n", test.readout.task->text(test.readout, digital.sums).c_str());
  std::printf("on %zu arrays: %.1f %%\n", chips.arrays, 100 * chips.first().mean);
  std::printf("on %s: %.3g ms\n", cost.target.c_str(), 1e-6 * cost.latency.total(784).typical);
  return chips.first().mean > 0.4 ? 0 : 1;
}
