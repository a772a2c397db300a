#include "crosstate/inference/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::inference {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr ModelBackend kAll[] = {ModelBackend::kFloat, ModelBackend::kFakeQuantized,
                                 ModelBackend::kInteger, ModelBackend::kReference};

class ModelTest : public DirectoryTest {
 protected:
  ModelTest() { preparation_.readout = set_.readout; }

  model::Network in_floating_point() const {
    return model::reference::random_network(integer::fixtures::shape(4), integer::fixtures::kTask);
  }
  model::Network quantized() const {
    return integer::fixtures::rounded_network(4, set_, integer::fixtures::format(4, true));
  }
  // Saves and loads a model; saving it again must give the same bytes.
  Model reloaded(const Model& model) const {
    const fs::path file = directory_ / "model.safetensors";
    model.save(file);
    Model loaded = Model::load(file);
    EXPECT_EQ(formats::format_safetensors(loaded.to_tensors()),
              formats::format_safetensors(model.to_tensors()));
    EXPECT_EQ(loaded.name(), file.string());
    return loaded;
  }

  ThreadPool pool_{1};
  data::Dataset set_ = integer::fixtures::sequences(4);
  Preparation preparation_;
};

TEST_F(ModelTest, RoundTripsWithAndWithoutPreparation) {
  for (const bool prepared : {false, true}) {
    std::optional<Preparation> preparation;
    if (prepared) preparation = preparation_;
    const Model floats = reloaded(Model(in_floating_point(), preparation));
    const Model rounded = reloaded(Model(quantized(), preparation));
    const Model integers = reloaded(rounded.to_integers());
    EXPECT_FALSE(floats.quantized());
    EXPECT_TRUE(rounded.quantized());
    EXPECT_NE(rounded.network(), nullptr);
    EXPECT_EQ(integers.network(), nullptr);
    EXPECT_EQ(floats.backend(), ModelBackend::kFloat);
    EXPECT_EQ(rounded.backend(), ModelBackend::kFakeQuantized);
    EXPECT_EQ(integers.backend(), ModelBackend::kInteger);
    for (const Model* model : {&floats, &rounded, &integers}) {
      EXPECT_EQ(model->preparation().has_value(), prepared);
      EXPECT_EQ(model->shape().inputs, 2);
    }
  }
}

TEST_F(ModelTest, ExchangesTheArithmeticOfItsFrontEnd) {
  const auto front_end = [](double floor) {
    return data::FrontEnd({.bands = 2, .floor = floor}, 8000);
  };
  preparation_.front_end = front_end(-80);
  for (const Model& model : {Model(in_floating_point(), preparation_, "kws"),
                             Model(quantized(), preparation_, "kws").to_integers()}) {
    const Model whole = reloaded(model.with_front_end(data::FrontEndArithmetic::kInteger));
    EXPECT_NE(whole.preparation()->front_end->integers(), nullptr);
    EXPECT_EQ(whole.network() == nullptr, model.network() == nullptr);
    EXPECT_EQ(formats::format_safetensors(
                  whole.with_front_end(data::FrontEndArithmetic::kFloat).to_tensors()),
              formats::format_safetensors(model.to_tensors()));
  }
  const auto exchange = [](const Model& model) {
    return [&] { model.with_front_end(data::FrontEndArithmetic::kInteger); };
  };
  preparation_.front_end = front_end(-110);
  const Model quiet(in_floating_point(), preparation_, "kws");
  EXPECT_THAT(exchange(quiet), ThrowsMessage<Error>(HasSubstr("kws: front_end.floor = -110")));
  preparation_.front_end.reset();
  const Model images(in_floating_point(), preparation_, "digits"),
      alone(in_floating_point(), std::nullopt, "digits");
  EXPECT_THAT(exchange(images), ThrowsMessage<Error>(HasSubstr("digits: has no front end")));
  EXPECT_THAT(exchange(alone), ThrowsMessage<Error>(HasSubstr("digits: has no front end")));
}

