#include "crosstate/search/nsga2.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "crosstate/base/random.h"
#include "crosstate/search/pareto.h"

namespace crosstate::search {
namespace {

constexpr int kAttempts = 20;  // to find a child that is not a duplicate

bool beats(const Individual& a, const Individual& b) {
  if (a.violation != b.violation) return a.violation < b.violation;
  return dominates(a.costs, b.costs);
}

// Fast non-dominated sorting: each individual's rank.
void rank_all(std::vector<Individual>& all) {
  std::vector<std::vector<std::size_t>> beaten(all.size());
  std::vector<int> better(
      all.size());  // number of individuals that dominate it, among those not yet ranked
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) {
      if (beats(all[i], all[j])) beaten[i].push_back(j);
      better[i] += beats(all[j], all[i]);
    }
    if (better[i] == 0) front.push_back(i);
  }
  for (int rank = 0; !front.empty(); ++rank) {
    std::vector<std::size_t> next;
    for (const std::size_t i : front) {
      all[i].rank = rank;
      for (const std::size_t j : beaten[i]) {
        if (--better[j] == 0) next.push_back(j);
      }
    }
    front = std::move(next);
  }
}

// Adds each individual's share of the distance between its neighbours along one cost.
void add_distances(std::vector<Individual>& all, std::vector<std::size_t> front, std::size_t cost) {
  const auto at = [&](std::size_t i) { return all[front[i]].costs[cost]; };
  std::stable_sort(front.begin(), front.end(), [&](std::size_t a, std::size_t b) {
    return all[a].costs[cost] < all[b].costs[cost];
  });
  const double range = at(front.size() - 1) - at(0);
  for (const std::size_t end : {front.front(), front.back()}) {
    all[end].crowding = std::numeric_limits<double>::infinity();
  }
  for (std::size_t i = 2; i < front.size() && range > 0; ++i) {
    all[front[i - 1]].crowding += (at(i) - at(i - 2)) / range;
  }
}

// Half the perimeter of the box between the neighbours on the same front; infinite at its ends.
void measure_crowding(std::vector<Individual>& all) {
  std::map<int, std::vector<std::size_t>> fronts;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].crowding = 0;
    fronts[all[i].rank].push_back(i);
  }
  for (const auto& [rank, front] : fronts) {
    for (std::size_t cost = 0; cost < all.front().costs.size(); ++cost) {
      add_distances(all, front, cost);
    }
  }
}

bool preferred(const Individual& a, const Individual& b) {
  if (a.rank != b.rank) return a.rank < b.rank;
  return a.crowding > b.crowding;
}

void keep_best(std::vector<Individual>& all, std::size_t count) {
  rank_all(all);
  measure_crowding(all);
  std::stable_sort(all.begin(), all.end(), preferred);
  if (all.size() > count) all.resize(count);
}

const Individual& tournament(const std::vector<Individual>& all, Random& random) {
  const auto size = static_cast<std::uint32_t>(all.size());
  const Individual& a = all[random.below(size)];
  const Individual& b = all[random.below(size)];
  return preferred(b, a) ? b : a;
}

int random_gene(int choices, Random& random) {
  return static_cast<int>(random.below(static_cast<std::uint32_t>(choices)));
}

void mutate(Genes& genes, const std::vector<int>& choices, Random& random) {
  const double probability = 1 / static_cast<double>(genes.size());
  for (std::size_t i = 0; i < genes.size(); ++i) {
    if (random.uniform() >= probability) continue;
    if (random.uniform() < 0.25) {
      genes[i] = random_gene(choices[i], random);
    } else {
      const int step = random.below(2) == 0 ? -1 : 1;
      genes[i] = std::clamp(genes[i] + step, 0, choices[i] - 1);
    }
  }
}

Genes child_of(const std::vector<Individual>& parents, const std::vector<int>& choices,
               double crossover, Random& random) {
  Genes child = tournament(parents, random).genes;
  if (random.uniform() < crossover) {
    const Genes& other = tournament(parents, random).genes;
    for (std::size_t i = 0; i < child.size(); ++i) {
      if (random.below(2) == 0) child[i] = other[i];
    }
  }
  mutate(child, choices, random);
  return child;
}

Genes random_genes(const std::vector<int>& choices, Random& random) {
  Genes genes;
  for (const int count : choices) genes.push_back(random_gene(count, random));
  return genes;
}

}  // namespace

std::vector<Individual> nsga2(const std::vector<int>& choices, const Nsga2Options& options,
                              const std::vector<Genes>& first, const Evaluate& evaluate) {
  const auto size = static_cast<std::size_t>(options.population);
  std::set<Genes> known;
  std::vector<Individual> population;
  // Adds new genes from `make` until the population is complete.
  const auto fill = [&](std::vector<Individual>& to, std::uint32_t generation, const auto& make) {
    for (std::uint32_t item = 0; item < size; ++item) {
      Random random(options.seed, Stream::kSearch, generation, item);
      for (int attempt = 0; attempt < kAttempts && to.size() < size; ++attempt) {
        Genes genes = make(random);
        if (!known.insert(genes).second) continue;
        to.push_back({std::move(genes), {}});
        break;
      }
    }
  };

  for (const Genes& genes : first) {
    if (population.size() < size && known.insert(genes).second) population.push_back({genes, {}});
  }
  fill(population, 0, [&](Random& random) { return random_genes(choices, random); });
  if (!evaluate(population)) return {};
  keep_best(population, size);
  for (int generation = 1; generation <= options.generations; ++generation) {
    std::vector<Individual> children;
    fill(children, static_cast<std::uint32_t>(generation),
         [&](Random& random) { return child_of(population, choices, options.crossover, random); });
    if (!evaluate(children)) return {};
    population.insert(population.end(), children.begin(), children.end());
    keep_best(population, size);
  }
  return population;
}

}  // namespace crosstate::search
