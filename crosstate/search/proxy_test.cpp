#include "crosstate/search/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/cost/memory.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/model/testing.h"
#include "crosstate/pipeline/testing.h"
#include "crosstate/train/evaluate.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

bool never_stopped() { return false; }

// Networks of two sizes that were quantized at all sites, and the data of a small run.
class ProxyTest : public pipeline::RunDirectoryTest {
 protected:
  ProxyTest() {
    options_.calibration = 16;
    data_ = pipeline::load_run_data(options_, pool_);
    calibration_ = pipeline::calibration_batches(data_.training, options_);
    for (const int states : {4, 6}) {
      options_.model.states = states;
      model::ModelOptions model = options_.model;
      model.norm = model::Norm::kNone;
      model::Network network = model::reference::random_network(model, {1, 10});
      network.quantize(quant::quant_preset("w8a8s8"), calibration_, pool_);
      files_.push_back(directory_ / (std::to_string(states) + ".safetensors"));
      formats::write_safetensors(files_.back(), network.to_tensors());
      networks_.push_back(std::move(network));
    }
  }

  Proxy proxy(std::size_t sequences = 0, int threads = 1) const {
    return Proxy(options_, files_, sequences, threads);
  }
  // The same without a proxy, one sequence after the other.
  ProxyMeasures measured(model::Network network, const quant::QuantOptions& quant,
                         std::size_t sequences) {
    network.requantize(quant, calibration_, pool_);
    double loss = 0;
    std::vector<double> sums(100, 0);
    const task::Readout& readout = data_.validation.readout;
    for (std::uint32_t i = 0; i < sequences; ++i) {
      const model::BatchResult one = network.evaluate(
          model::reference::batch_of(data_.validation, {i},
                                     static_cast<std::size_t>(options_.model.block_length)),
          pool_);
      loss += one.loss / static_cast<double>(sequences);
      for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += one.sums[k];
    }
    return {loss, task::primary_value(readout, sums),
            static_cast<double>(cost::count_memory(network).total())};
  }
  static void expect_equal(const std::optional<ProxyMeasures>& found,
                           const ProxyMeasures& expected) {
    ASSERT_TRUE(found);
    EXPECT_NEAR(found->loss, expected.loss, 1e-12 * expected.loss);
    EXPECT_EQ(found->metric, expected.metric);
    EXPECT_EQ(found->bytes, expected.bytes);
  }

  pipeline::RunData data_;
  std::vector<data::Batch> calibration_;
  std::vector<fs::path> files_;
  std::vector<model::Network> networks_;
};

TEST_F(ProxyTest, MeasuresEachSizeInTheFormatsOfTheCandidate) {
  Proxy all = proxy();
  const std::size_t held_out = data_.validation.count;
  ASSERT_GT(held_out, 4u);
  for (const std::size_t size : {1u, 0u}) {
    for (const char* preset : {"w8a8s8", "w3a4s6"}) {
      SCOPED_TRACE(testing::Message() << size << ' ' << preset);
      const quant::QuantOptions quant = quant::quant_preset(preset);
      const ProxyMeasures expected = measured(networks_[size], quant, held_out);
      expect_equal(all.measure(size, quant, never_stopped), expected);
      // Neither an earlier candidate nor its own first measurement left anything behind.
      expect_equal(all.measure(size, quant, never_stopped), expected);
    }
  }
  // Options that name a preset are those of the preset.
  quant::QuantOptions named;
  named.preset = "w3a4s6";
  expect_equal(all.measure(0, named, never_stopped),
               measured(networks_[0], quant::quant_preset("w3a4s6"), held_out));
}

TEST_F(ProxyTest, UsesTheFirstSequences) {
  const quant::QuantOptions quant = quant::quant_preset("w4a8s8");
  const std::size_t held_out = data_.validation.count;
  for (const std::size_t sequences : {std::size_t{1}, held_out - 1, held_out + 100}) {
    expect_equal(proxy(sequences).measure(0, quant, never_stopped),
                 measured(networks_[0], quant, std::min(sequences, held_out)));
  }
}

