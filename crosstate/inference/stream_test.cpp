// Streams of models with a front end against their recordings as whole sequences; model_test.cpp
// has those without.
#include "crosstate/inference/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/testing.h"

namespace crosstate::inference {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class StreamOfSamples : public testing::Test {
 protected:
  StreamOfSamples() { preparation_.readout = set_.readout; }

  // Two features for the two inputs of the network, and a hop of 80 samples.
  static data::FrontEnd front_end(data::FrontEndArithmetic arithmetic) {
    return data::FrontEnd({.arithmetic = arithmetic, .bands = 2}, 8000);
  }
  // Noise with pauses, of a length that is no multiple of the hop.
  static std::vector<float> sound(std::uint64_t number, std::size_t samples) {
    Random random(number, Stream::kTest);
    std::vector<float> out(samples);
    for (std::size_t i = 0; i < samples; ++i) {
      const double loud = i / 500 % 2 == 0 ? 0.3 : 1e-4;
      out[i] = static_cast<float>(std::clamp(loud * random.normal(), -1.0, 1.0));
    }
    return out;
  }
  static void expect_equal(const integer::IntegerResult& got,
                           const integer::IntegerResult& wanted) {
    EXPECT_EQ(got.scores, wanted.scores);
    EXPECT_EQ(got.count, wanted.count);
    EXPECT_EQ(got.shift, wanted.shift);
  }
  ModelStream stream(const std::optional<Preparation>& preparation) const {
    return {network_, preparation, "kws", "the microphone"};
  }

