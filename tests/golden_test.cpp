// Recorded results in tests/golden.json: trained weights, predictions of the shipped models by
// every executor, chips of every target. They change only for a reason stated in the commit.
//
// Recorded with the vector kernels for AVX2, which every supported x86-64 machine has and with
// which those for NEON on 64-bit Arm agree; other instruction sets round some products differently.
// To record changed results again:
//   CROSSTATE_RECORD=1 build/release/crosstate_tests --gtest_filter='Golden.*'
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/json.h"
#include "crosstate/data/testing.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/engine.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/run.h"
#include "crosstate/simulate/chip.h"

namespace crosstate {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::string kRecord = CROSSTATE_SOURCE_DIR "/tests/golden.json";

class Digest : public Fnv1a<std::uint64_t> {
 public:
  using Fnv1a::add;
  template <class T>
  void add(const std::vector<T>& values) {
    add(values.data(), values.size() * sizeof(T));
  }
};

std::string digest(const formats::Tensor& tensor) {
  Digest hash;
  hash.add(tensor.dtype.data(), tensor.dtype.size());
  hash.add(tensor.shape);
  hash.add(tensor.bytes.data(), tensor.bytes.size());
  return hash.text();
}

// By tensor, so that a difference is reported for the tensor. Metadata may gain entries.
json digests(const formats::Safetensors& content) {
  json found;
  for (const auto& [name, tensor] : content.tensors) found[name] = digest(tensor);
  return found;
}

class Golden : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> known = kernels::kernel_targets();
    const auto recorded = std::find_if(known.begin(), known.end(), [](const std::string& name) {
      return name == "AVX2" || name.starts_with("NEON");
    });
    if (recorded == known.end()) {
      GTEST_SKIP() << "recorded with AVX2, which this machine lacks";
    }
    kernels::select_kernel_target(*recorded);
  }
  void TearDown() override { kernels::select_kernel_target("best"); }

  static void expect_recorded(const std::string& name, const json& found) {
    json record = parse_json(read_file(kRecord));
    if (std::getenv("CROSSTATE_RECORD") != nullptr) {
      record[name] = found;
      write_file(kRecord, exact_json_text(record, 1) + '\n');
    }
    ASSERT_TRUE(record.contains(name))
        << name << " was never recorded: " << exact_json_text(found, 1);
    EXPECT_EQ(record[name], found)
        << name << ": " << exact_json_text(json::diff(record[name], found), 1);
  }

  static formats::Safetensors model(const std::string& name) {
    return formats::read_safetensors(CROSSTATE_SOURCE_DIR "/models/" + name + ".safetensors");
  }

  ThreadPool pool_{2};
};

// --- training
// --------------------------------------------------------------------------------------

class GoldenTraining : public Golden {
 protected:
  // Trains for some epochs on a small set and records every tensor of every stage.
  void train(const std::string& name, const std::vector<std::string>& settings,
             const std::string& target = "") {
    pipeline::RunOptions options;
    if (!target.empty()) options.target = crossbar::read_target(target);
    FieldList fields = options.fields();
    for (const char* setting :
         {"data.train_limit=160", "data.test_limit=32", "run.calibration=32", "model.channels=5",
          "model.states=6", "model.layers=2", "train.batch=32", "qat.batch=32", "train.epochs=2",
          "qat.epochs=2"}) {
      fields.set(setting);
    }
    for (const std::string& setting : settings) fields.set(setting);
    pipeline::RunContext context;
    context.directory = directory_.path() / "out";
    context.pool = &pool_;
    pipeline::run(options, context);
    json found;
    for (const char* stage : {"float", "pruned", "ptq", "qat"}) {
      const fs::path file = context.directory / (std::string(stage) + ".safetensors");
      if (fs::exists(file)) found[stage] = digests(formats::read_safetensors(file));
    }
    expect_recorded("training " + name, found);
  }

  const data::reference::SoundDirectory directory_;
};

TEST_F(GoldenTraining, EightBits) { train("w8a8s8", {}); }