TEST_F(ProxyTest, MeasuresTheSameOnSeveralThreads) {
  const quant::QuantOptions quant = quant::quant_preset("w4a8s8");
  const ProxyMeasures expected = proxy().measure(0, quant, never_stopped).value();
  Proxy shared = proxy(0, 2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const auto found = shared.measure(0, quant, never_stopped);
      EXPECT_EQ(found->loss, expected.loss);
      EXPECT_EQ(found->metric, expected.metric);
      EXPECT_EQ(found->bytes, expected.bytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ProxyTest, MeasuresNothingIfStopped) {
  EXPECT_FALSE(proxy().measure(0, quant::quant_preset("w4a8s8"), [] { return true; }));
}

TEST_F(ProxyTest, NamesAFileThatItCannotRead) {
  const std::string content = read_file(files_[1]);
  Proxy all = proxy();
  const auto measure = [&] { all.measure(0, quant::quant_preset("w8a8s8"), never_stopped); };
  fs::remove(files_[1]);
  EXPECT_THAT(measure, ThrowsMessage<Error>(HasSubstr(files_[1].string())));
  write_file(files_[1], content.substr(0, content.size() / 2));
  EXPECT_THAT(measure, ThrowsMessage<Error>(HasSubstr(files_[1].string())));
  // As soon as it is there, it is read: networks are trained during a search.
  write_file(files_[1], content);
  EXPECT_NO_THROW(measure());
  // Then it is not needed any more.
  fs::remove(files_[1]);
  EXPECT_NO_THROW(measure());
}

TEST_F(ProxyTest, NeedsSequencesThatAreHeldOut) {
  options_.train.validation = 0;
  EXPECT_THAT([&] { proxy().measure(0, quant::quant_preset("w8a8s8"), never_stopped); },
              ThrowsMessage<Error>(AllOf(HasSubstr("no training sequences are held out"),
                                         HasSubstr("expected train.validation > 0"))));
}

TEST_F(ProxyTest, NeedsAQuantizedNetwork) {
  model::Network plain = networks_[0];
  plain.drop_rounding();
  formats::write_safetensors(files_[0], plain.to_tensors());
  EXPECT_THROW(proxy().measure(0, quant::quant_preset("w8a8s8"), never_stopped), Error);
}

TEST(ProxyMeasuresJson, KeepsEveryBit) {
  Random random(1, Stream::kTest);
  const auto drawn = [&] {
    double value = 0;
    do {
      value = std::bit_cast<double>(std::uint64_t{random.bits()} << 32 | random.bits());
    } while (!std::isfinite(value));
    return value;
  };
  const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
  for (int i = 0; i < 300; ++i) {
    const ProxyMeasures m = i == 0 ? ProxyMeasures{-0.0, std::numeric_limits<double>::denorm_min(),
                                                   std::numeric_limits<double>::max()}
                                   : ProxyMeasures{drawn(), drawn(), drawn()};
    const ProxyMeasures found = proxy_measures_from(parse_json(exact_json_text(to_json(m))));
    EXPECT_EQ(bits(found.loss), bits(m.loss));
    EXPECT_EQ(bits(found.metric), bits(m.metric));
    EXPECT_EQ(bits(found.bytes), bits(m.bytes));
  }
}

TEST(ProxyMeasuresJson, MissesNoKey) {
  const auto expect_refused = [](const json& from, const std::string& found) {
    EXPECT_THAT(
        [&] { proxy_measures_from(from); },
        ThrowsMessage<Error>(HasSubstr("expected numbers loss, metric and bytes, found " + found)));
  };
  const json whole = to_json(ProxyMeasures{1, 2, 3});
  for (const auto& [key, value] : whole.items()) {
    json part = whole, wrong = whole;
    part.erase(key);
    expect_refused(part, exact_json_text(part));
    for (const json& other : {json("1"), json(), json(true), json::array({1})}) {
      wrong[key] = other;
      expect_refused(wrong, exact_json_text(wrong));
    }
  }
  for (const json& other : {json(), json(1), json::array({1, 2, 3}), json("text")}) {
    expect_refused(other, exact_json_text(other));
  }
  expect_refused("\xff", "\"\uFFFD\"");
}

}  // namespace
}  // namespace crosstate::search
