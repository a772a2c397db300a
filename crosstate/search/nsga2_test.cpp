#include "crosstate/search/nsga2.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "crosstate/search/pareto.h"

namespace crosstate::search {
namespace {

constexpr int kLevels = 65;  // of each variable in [0, 1]

// ZDT1: E. Zitzler, K. Deb, L. Thiele, Evolutionary Computation 8(2), 2000. Its front is
// f2 = 1 - sqrt(f1), where all variables but the first are 0.
bool zdt1(std::vector<Individual>& all) {
  for (Individual& one : all) {
    const auto value = [&](std::size_t i) { return one.genes[i] / (kLevels - 1.0); };
    double g = 0;
    for (std::size_t i = 1; i < one.genes.size(); ++i) g += value(i);
    g = 1 + 9 * g / static_cast<double>(one.genes.size() - 1);
    one.costs = {value(0), g * (1 - std::sqrt(value(0) / g))};
  }
  return true;
}

// Area below (1.1, 1.1) that is dominated by the costs.
double hypervolume(std::vector<Individual> front) {
  std::sort(front.begin(), front.end(),
            [](const auto& a, const auto& b) { return a.costs < b.costs; });
  double area = 0, height = 1.1;
  for (const Individual& one : front) {
    if (one.costs[0] > 1.1 || one.costs[1] >= height) continue;
    area += (1.1 - one.costs[0]) * (height - one.costs[1]);
    height = one.costs[1];
  }
  return area;
}

TEST(Nsga2, FindsTheFrontOfZdt1) {
  const std::vector<int> choices(12, kLevels);
  const std::vector<Individual> found =
      nsga2(choices, {.population = 60, .generations = 150, .seed = 3}, {}, zdt1);
  ASSERT_EQ(found.size(), 60u);
  // The continuous front: integral of 1.1 - (1 - sqrt(x)) over [0, 1], plus 0.1 * 1.1 beyond.
  const double most = 0.1 + 2.0 / 3 + 0.11;
  EXPECT_GT(hypervolume(found), 0.97 * most);
  EXPECT_LT(hypervolume(found), most);
  // A random search with the same number of evaluations is far worse.
  std::vector<Individual> random =
      nsga2(choices, {.population = 9000, .generations = 0, .seed = 3}, {}, zdt1);
  EXPECT_LT(hypervolume(random), 0.6);
}

TEST(Nsga2, IsTheSameForTheSameSeed) {
  const std::vector<int> choices(5, kLevels);
  const auto genes = [&](std::uint64_t seed) {
    std::vector<Genes> all;
    for (const Individual& one :
         nsga2(choices, {.population = 12, .generations = 9, .seed = seed}, {}, zdt1)) {
      all.push_back(one.genes);
    }
    return all;
  };
  EXPECT_EQ(genes(1), genes(1));
  EXPECT_NE(genes(1), genes(2));
}

TEST(Nsga2, PrefersWhatIsAllowed) {
  const auto evaluate = [](std::vector<Individual>& all) {
    zdt1(all);
    for (Individual& one : all) one.violation = std::max(0, 20 - one.genes[0]);
    return true;
  };
  for (const Individual& one :
       nsga2(std::vector<int>(4, kLevels), {.population = 20, .generations = 20}, {}, evaluate)) {
    EXPECT_EQ(one.violation, 0);
    EXPECT_GE(one.genes[0], 20);
  }
}

TEST(Nsga2, EvaluatesNothingTwiceAndExhaustsASmallSpace) {
  std::set<Genes> seen;
  const auto evaluate = [&](std::vector<Individual>& all) {
    for (const Individual& one : all) EXPECT_TRUE(seen.insert(one.genes).second);
    return zdt1(all);
  };
  const std::vector<Individual> found =
      nsga2({2, 1, 3}, {.population = 10, .generations = 20}, {{1, 0, 2}}, evaluate);
  EXPECT_EQ(seen.size(), 6u);
  EXPECT_LE(found.size(), 10u);
  EXPECT_EQ(found.front().rank, 0);
}

TEST(Nsga2, StopsWhenTold) {
  int calls = 0;
  const auto evaluate = [&](std::vector<Individual>& all) { return zdt1(all) && ++calls < 3; };
  EXPECT_TRUE(nsga2({9, 9}, {.population = 4, .generations = 9}, {}, evaluate).empty());
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace crosstate::search
