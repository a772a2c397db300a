#include "crosstate/train/context.h"

#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/train/evaluate.h"

namespace crosstate::train {
namespace {

void check_teacher(const Teacher& teacher, const model::Network& network,
                   const data::Dataset& training) {
  if (!(teacher.weight >= 0 && teacher.weight <= 1)) {
    fail("teacher", "a weight of " + std::to_string(teacher.weight) + ", expected 0 to 1");
  }
  if (!(teacher.streams >= 0 && std::isfinite(teacher.streams))) {
    fail("teacher", "a weight of streams of " + std::to_string(teacher.streams) +
                        ", expected a finite number, 0 or more");
  }
  if (!teacher.teaches()) return;
  if (!(teacher.temperature > 0 && std::isfinite(teacher.temperature))) {
    fail("teacher", "a temperature of " + std::to_string(teacher.temperature) +
                        ", expected a finite number above 0");
  }
  if (teacher.networks.empty()) fail("teacher", "a weight above 0, but no network");
  for (const model::Network* one : teacher.networks) check_fits(*one, training);
  if (teacher.streams == 0) return;
  if (teacher.networks.size() > 1) {
    fail("teacher", "a weight of streams and " + std::to_string(teacher.networks.size()) +
                        " networks, expected one");
  }
  network.require_same_streams(*teacher.networks.front());
}

void check_stages(const model::Network& network, const TrainOptions& options,
                  const TrainContext& context) {
  if (context.stages.empty()) return;
  if (!network.quantized() || network.quant_options() != quant::resolved(context.stages[0].quant)) {
    fail(context.stage, "the network is not in the formats of the first stage");
  }
  int epochs = 0;
  for (const QuantStage& stage : context.stages) {
    if (stage.epochs < 1) {
      fail(context.stage, "stage " + stage.name + " has " + std::to_string(stage.epochs) +
                              " epochs, expected at least 1");
    }
    epochs += stage.epochs;
  }
  if (epochs != options.epochs) {
    fail(context.stage, "stages of " + std::to_string(epochs) + " epochs in all, expected " +
                            std::to_string(options.epochs));
  }
}

}  // namespace

void validate(const TrainContext& context, const model::Network& network,
              const data::Dataset& training, const TrainOptions& options) {
  check_teacher(context.teacher, network, training);
  check_stages(network, options, context);
}

}  // namespace crosstate::train
