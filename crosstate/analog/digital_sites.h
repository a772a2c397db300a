// Which sites of a network are computed digitally, in exact integers, instead of on arrays.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace crosstate::analog {

/// The sites of a block that are digital.
struct DigitalBlock {
  bool states = false;     // A, with B: the next states
  bool outputs = false;    // C
  bool pointwise = false;  // the linear layer
  bool recurrence() const { return states && outputs; }
};

/// Parsed from a list such as "A, decoder, pointwise.1": names of sites (encoder, A, C, pointwise,
/// decoder), those of blocks in all blocks or, with a number behind a point, in one, counted from
/// 0. A stands for the next states, so that B is digital with it. An empty list: all sites on
/// arrays.
class DigitalSites {
 public:
  DigitalSites() = default;
  /// Throws Error about options, naming the setting `key`, for a name that does not exist or that
  /// is listed twice.
  DigitalSites(const std::string& list, const std::string& key);

  bool encoder() const { return has(Kind::kEncoder, 0); }
  bool decoder() const { return has(Kind::kDecoder, 0); }
  DigitalBlock block(std::size_t layer) const;
  /// The sites that are digital in every block, whatever their number.
  DigitalBlock every_block() const { return block(kEveryBlock); }
  bool empty() const { return sites_.empty(); }
  /// Throws Error about options for a block that a network of `layers` blocks does not have.
  void require_blocks(std::size_t layers) const;

 private:
  enum class Kind { kEncoder, kStates, kOutputs, kPointwise, kDecoder };
  static constexpr std::size_t kEveryBlock = static_cast<std::size_t>(-1);
  struct Site {
    Kind kind;
    std::size_t layer;
    std::string name;
  };
  bool has(Kind kind, std::size_t layer) const;

  std::vector<Site> sites_;
  std::string key_;
};

}  // namespace crosstate::analog