TEST_F(GoldenTraining, TernaryWithAllHelpers) {
  train("w2a8s8", {"quant.preset=w2a8s8", "qat.epochs=3", "qat.distill=0.5", "qat.average=0.9",
                   "qat.stages=w8a8s8:1 w2a8s8:2", "quant.state.rounding=stochastic"});
}

TEST_F(GoldenTraining, FourBitsWithErrorFeedback) {
  train("w4a4s4 feedback", {"quant.preset=w4a4s4", "quant.state.residue_bits=14",
                            "model.dropout=0.1", "train.label_smoothing=0.1"});
}

TEST_F(GoldenTraining, PermutedPixelsAndRealModes) {
  train("permuted, real",
        {"data.permutation_seed=1", "model.modes=real", "model.init=real", "model.layers=1"});
}

TEST_F(GoldenTraining, PrunedBeforeQuantization) {
  train("pruned", {"run.prune=true", "prune.states=0.5", "prune.channels=0.2"});
}

TEST_F(GoldenTraining, WithTheNoiseOfATarget) {
  train("taox-64x64", {"qat.target_noise=1"}, "taox-64x64");
}

TEST_F(GoldenTraining, RecordingsThroughTheFrontEnd) {
  const data::Recordings set = data::reference::tone_set(48, 1);
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    const data::Recording& item = set.items[i];
    data::reference::write_sound(directory_.path() / "tones" /
                                     (set.classes[static_cast<std::size_t>(item.label)] + '_' +
                                      item.speaker + '_' + std::to_string(i / 6) + ".wav"),
                                 item.samples);
  }
  train("recordings", {"data.directory=" + (directory_.path() / "tones").string(),
                       "augment.shift=0.02", "augment.speed=0.1", "train.batch=8", "qat.batch=8"});
}

// --- shipped models
// --------------------------------------------------------------------------------

// One digit for each sequence.
std::string classes_of(const std::vector<std::size_t>& predictions) {
  std::string text;
  for (const std::size_t p : predictions) text += static_cast<char>('0' + p);
  return text;
}

template <class Result>
std::string classes_of(const std::vector<Result>& results) {
  std::vector<std::size_t> predictions;
  for (const Result& result : results) predictions.push_back(result.best());
  return classes_of(predictions);
}

class GoldenModels : public Golden {
 protected:
  // Test digits of the built-in sample, prepared for the model.
  data::Dataset digits(const formats::Safetensors& content) {
    return pipeline::load_test_data({}, inference::Preparation::load(content, "model"), "model",
                                    pool_);
  }

  static data::Batch batch_of(const data::Dataset& set, std::size_t count) {
    std::vector<std::uint32_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<std::uint32_t>(i);
    data::Batch batch;
    data::fill_batch(set, order, 28, batch);
    return batch;
  }

  json by_network(const model::Network& network, const data::Batch& batch) {
    std::vector<float> logits;
    network.evaluate(batch, pool_, &logits);
    std::vector<std::size_t> predictions;
    for (std::size_t i = 0; i < batch.count; ++i) {
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(10 * i);
      predictions.push_back(static_cast<std::size_t>(std::max_element(first, first + 10) - first));
    }
    Digest hash;
    hash.add(logits);
    return {{"classes", classes_of(predictions)}, {"logits", hash.text()}};
  }

  static std::vector<float> sequence(const data::Batch& batch, std::size_t number) {
    std::vector<float> values(batch.length);
    for (std::size_t t = 0; t < batch.length; ++t) {
      values[t] = batch.group(number / kLanes)[batch.offset(0, t, number % kLanes)];
    }
    return values;
  }

  static std::string scores_of(const std::vector<integer::IntegerResult>& results) {
    Digest hash;
    for (const integer::IntegerResult& result : results) {
      hash.add(result.scores);
      hash.add(&result.count, sizeof result.count);
    }
    return hash.text();
  }