TEST_F(ModelTest, PredictsWhatItsExecutorsDo) {
  const model::Network network = quantized();
  const Model model(network);
  const data::Batch batch = model::reference::batch_of(set_);
  std::vector<float> logits;
  network.evaluate(batch, pool_, &logits);
  EXPECT_EQ(model.predictor(ModelBackend::kFakeQuantized).run(batch, pool_).values, logits);
  const Predictions fast = model.predictor(ModelBackend::kInteger).run(batch, pool_);
  const Predictions plain = model.predictor(ModelBackend::kReference).run(batch, pool_);
  EXPECT_EQ(fast.values, plain.values);
  EXPECT_EQ(fast.largest, plain.largest);
  model::Network floats = network;
  floats.drop_rounding();
  floats.evaluate(batch, pool_, &logits);
  EXPECT_EQ(model.predictor(ModelBackend::kFloat).run(batch, pool_).values, logits);
}

// Sets are run in batches by ascending length; results are in the order of the set.
TEST_F(ModelTest, KeepsTheOrderOfASet) {
  const Model model(quantized());
  for (const ModelBackend backend : kAll) {
    const Predictions all = model.predict(set_, backend, pool_);
    ASSERT_EQ(all.count(), set_.count);
    for (const std::uint32_t row : {0u, 7u, 39u}) {
      const Predictions one = model.predict(data::select(set_, {{row}}, "one"), backend, pool_);
      EXPECT_TRUE(std::ranges::equal(one.of(0).values, all.of(row).values))
          << name_of(backend) << row;
      EXPECT_EQ(one.largest[0], all.largest[row]);
    }
  }
  EXPECT_FALSE(model.predict(set_, ModelBackend::kFloat, pool_, [] { return true; }));
}

TEST_F(ModelTest, ScoresAsTheNetworkIsTrained) {
  const model::Network network = quantized();
  const Predictions predictions = Model(network).predict(set_, ModelBackend::kFakeQuantized, pool_);
  const Evaluation result = evaluate(predictions, set_, "m");
  const model::BatchResult expected = network.evaluate(model::reference::batch_of(set_), pool_);
  EXPECT_EQ(result.sums, expected.sums);
  EXPECT_NEAR(result.loss, expected.loss, 1e-6);
}

