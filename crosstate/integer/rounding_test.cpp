// The rounding modes of the state in every executor of an integer network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "crosstate/base/error.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/reference.h"
#include "crosstate/integer/testing.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/kernels/reference/testing.h"
#include "crosstate/model/testing.h"

namespace crosstate::integer {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const model::TaskShape kTask{2, 4};
constexpr const char* kRoundings[] = {"nearest",   "stochastic", "residue 1",
                                      "residue 5", "residue 14", "by-pole"};

struct Case {
  data::Dataset set;
  data::Batch batch;
  IntegerNetwork network;
};

// Channels beyond one group of lanes, and sequences of all lengths.
Case make_case(int number, const std::string& rounding, bool real) {
  model::ModelOptions o = model::reference::small_options();
  o.norm = model::Norm::kNone;
  o.layers = 1 + number % 3;
  o.channels = number % 2 == 0 ? 3 : 19;
  if (real) {
    o.modes = model::ModeKind::kReal;
    o.init = model::PoleStart::kReal;
  }
  quant::QuantOptions q;
  q.preset = number % 2 == 0 ? "w8a8s8" : "w4a6s5";
  fixtures::round_state(q.state, rounding);
  Case c;
  c.set = model::reference::random_set(static_cast<std::uint64_t>(number) + 1, 21, 41, kTask, true);
  c.batch = model::reference::batch_of(c.set);
  model::Network network = model::reference::random_network(o, kTask);
  ThreadPool pool(1);
  network.quantize(q, {&c.batch, 1}, pool);
  c.network = to_integers(network);
  return c;
}

template <class Body>
void over_cases(Body body) {
  for (int number = 0; number < 6; ++number) {
    for (const bool real : {false, true}) {
      for (const char* rounding : kRoundings) {
        SCOPED_TRACE(testing::Message() << "case " << number << ", real " << real << rounding);
        body(make_case(number, rounding, real));
      }
    }
  }
}

std::vector<std::vector<std::int64_t>> reference_scores(const Case& c) {
  ReferenceExecutor executor(c.network);
  std::vector<std::vector<std::int64_t>> scores;
  for (std::size_t i = 0; i < c.set.count; ++i) {
    scores.push_back(executor.run(c.set.sequence(i), c.set.length_of(i)).scores);
  }
  return scores;
}

TEST(StateRounding, OfBatchesIsThatOfTheReference) {
  over_cases([](const Case& c) {
    const auto wanted = reference_scores(c);
    kernels::reference::on_every_target([&] {
      const IntegerEngine engine(c.network);
      ASSERT_TRUE(engine.vectorised());
      for (const int threads : {1, 2}) {
        ThreadPool pool(threads);
        const std::vector<IntegerResult> results = engine.run(c.batch, pool);
        for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(results[i].scores, wanted[i]);
      }
    });
  });
}

TEST(StateRounding, OfStreamsIsThatOfTheReference) {
  over_cases([](const Case& c) {
    const auto wanted = reference_scores(c);
    kernels::reference::on_every_target([&] {
      IntegerStream stream(c.network);
      ASSERT_TRUE(stream.vectorised());
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        stream.reset();
        for (std::size_t t = 0; t < c.set.length_of(i); ++t) {
          stream.step(c.set.sequence(i).subspan(t * c.network.inputs, c.network.inputs));
        }
        EXPECT_EQ(stream.result().scores, wanted[i]);
      }
    });
  });
}

TEST(StateRounding, ChangesWhatANetworkComputes) {
  const auto nearest = reference_scores(make_case(1, "nearest", false));
  EXPECT_NE(reference_scores(make_case(1, "stochastic", false)), nearest);
  EXPECT_NE(reference_scores(make_case(1, "residue 5", false)), nearest);
  EXPECT_NE(reference_scores(make_case(1, "residue 14", false)), nearest);
}

TEST(StateRounding, IsPartOfTheFile) {
  for (const auto& [rounding, in_file, version] :
       {std::tuple("nearest", "nearest", "2"), std::tuple("stochastic", "stochastic", "2"),
        std::tuple("residue 3", "noise-shaped", "3"), std::tuple("residue 14", "noise-shaped", "3"),
        std::tuple("by-pole", "noise-shaped", "3")}) {
    const Case c = make_case(1, rounding, false);
    formats::Safetensors content = to_tensors(c.network);
    EXPECT_EQ(content.metadata.at("format"), std::string("crosstate integer network ") + version);
    Case back = c;
    back.network = integer_network_from(content, "memory");
    EXPECT_EQ(reference_scores(back), reference_scores(c));
    for (std::size_t l = 0; l < c.network.blocks.size(); ++l) {
      EXPECT_EQ(back.network.blocks[l].residue_bits, c.network.blocks[l].residue_bits);
    }
    std::string& text = content.metadata.at("integer");
    text.replace(text.find(in_file), std::string(in_file).size(), "dithered");
    EXPECT_THAT([&] { integer_network_from(content, "a.safetensors"); },
                ThrowsMessage<Error>(HasSubstr("rounding = \"dithered\"")));
  }
}

// Files of versions 1 and 2 name a residue of 14 bits "feedback".
TEST(StateRounding, IsReadFromOldFiles) {
  const Case c = make_case(1, "residue 14", false);
  formats::Safetensors content = to_tensors(c.network);
  for (std::size_t l = 0; l < c.network.blocks.size(); ++l) {
    content.tensors.erase("layers." + std::to_string(l) + ".residue_bits");
  }
  std::string& text = content.metadata.at("integer");
  const auto rename = [&](const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.replace(at, from.size(), to);
    }
  };
  rename("\"quant_min\"", "\"low\"");
  rename("\"quant_max\"", "\"high\"");
  rename("noise-shaped", "feedback");
  content.metadata["format"] = "crosstate integer network 2";
  for (const formats::Safetensors& file : {content, fixtures::in_version_one(content)}) {
    Case old = c;
    old.network = integer_network_from(file, "old");
    EXPECT_EQ(reference_scores(old), reference_scores(c));
    EXPECT_EQ(to_tensors(old.network).metadata.at("format"), "crosstate integer network 3");
  }
  const auto expect_refused = [&](const char* why) {
    EXPECT_THAT([&] { integer_network_from(content, "a.safetensors"); },
                ThrowsMessage<Error>(HasSubstr(why)));
  };
  content.metadata["format"] = "crosstate integer network 3";
  expect_refused("state.rounding = \"feedback\", expected nearest, stochastic or noise-shaped");
  rename("feedback", "noise-shaped");
  expect_refused("no 'quant_min'");
  rename("\"low\"", "\"quant_min\"");
  rename("\"high\"", "\"quant_max\"");
  expect_refused("tensor 'layers.0.residue_bits' is missing");
  content.metadata["format"] = "crosstate integer network 2";
  expect_refused("state.rounding = \"noise-shaped\", expected nearest, stochastic or feedback");
}

TEST(StateRounding, RefusesResiduesOfMoreBits) {
  const Case c = make_case(1, "by-pole", false);
  formats::Safetensors content = to_tensors(c.network);
  formats::Tensor& bits = content.tensors.at("layers.0.residue_bits");
  bits = formats::Tensor::from(std::vector<std::int32_t>(c.network.blocks[0].ar.size(), 15),
                               bits.shape);
  EXPECT_THAT([&] { integer_network_from(content, "model"); },
              ThrowsMessage<Error>(
                  HasSubstr("tensor 'layers.0.residue_bits' holds 15 at 0, expected 0 to 14")));
}

}  // namespace
}  // namespace crosstate::integer