  // Batches, one sequence step by step, the reference executor and an ideal chip, which must all
  // agree.
  json by_whole_numbers(const integer::IntegerNetwork& network, const data::Batch& batch) {
    const std::vector<integer::IntegerResult> engine =
        integer::IntegerEngine(network).run(batch, pool_);
    integer::IntegerStream stream(network);
    integer::ReferenceExecutor reference(network);
    std::vector<integer::IntegerResult> streamed, specified;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::vector<float> values = sequence(batch, i);
      stream.reset();
      for (const float value : values) stream.step({&value, 1});
      streamed.push_back(stream.result());
      specified.push_back(reference.run(values, values.size()));
    }
    const std::vector<integer::IntegerResult> first(engine.begin(), engine.begin() + 4);
    EXPECT_EQ(scores_of(streamed), scores_of(first));
    EXPECT_EQ(scores_of(specified), scores_of(first));

    const crossbar::Target target = crossbar::ideal_target(crossbar::read_target("ideal"));
    const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, batch.length);
    const std::vector<simulate::ChipResult> chip =
        simulate::Chip(network, mapping, target, 1, 0).run(batch, 0, pool_);
    for (std::size_t i = 0; i < engine.size(); ++i) {
      for (std::size_t c = 0; c < engine[i].scores.size(); ++c) {
        EXPECT_EQ(chip[i].scores[c] - static_cast<double>(engine[i].scores[c]), 0) << i << ' ' << c;
      }
    }
    return {{"classes", classes_of(engine)}, {"scores", scores_of(engine)}};
  }
};

TEST_F(GoldenModels, PredictTheSameByEveryExecutor) {
  for (const char* name : {"smnist.float", "smnist", "smnist.integer", "smnist-pruned",
                           "smnist-pruned-w4", "smnist-taox", "smnist-pcm-1y"}) {
    SCOPED_TRACE(name);
    const formats::Safetensors content = model(name);
    const data::Batch batch = batch_of(digits(content), 32);
    json found;
    if (integer::is_integer_network(content)) {
      found["integer"] = by_whole_numbers(integer::integer_network_from(content, name), batch);
    } else {
      model::Network network = model::Network::from_tensors(content, name);
      if (network.quantized()) {
        found["fake"] = by_network(network, batch);
        found["integer"] = by_whole_numbers(integer::to_integers(network), batch);
        network.drop_rounding();
      }
      found["float"] = by_network(network, batch);
    }
    expect_recorded(std::string("model ") + name, found);
  }
}

// --- chips
// -----------------------------------------------------------------------------------------

TEST_F(GoldenModels, ProgramsTheSameChipsOfEveryTarget) {
  const formats::Safetensors content = model("smnist-pruned-w4");
  const integer::IntegerNetwork network =
      integer::to_integers(model::Network::from_tensors(content, "model"));
  // Four rows of pixels from the middle: enough steps for every part of a chip to have an effect.
  data::Dataset digits_of_model = digits(content);
  data::Dataset rows = data::first(digits_of_model, 16);
  rows.length = 4 * 28;
  rows.values.clear();
  for (std::size_t i = 0; i < rows.count; ++i) {
    const auto middle = digits_of_model.sequence(i).subspan(12 * 28, rows.length);
    rows.values.insert(rows.values.end(), middle.begin(), middle.end());
  }
  rows.validate();
  const data::Batch batch = batch_of(rows, rows.count);
  for (const std::string& name : crossbar::target_names()) {
    SCOPED_TRACE(name);
    const crossbar::Target target = crossbar::read_target(name);
    const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, batch.length);
    simulate::Chip chip(network, mapping, target, 7, 3);
    chip.calibrate(batch);
    json found;
    for (const double age : {0.0, 86400.0}) {
      chip.age_to(age);
      Digest cells, scores;
      for (const crossbar::ProgrammedArray& array : chip.arrays()) {
        for (const device::Cells& copy : array.copies()) {
          const auto held = copy.conductance();
          cells.add(held.data(), held.size() * sizeof held[0]);
        }
      }
      const std::vector<simulate::ChipResult> results = chip.run(batch, 0, pool_);
      for (const simulate::ChipResult& result : results) scores.add(result.scores);
      found["after " + std::to_string(static_cast<int>(age)) + " s"] = {
          {"cells", cells.text()}, {"classes", classes_of(results)}, {"scores", scores.text()}};
    }
    expect_recorded("chip " + name, found);
  }
}

}  // namespace
}  // namespace crosstate