TEST_F(ModelTest, PredictsEveryStep) {
  data::Dataset set = model::reference::random_step_set(6, 40, 37, integer::fixtures::kTask, true);
  model::ModelOptions options = integer::fixtures::shape(4);
  options.readout = task::Scope::kStep;
  model::Network network = model::reference::random_network(options, integer::fixtures::kTask);
  const data::Batch batch = model::reference::batch_of(set);
  network.quantize(integer::fixtures::format(4, true), {&batch, 1}, pool_);
  Preparation preparation;
  preparation.readout = set.readout;
  const Model rounded = reloaded(Model(network, preparation));
  const Model integers = reloaded(rounded.to_integers());
  EXPECT_EQ(rounded.readout(), set.readout);
  EXPECT_EQ(Model(network).readout().scope, task::Scope::kStep);
  EXPECT_EQ(integers.scope(), task::Scope::kStep);

  const Predictions fake = rounded.predict(set, ModelBackend::kFakeQuantized, pool_);
  const Predictions fast = integers.predict(set, ModelBackend::kInteger, pool_);
  const Predictions plain = integers.predict(set, ModelBackend::kReference, pool_);
  std::size_t steps = 0;
  for (std::size_t i = 0; i < set.count; ++i) steps += set.length_of(i);
  EXPECT_EQ(fast.count(), steps);
  EXPECT_EQ(fast.values, plain.values);
  EXPECT_EQ(fast.largest, plain.largest);
  EXPECT_EQ(fast.first, plain.first);
  EXPECT_EQ(fake.values, fast.values);
  const Evaluation result = evaluate(fake, set, "m");
  const model::BatchResult expected = network.evaluate(batch, pool_);
  EXPECT_EQ(result.sums, expected.sums);
  EXPECT_NEAR(result.loss, expected.loss, 1e-6);

  ModelStream stream = integers.stream();
  for (std::size_t i = 0; i < set.count; ++i) {
    std::size_t t = 0;
    for (; t < set.length_of(i); ++t) {
      stream.push(set.sequence(i).subspan(2 * t, 2), [&] {
        EXPECT_TRUE(std::ranges::equal(stream.result().logits(), fast.of(i, t).values));
        EXPECT_EQ(stream.result().best(), fast.of(i, t).largest);
      });
    }
    stream.reset();
  }

  EXPECT_THAT([&] { rounded.predict(set_, ModelBackend::kInteger, pool_); },
              ThrowsMessage<Error>(
                  HasSubstr("read at every step, but random has a target of every sequence")));
  EXPECT_THAT([&] { evaluate(fast, set_, "m"); },
              ThrowsMessage<Error>(HasSubstr("m: read at every step")));
  data::Dataset unknown = set;
  std::ranges::fill(unknown.targets, task::kNotCounted);
  EXPECT_THAT([&] { evaluate(fast, unknown, "m"); },
              ThrowsMessage<Error>(HasSubstr("no step has a target, expected at least one")));
  set.readout.scope = task::Scope::kSequence;
  preparation.readout = set.readout;
  EXPECT_THAT([&] { Model::from_tensors(Model(network, preparation).to_tensors(), "m"); },
              ThrowsMessage<Error>(HasSubstr("metadata 'readout'")));
}

TEST_F(ModelTest, StreamsWhatItPredicts) {
  for (const Model& model : {Model(quantized(), preparation_), Model(quantized()).to_integers()}) {
    const Predictions expected = model.predict(set_, ModelBackend::kInteger, pool_);
    ModelStream stream = model.stream();
    ASSERT_EQ(stream.width(), 2u);
    for (std::size_t i = 0; i < set_.count; ++i) {
      int steps = 0;
      for (std::size_t t = 0; t < set_.length_of(i); ++t) {
        stream.push(set_.sequence(i).subspan(2 * t, 2), [&] { ++steps; });
      }
      EXPECT_EQ(stream.steps(), steps);
      EXPECT_EQ(steps, static_cast<int>(set_.length_of(i)));
      EXPECT_TRUE(std::ranges::equal(stream.result().logits(), expected.of(i).values));
      EXPECT_EQ(stream.result().best(), expected.largest[i]);
      stream.reset();
    }
    EXPECT_THAT([&] { stream.push(std::vector<float>(3)); },
                ThrowsMessage<Error>(HasSubstr("3 values in a time step, expected 2")));
  }
}

TEST_F(ModelTest, DoesNotStreamPermutedSteps) {
  preparation_.permutation_seed = 3;
  preparation_.permuted_steps = 37;
  EXPECT_THAT([&] { Model(quantized(), preparation_, "m").stream(); },
              ThrowsMessage<Error>(HasSubstr("m: reads its time steps in a permuted order")));
}

