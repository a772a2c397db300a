// Results of chips as they come, so that a simulation that was killed goes on where it stopped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace crosstate::simulate {

/// A file of JSON lines: what decides the results, then one line per chip and age, and until that
/// is known, one per chunk of its sequences.
class SimulateJournal {
 public:
  /// Starts a new file or, with `resume`, goes on with the one that is there: a last line that was
  /// cut off counts as absent. Throws CannotContinue for a file of another identity, naming the
  /// difference, and Error for one that is damaged and for one that cannot be written.
  SimulateJournal(const std::filesystem::path& path, const nlohmann::json& identity, bool resume);

  using Sums = std::vector<double>;  // see Task::sums()

  /// Of all tested sequences of a chip at an age, if they are known.
  std::optional<Sums> find(int chip, std::size_t age) const;
  void add(int chip, std::size_t age, const Sums& sums);

  /// Of the tested sequences [first, last).
  std::optional<Sums> find_chunk(int chip, std::size_t age, std::size_t first,
                                 std::size_t last) const;
  void add_chunk(int chip, std::size_t age, std::size_t first, std::size_t last, const Sums& sums);

 private:
  using Chunk = std::tuple<int, std::size_t, std::size_t, std::size_t>;  // as add_chunk() has them
  void read(const nlohmann::json& identity);
  void write_line(const nlohmann::json& entry);

  std::filesystem::path path_;
  std::map<std::pair<int, std::size_t>, Sums> known_;
  std::map<Chunk, Sums> chunks_;
  std::ofstream out_;
};

}  // namespace crosstate::simulate
