// Results of chips as they come, so that a simulation that was killed goes on where it stopped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace crosstate {

/// A file of JSON lines: what decides the results, then one line per chip and age.
class SimulateJournal {
 public:
  /// Starts a new file or, with `resume`, goes on with the one that is there: a last line that was
  /// cut off counts as absent. Throws Error for a file of another identity, naming the difference,
  /// for one that is damaged and for one that cannot be written.
  SimulateJournal(const std::filesystem::path& path, const nlohmann::json& identity, bool resume);

  /// -1: not known.
  double find(int chip, std::size_t age) const;
  void add(int chip, std::size_t age, double accuracy);

 private:
  void read(const nlohmann::json& identity);

  std::filesystem::path path_;
  std::map<std::pair<int, std::size_t>, double> known_;
  std::ofstream out_;
};

}  // namespace crosstate