TEST_F(ModelTest, TellsWhichBackendsItHas) {
  const Model floats(in_floating_point(), {}, "m"),
      integers = Model(quantized(), {}, "m").to_integers();
  for (const ModelBackend backend :
       {ModelBackend::kFakeQuantized, ModelBackend::kInteger, ModelBackend::kReference}) {
    EXPECT_THAT([&] { floats.predictor(backend); },
                ThrowsMessage<Error>("m: is a float model, expected --backend float"));
  }
  EXPECT_THAT([&] { floats.integers(); },
              ThrowsMessage<Error>(HasSubstr("m: is a float model, expected a quantized")));
  for (const ModelBackend backend : {ModelBackend::kFloat, ModelBackend::kFakeQuantized}) {
    EXPECT_THAT(
        [&] { integers.predictor(backend); },
        ThrowsMessage<Error>(HasSubstr("m: is an integer network, expected --backend integer")));
  }
  quant::QuantOptions open = integer::fixtures::format(4, true);
  open.state.bits = 0;
  const Model partly(integer::fixtures::rounded_network(4, set_, open), {}, "m");
  EXPECT_THAT([&] { partly.predictor(ModelBackend::kInteger); },
              ThrowsMessage<Error>(HasSubstr("quant.state.bits = 0: not an integer network")));
  EXPECT_THAT(partly.not_integer(), HasSubstr("quant.state.bits = 0"));
}

TEST_F(ModelTest, RefusesOtherData) {
  const Model model(quantized(), {}, "m");
  data::Dataset narrow = set_;
  narrow.channels = 1;
  for (const ModelBackend backend : kAll) {
    EXPECT_THAT([&] { model.predict(narrow, backend, pool_); },
                ThrowsMessage<Error>(HasSubstr("m: made for 2 channels and 4 classes, but")));
  }
}

TEST_F(ModelTest, NamesAFileThatItCannotLoad) {
  EXPECT_THAT([&] { Model::load(directory_ / "absent.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("absent.safetensors")));
  formats::write_safetensors(directory_ / "other.safetensors", {});
  EXPECT_THAT([&] { Model::load(directory_ / "other.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("other.safetensors")));
}

TEST_F(ModelTest, RefusesWhatItDoesNotKnow) {
  for (const Model& model :
       {Model(in_floating_point(), preparation_), Model(quantized(), preparation_),
        Model(quantized(), preparation_).to_integers()}) {
    const formats::Safetensors good = model.to_tensors();
    EXPECT_NO_THROW(Model::from_tensors(good, "m"));
    formats::Safetensors bad = good;
    bad.tensors["layers.0.B"] = formats::Tensor::from(std::vector<float>{1}, {1});
    const auto load = [&] { Model::from_tensors(bad, "m"); };
    EXPECT_THAT(load, ThrowsMessage<Error>("m: unknown tensor 'layers.0.B'"));
    bad = good;
    bad.metadata["clases"] = "[]";
    EXPECT_THAT(load, ThrowsMessage<Error>("m: unknown key 'clases' in the metadata"));
    // Parts of a preparation without the others.
    bad = good;
    bad.metadata.erase("classes");
    EXPECT_THAT(load, ThrowsMessage<Error>("m: unknown key 'permutation_seed' in the metadata"));
  }
}

TEST_F(ModelTest, TellsACheckpointOfTraining) {
  formats::Safetensors content = Model(in_floating_point(), preparation_).to_tensors();
  content.metadata[model::kCheckpointKey] = "[]";
  EXPECT_THAT([&] { Model::from_tensors(content, "m"); },
              ThrowsMessage<Error>(HasSubstr("m: a checkpoint of training")));
}

TEST_F(ModelTest, DescribesItself) {
  const Model model(quantized());
  const nlohmann::json rounded = model.describe();
  EXPECT_EQ(rounded.at("inputs"), 2);
  EXPECT_EQ(rounded.at("quantized"), true);
  EXPECT_EQ(rounded.at("parameters"), model.network()->parameter_count());
  EXPECT_EQ(rounded.at("layers").size(),
            static_cast<std::size_t>(integer::fixtures::shape(4).layers));
  EXPECT_LT(rounded.at("layers").at(0).at("a_max"), 1);
  EXPECT_EQ(model.to_integers().describe().at("inputs"), 2);
}

TEST(IntegerFile, StandsBesideTheModel) {
  EXPECT_EQ(integer_file("out/qat.safetensors"), fs::path("out/qat.integer.safetensors"));
}

}  // namespace
}  // namespace crosstate::inference
