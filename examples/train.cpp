// From data in memory to a deployed network, on your own sequences.
//
// Trains a small network to distinguish slow from fast oscillations in noise, quantizes weights,
// activations and state to 8 bits, trains it further, and classifies with integers, one time step
// at a time, as on a microcontroller. The last lines save the network and read it back.
#include <crosstate/base/random.h>
#include <crosstate/integer/convert.h>
#include <crosstate/integer/engine.h>
#include <crosstate/train/trainer.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>

using namespace crosstate;

// Sines of 2 to 3 (slow) or 5 to 6 (fast) periods, with any phase and noise.
data::Dataset oscillations(std::size_t count, std::uint64_t seed) {
  data::Dataset set;
  set.name = "oscillations";
  set.count = count;
  set.length = 64;
  set.readout.names = {"slow", "fast"};
  for (std::size_t i = 0; i < count; ++i) {
    Random random(seed, Stream::kTest, static_cast<std::uint32_t>(i));
    const int label = static_cast<int>(random.below(2));
    const double periods = (label == 0 ? 2 : 5) + random.uniform(0, 1);
    const double phase = random.uniform(0, 6.28);
    for (std::size_t t = 0; t < set.length; ++t) {
      const double angle = 6.28 * periods * static_cast<double>(t) / 64 + phase;
      set.values.push_back(static_cast<float>(std::sin(angle) + random.uniform(-0.5, 0.5)));
    }
    set.targets.push_back(static_cast<float>(label));
  }
  set.validate();
  return set;
}

// The first `count` sequences in the layout of the kernels.
data::Batch batch_of(const data::Dataset& set, std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  data::Batch batch;
  data::fill_batch(set, order, 28, batch);
  return batch;
}

int main() {
  const data::Dataset training = oscillations(400, 1), validation = oscillations(100, 2);
  const data::Dataset test = oscillations(200, 3);
  ThreadPool pool(2);

  // Float training.
  model::ModelOptions model;
  model.channels = 6;
  model.states = 6;
  model.layers = 1;
  model.dt_min = 0.02;
  model.dt_max = 0.5;
  model::Network network(model, {.inputs = 1, .outputs = 2}, 1);
  train::TrainOptions options;
  options.epochs = 6;
  options.batch = 20;
  options.learning_rate = 0.02;
  train::TrainContext context;
  context.pool = &pool;
  train::train(network, training, validation, options, context);
  std::printf("float: %.1f %%\n", 100 * train::evaluate_metric(network, test, 100, pool));

  // Quantization-aware training of weights, activations and state.
  network.quantize(quant::quant_preset("w8a8s8"), std::vector{batch_of(training, 64)}, pool);
  std::printf("rounded: %.1f %%\n", 100 * train::evaluate_metric(network, test, 100, pool));
  options.epochs = 4;
  train::train(network, training, validation, options, context);
  network.fold_norms();
  std::printf("trained with quantization: %.1f %%\n",
              100 * train::evaluate_metric(network, test, 100, pool));

  // Integer inference.
  const integer::IntegerNetwork integers = integer::to_integers(network);
  integer::IntegerStream stream(integers);
  std::size_t correct = 0;
  for (std::size_t i = 0; i < test.count; ++i) {
    stream.reset();
    for (const float& value : test.sequence(i)) stream.step({&value, 1});
    correct += stream.result().best() == static_cast<std::size_t>(test.targets[i]) ? 1 : 0;
  }
  const double accuracy = static_cast<double>(correct) / static_cast<double>(test.count);
  std::printf("integers: %.1f %%, %zu bytes\n", 100 * accuracy, stream.bytes());

  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / "oscillations.integer.safetensors";
  formats::write_safetensors(file, integer::to_tensors(integers));
  const integer::IntegerNetwork loaded =
      integer::integer_network_from(formats::read_safetensors(file), file);
  std::filesystem::remove(file);
  const bool same =
      integer::to_tensors(loaded).tensors.size() == integer::to_tensors(integers).tensors.size();
  return accuracy > 0.9 && same ? 0 : 1;
}
