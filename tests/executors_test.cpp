// Every executor of an integer network computes the same integers: the scalar reference, lanes on
// each instruction set, the stream, and a chip of ideal devices. On random networks of every
// format; CROSSTATE_RANDOM_NETWORKS sets their number (default 1,200).
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "crosstate/analog/steps.h"
#include "crosstate/integer/certificate.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/testing.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/model/testing.h"
#include "crosstate/simulate/chip.h"

namespace crosstate {
namespace {

std::uint32_t number_of_networks() {
  const char* const text = std::getenv("CROSSTATE_RANDOM_NETWORKS");
  return text == nullptr ? 1200 : static_cast<std::uint32_t>(std::stoul(text));
}

struct Case {
  integer::IntegerNetwork network;
  data::Dataset set;
  std::vector<integer::IntegerResult> wanted;
};

// The network is written to its file and read back, like every deployed network.
Case make_case(std::uint32_t number) {
  integer::fixtures::RandomNetwork random(number);
  Case c;
  c.network = integer::integer_network_from(integer::to_tensors(random.make()), "random network");
  c.set = random.sequences(c.network, 4, 24);
  integer::ReferenceExecutor executor(c.network);
  for (std::size_t i = 0; i < c.set.count; ++i) {
    c.wanted.push_back(executor.run(c.set.sequence(i), c.set.length_of(i)));
  }
  return c;
}

bool noise_shaped(const Case& c) {
  return c.network.state_rounding == kernels::RoundingMode::kNoiseShaped;
}

TEST(Executors, OfBatchesAgreeOnEveryInstructionSet) {
  const std::uint32_t count = number_of_networks();
  const std::vector<std::string> targets = kernels::kernel_targets();
  std::size_t in_lanes = 0, shaped = 0;
  for (std::uint32_t number = 0; number < count; ++number) {
    const Case c = make_case(number);
    const data::Batch batch = model::reference::batch_of(c.set);
    ThreadPool pool(1);
    for (const std::string& target : targets) {
      kernels::select_kernel_target(target);
      const integer::IntegerEngine engine(c.network);
      in_lanes += engine.vectorised() ? 1 : 0;
      shaped += engine.vectorised() && noise_shaped(c) ? 1 : 0;
      const std::vector<integer::IntegerResult> found = engine.run(batch, pool);
      for (std::size_t i = 0; i < c.wanted.size(); ++i) {
        ASSERT_EQ(found[i].scores, c.wanted[i].scores)
            << "network " << number << ", sequence " << i << ", " << target;
      }
    }
  }
  kernels::select_kernel_target("best");
  const std::size_t runs = count * targets.size();
  EXPECT_GT(in_lanes, runs * 3 / 4);
  EXPECT_GT(shaped, runs / 2);
}

TEST(Executors, StreamsAgreeOnEveryInstructionSet) {
  const std::uint32_t count = number_of_networks();
  const std::vector<std::string> targets = kernels::kernel_targets();
  std::size_t shaped = 0;
  for (std::uint32_t number = 0; number < count; ++number) {
    const Case c = make_case(number);
    for (const std::string& target : targets) {
      kernels::select_kernel_target(target);
      integer::IntegerStream stream(c.network);
      shaped += stream.vectorised() && noise_shaped(c) ? 1 : 0;
      for (std::size_t i = 0; i < c.set.count; ++i) {
        stream.reset();
        for (std::size_t t = 0; t < c.set.length_of(i); ++t) {
          stream.step(c.set.sequence(i).subspan(t * c.network.inputs, c.network.inputs));
        }
        ASSERT_EQ(stream.result().scores, c.wanted[i].scores)
            << "network " << number << ", sequence " << i << ", " << target;
      }
    }
  }
  kernels::select_kernel_target("best");
  EXPECT_GT(shaped, count * targets.size() / 3);
}

// Whether binary32 represents the sums of the arrays exactly, in units of the last place of A.
bool fits_chip(const integer::IntegerNetwork& n) {
  if (n.state_rounding == kernels::RoundingMode::kStochastic) return false;
  if (!integer::exact_in_float(n)) return false;
  for (const integer::IntegerBlock& b : n.blocks) {
    for (const std::int32_t shift : b.input_shift) {
      const double input = std::ldexp(static_cast<double>(integer::magnitude(n.residual)), shift);
      if (3.0 * n.state_limit * (1 << quant::kPoleFraction) + input >= 0x1p23) return false;
    }
  }
  return true;
}

// A random choice of digital sites that leaves some on arrays.
std::string random_sites(std::uint32_t number, std::size_t blocks) {
  Random random(number, Stream::kTest, 9);
  std::string list;
  std::size_t left = 0;
  const auto choose = [&](const std::string& site) {
    if (random.uniform() < 0.5) {
      list += (list.empty() ? "" : ", ") + site;
    } else {
      ++left;
    }
  };
  choose("encoder");
  for (std::size_t l = 0; l < blocks; ++l) {
    for (const char* site : {"A", "C", "pointwise"}) choose(site + ('.' + std::to_string(l)));
  }
  if (left > 0) choose("decoder");
  return list;
}

TEST(Executors, IdealChipsAgree) {
  crosstate::crossbar::Target target;
  target.device.programming_noise = target.device.read_noise = 0;
  target.crossbar.rows = target.crossbar.columns = 16;
  target.crossbar.dac_bits = 16;
  target.crossbar.adc_bits = analog::kMostPartialBits;
  const std::uint32_t count = number_of_networks() / 3;
  ThreadPool pool(1);
  std::size_t shaped = 0;
  for (std::uint32_t number = 0; number < count; ++number) {
    const Case c = make_case(number);
    if (!fits_chip(c.network)) continue;
    shaped += noise_shaped(c) ? 1 : 0;
    const data::Batch batch = model::reference::batch_of(c.set);
    for (int run = 0; run < 4; ++run) {
      const bool increments = run % 2 == 0;
      target.crossbar.digital =
          run < 2 ? "" : random_sites(2 * number + run, c.network.blocks.size());
      target.crossbar.recurrence =
          increments ? crossbar::PoleStorage::kIncrement : crossbar::PoleStorage::kDirect;
      target.crossbar.driven =
          increments ? crossbar::DrivenRows::kBlocks : crossbar::DrivenRows::kAll;
      const mapping::Mapping mapping =
          mapping::map_network(c.network, target.crossbar, batch.length);
      const std::vector<simulate::ChipResult> found =
          simulate::Chip(c.network, mapping, target, 1, 0).run(batch, 0, pool);
      for (std::size_t i = 0; i < c.wanted.size(); ++i) {
        const std::vector<double> wanted(c.wanted[i].scores.begin(), c.wanted[i].scores.end());
        ASSERT_EQ(found[i].scores, wanted)
            << "network " << number << ", sequence " << i << ", increments " << increments
            << ", digital " << target.crossbar.digital;
      }
    }
  }
  EXPECT_GT(shaped, count / 5);
}

}  // namespace
}  // namespace crosstate