  ThreadPool pool_{1};
  const data::Dataset set_ = integer::fixtures::sequences(4);
  const integer::IntegerNetwork network_ = integer::fixtures::network(4, set_);
  Preparation preparation_;
};

TEST_F(StreamOfSamples, EqualsTheRecordingAsAWhole) {
  for (const auto arithmetic :
       {data::FrontEndArithmetic::kFloat, data::FrontEndArithmetic::kInteger}) {
    preparation_.front_end = front_end(arithmetic);
    const std::size_t hop = preparation_.front_end->hop();
    ModelStream samples = stream(preparation_);
    ASSERT_EQ(samples.width(), 1u);
    for (const std::size_t length : {hop, 7 * hop - 1, 12 * hop + 33}) {
      SCOPED_TRACE(length);
      data::Recordings recordings;
      recordings.name = "noise";
      recordings.sample_rate = 8000;
      recordings.classes = set_.readout.names;
      data::Recording& recording = recordings.items.emplace_back();
      recording.samples = sound(length, length);
      const data::Dataset frames = data::make_sequences(recordings, *preparation_.front_end, pool_);
      const std::size_t steps = length / hop;
      ASSERT_EQ(frames.length_of(0), steps);
      const integer::IntegerResult wanted =
          integer::IntegerEngine(network_).run(model::reference::batch_of(frames), pool_)[0];
      std::vector<std::size_t> at;  // the sample with which each step is complete
      for (std::size_t i = 0; i < length; ++i) {
        samples.push({&recording.samples[i], 1}, [&] { at.push_back(i + 1); });
      }
      ASSERT_EQ(at.size(), steps);
      for (std::size_t t = 0; t < steps; ++t) EXPECT_EQ(at[t], (t + 1) * hop);
      EXPECT_EQ(samples.steps(), static_cast<long long>(steps));
      expect_equal(samples.result(), wanted);
      samples.reset();
      EXPECT_EQ(samples.steps(), 0);
    }
  }
}

// The rest of a frame that a sequence leaves behind does not reach the next one.
TEST_F(StreamOfSamples, ForgetsUnfinishedFrames) {
  preparation_.front_end = front_end(data::FrontEndArithmetic::kFloat);
  ModelStream fresh = stream(preparation_), used = stream(preparation_);
  for (const float v : sound(1, 1000 + 79)) used.push({&v, 1});
  used.reset();
  for (const float v : sound(2, 41)) used.push({&v, 1});
  EXPECT_EQ(used.steps(), 0);
  used.reset();
  for (const float v : sound(3, 500)) {
    fresh.push({&v, 1});
    used.push({&v, 1});
  }
  EXPECT_EQ(used.steps(), fresh.steps());
  expect_equal(used.result(), fresh.result());
}

TEST_F(StreamOfSamples, MovesInTheMiddleOfASequence) {
  preparation_.front_end = front_end(data::FrontEndArithmetic::kInteger);
  ModelStream whole = stream(preparation_), first = stream(preparation_),
              other = stream(std::nullopt);
  const std::vector<float> samples = sound(1, 777);
  for (const float& v : samples) whole.push({&v, 1});
  for (std::size_t i = 0; i < 300; ++i) first.push({&samples[i], 1});
  ModelStream second(std::move(first));
  for (std::size_t i = 300; i < 500; ++i) second.push({&samples[i], 1});
  EXPECT_EQ(other.width(), network_.inputs);
  other = std::move(second);
  EXPECT_EQ(other.width(), 1u);
  for (std::size_t i = 500; i < samples.size(); ++i) other.push({&samples[i], 1});
  EXPECT_EQ(other.steps(), whole.steps());
  expect_equal(other.result(), whole.result());
}

TEST_F(StreamOfSamples, EndsWhereScoresCouldOverflowAndGoesOnWithTheNextSequence) {
  integer::IntegerNetwork network = network_;
  network.pool_last = false;
  network.score_steps = integer::IntegerNetwork::kEveryLength;
  network.decoder.bias[0] = std::int64_t{1} << 40;
  network.scores.first[0] = 1 << 20;
  const std::int64_t longest = integer::longest_sequence(network);
  ASSERT_EQ(longest, 7);
  ModelStream values(network, std::nullopt, "kws", "the sensor");
  const std::vector<float> x(network.inputs, 0.25f);
  for (int sequence = 1; sequence <= 3; ++sequence) {
    for (std::int64_t t = 0; t < longest; ++t) values.push(x);
    const integer::IntegerResult last = values.result();
    int called = 0;
    EXPECT_THAT([&] { values.push(x, [&] { ++called; }); },
                ThrowsMessage<Error>(
                    HasSubstr("kws: scores are proven to fit in 64 bits for sequences of "
                              "up to 7 steps, but sequence " +
                              std::to_string(sequence) + " of the sensor has more than 7 steps")));
    EXPECT_EQ(called, 0);
    EXPECT_EQ(values.steps(), longest);
    expect_equal(values.result(), last);
    values.reset();
  }
}

TEST_F(StreamOfSamples, RefusesOtherNumbersOfValues) {
  preparation_.front_end = front_end(data::FrontEndArithmetic::kFloat);
  ModelStream samples = stream(preparation_);
  const std::vector<float> two(2);
  EXPECT_THAT(
      [&] { samples.push(two); },
      ThrowsMessage<Error>(HasSubstr("the microphone: 2 values in a time step, expected 1")));
  ModelStream values = stream(std::nullopt);
  EXPECT_THAT(
      [&] { values.push({}); },
      ThrowsMessage<Error>(HasSubstr("the microphone: 0 values in a time step, expected 2")));
  EXPECT_EQ(values.steps(), 0);
}

TEST_F(StreamOfSamples, RefusesAPreparationOfAnotherNetwork) {
  preparation_.readout.names.push_back("one more");
  EXPECT_THAT(
      [&] { stream(preparation_); },
      ThrowsMessage<Error>(HasSubstr("kws: names 5 classes, but the network has 4 outputs")));
  preparation_.readout.names.pop_back();
  preparation_.permutation_seed = 1;
  preparation_.permuted_steps = 9;
  EXPECT_THAT([&] { stream(preparation_); },
              ThrowsMessage<Error>(HasSubstr("kws: reads its time steps in a permuted order")));
}

// Frames of another size would be cut into steps at the wrong places, and the last one read beyond
// its end.
TEST_F(StreamOfSamples, RefusesAFrontEndOrAReadOutOfAnotherNetwork) {
  for (const int bands : {1, 3, 4}) {
    preparation_.front_end = data::FrontEnd({.bands = bands}, 8000);
    const std::string expectation = "kws: its front end computes " + std::to_string(bands) +
                                    " features, but the network has 2 inputs";
    EXPECT_THAT([&] { stream(preparation_); }, ThrowsMessage<Error>(expectation));
    const formats::Safetensors file = Model(network_, preparation_).to_tensors();
    EXPECT_THAT([&] { Model::from_tensors(file, "kws"); }, ThrowsMessage<Error>(expectation));
  }
  preparation_.front_end = data::FrontEnd({.bands = 1, .deltas = true}, 8000);
  EXPECT_EQ(stream(preparation_).width(), 1u);
  EXPECT_NO_THROW(Model::from_tensors(Model(network_, preparation_).to_tensors(), "kws"));
  preparation_.front_end.reset();
  preparation_.readout.names.push_back("one more");
  EXPECT_THAT(
      [&] { Model::from_tensors(Model(network_, preparation_).to_tensors(), "kws"); },
      ThrowsMessage<Error>(HasSubstr("kws: names 5 classes, but the network has 4 outputs")));
  preparation_.readout.names.pop_back();
  preparation_.readout.scope = task::Scope::kStep;
  EXPECT_THAT([&] { stream(preparation_); },
              ThrowsMessage<Error>(HasSubstr("kws: metadata 'readout' says a target of every step, "
                                             "but the network is read at every sequence")));
}

}  // namespace
}  // namespace crosstate::inference
