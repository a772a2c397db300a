// Outputs of teachers for batches of any composition, computed or remembered.
#include "crosstate/train/teacher_outputs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crosstate/model/testing.h"

namespace crosstate::train {
namespace {

using model::kTask;
using model::Network;
using model::reference::batch_of;

Network teacher_network(task::Scope readout, std::uint64_t seed) {
  model::ModelOptions options = model::reference::small_options();
  options.readout = readout;
  return model::reference::random_network(options, kTask, seed);
}

std::vector<float> evaluated(const Network& network, const data::Batch& batch) {
  ThreadPool pool(1);
  std::vector<float> outputs;
  network.evaluate(batch, pool, &outputs);
  return outputs;
}

// Five epochs over two sets of sequences of random lengths, each in its own order and with batches
// of its own size.
void expect_means_of(const Teacher& teacher, task::Scope readout, std::size_t sets) {
  constexpr std::size_t kCount = 40;
  std::vector<data::Dataset> data;
  for (const std::uint64_t seed : {1u, 2u}) {
    data.push_back(readout == task::Scope::kStep
                       ? model::reference::random_step_set(seed, kCount, 25, kTask, true)
                       : model::reference::random_set(seed, kCount, 25, kTask, true));
  }
  TeacherOutputs outputs(teacher, sets, kCount);
  ThreadPool pool(2);
  for (std::uint32_t epoch = 0; epoch < 5; ++epoch) {
    const std::size_t set = epoch % 2, size = 3 + 7 * epoch;
    const std::vector<std::uint32_t> order = data::shuffled(kCount, 9, epoch);
    for (std::size_t begin = 0; begin < kCount; begin += size) {
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(begin);
      const std::vector<std::uint32_t> rows(
          first, first + static_cast<std::ptrdiff_t>(std::min(size, kCount - begin)));
      const data::Batch batch = batch_of(data[set], rows);
      std::vector<float> expected = evaluated(*teacher.networks.front(), batch);
      if (teacher.networks.size() == 2) {
        const std::vector<float> other = evaluated(*teacher.networks.back(), batch);
        for (std::size_t i = 0; i < other.size(); ++i) {
          expected[i] = (expected[i] + other[i]) * 0.5f;
        }
      }
      const std::span<const float> found = outputs.of(batch, rows, set, pool);
      ASSERT_TRUE(std::ranges::equal(found, expected)) << "epoch " << epoch << ", row " << begin;
    }
  }
}

TEST(TeacherOutputsTest, HaveTheSameBitsComputedOrRemembered) {
  for (const task::Scope readout : {task::Scope::kSequence, task::Scope::kStep}) {
    const Network one = teacher_network(readout, 3), other = teacher_network(readout, 4);
    for (const std::size_t sets : {0u, 2u}) {
      SCOPED_TRACE("sets " + std::to_string(sets));
      expect_means_of({{&one}, 0.5, 2}, readout, sets);
      expect_means_of({{&one, &other}, 0.5, 2}, readout, sets);
    }
  }
}

// A network that changes afterwards shows which outputs are computed again.
TEST(TeacherOutputsTest, AreComputedOnceWhereSetsRepeat) {
  Network network = teacher_network(task::Scope::kSequence, 3);
  const Teacher teacher{{&network}, 0.5, 2};
  const data::Dataset set = model::reference::random_set(1, 6, 25, kTask, true);
  TeacherOutputs once(teacher, 1, set.count), always(teacher, 0, set.count);
  ThreadPool pool(1);
  const std::vector<std::uint32_t> rows = {4, 1, 2}, mixed = {2, 0};
  const data::Batch batch = batch_of(set, rows), another = batch_of(set, mixed);
  const std::vector<float> before = evaluated(network, batch);
  EXPECT_TRUE(std::ranges::equal(once.of(batch, rows, 0, pool), before));
  EXPECT_TRUE(std::ranges::equal(always.of(batch, rows, 0, pool), before));
  network = teacher_network(task::Scope::kSequence, 4);
  EXPECT_TRUE(std::ranges::equal(once.of(batch, rows, 0, pool), before));
  EXPECT_TRUE(std::ranges::equal(always.of(batch, rows, 0, pool), evaluated(network, batch)));
  // A batch with a sequence that is not known is computed as a whole.
  EXPECT_TRUE(std::ranges::equal(once.of(another, mixed, 0, pool), evaluated(network, another)));
}

}  // namespace
}  // namespace crosstate::train
