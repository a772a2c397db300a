// Journal of results of chips, from which a killed simulation continues.
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

/// A file of JSON lines: first the identity of the simulation, then one line per chip and age and,
/// until that is complete, one line per chunk of its sequences.
class SimulateJournal {
 public:
  /// Starts a new file or, with `resume`, continues the existing one; a truncated last line is
  /// ignored. Throws CannotContinue for a file of another identity, naming the difference, and
  /// Error for a file that is damaged, of another format, or cannot be written.
  SimulateJournal(const std::filesystem::path& path, const nlohmann::json& identity, bool resume);

  using Sums = std::vector<double>;  // see Task::sums()

  /// Sums over all tested sequences of a chip at an age, if known.
  std::optional<Sums> find(int chip, std::size_t age) const;
  void add(int chip, std::size_t age, const Sums& sums);

  /// Sums over the tested sequences [first, last).
  std::optional<Sums> find_chunk(int chip, std::size_t age, std::size_t first,
                                 std::size_t last) const;
  void add_chunk(int chip, std::size_t age, std::size_t first, std::size_t last, const Sums& sums);

 private:
  using Chunk =
      std::tuple<int, std::size_t, std::size_t, std::size_t>;  // the arguments of add_chunk()
  void read(const nlohmann::json& identity);
  void write_line(const nlohmann::json& entry);

  std::filesystem::path path_;
  std::map<std::pair<int, std::size_t>, Sums> known_;
  std::map<Chunk, Sums> chunks_;
  std::ofstream out_;
};

}  // namespace crosstate::simulate
