// Saved networks, including the evaluation of a first batch.
#include "crosstate/model/network.h"

#include "crosstate/cost/memory.h"
#include "fuzz/target.h"

namespace {

using namespace crosstate;

model::Network network_of(const std::string& bytes) {
  return model::Network::from_tensors(formats::parse_safetensors(bytes, "fuzz.safetensors"),
                                      "fuzz.safetensors");
}

void evaluate(model::Network& network) {
  static ThreadPool pool(1);
  data::Dataset set;
  set.count = 3;
  set.length = 5;
  set.channels = static_cast<std::size_t>(network.task().inputs);
  set.values.assign(set.count * set.length * set.channels, 0.5f);
  set.readout.names.resize(static_cast<std::size_t>(network.task().outputs));
  set.readout.scope = network.options().readout;
  set.targets.assign(set.count * set.readout.targets(set.length), 0);
  const std::uint32_t order[] = {0, 1, 2};
  data::Batch batch;
  data::fill_batch(set, order, static_cast<std::size_t>(network.options().block_length), batch);
  std::vector<float> logits;
  const model::BatchResult result = network.evaluate(batch, pool, &logits);
  fuzz::require(task::primary_value(set.readout, result.sums) <= 1,
                "at most as many hits as targets");
}

}  // namespace

void crosstate::fuzz::read(const std::string& bytes) {
  model::Network network = network_of(bytes);
  const std::string written = formats::format_safetensors(network.to_tensors());
  require(formats::format_safetensors(network_of(written).to_tensors()) == written,
          "a network that reads back");
  cost::count_memory(network);
  evaluate(network);
}
