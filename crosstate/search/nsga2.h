// NSGA-II: evolutionary optimisation with several costs.
//
// K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic
// algorithm: NSGA-II", IEEE Trans. Evolutionary Computation 6(2), 2002; constraints as in its
// section VI.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace crosstate::search {

/// One choice per gene: genes[i] in [0, choices[i]).
using Genes = std::vector<int>;

struct Individual {
  Genes genes;
  std::vector<double> costs;  // each to be minimised
  double violation =
      0;         // of constraints; 0: feasible; feasible individuals dominate infeasible ones
  int rank = 0;  // 0: on the front
  double crowding = 0;  // distance to the neighbours on the same front
};

struct Nsga2Options {
  int population = 40, generations = 30;
  double crossover = 0.9;  // probability that a child has two parents
  std::uint64_t seed = 1;
};

/// Fills costs and violation of every individual; false to stop.
using Evaluate = std::function<bool(std::vector<Individual>&)>;

/// Starts from `first` (at most one population) and random genes. Choices are ordered: a mutation
/// usually selects an adjacent one. There are no duplicates, so a population may be smaller than
/// requested if there are few choices. Returns the last population, best first, or nothing if it
/// was stopped. The same seed gives the same individuals.
std::vector<Individual> nsga2(const std::vector<int>& choices, const Nsga2Options& options,
                              const std::vector<Genes>& first, const Evaluate& evaluate);

}  // namespace crosstate::search
