// The design of a chip for a trained network as a list of choices: sites on arrays, arrays,
// converters, cells.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crosstate/cost/options.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/search/session.h"

namespace crosstate::search {

/// Lists are alternatives, separated by spaces; a single one is not varied.
struct DesignOptions : EvolutionOptions {
  DesignOptions();

  std::string digital = "encoder A C pointwise decoder";  // that may be digital; "": none
  std::string arrays = "32x32 64x64 128x128 256x256";     // rows x pairs of columns
  std::string adc_bits = "3 4 5 6 7 8";
  std::string converters = "target sar ramp flash oscillator";  // cost::ConverterType
  std::string slices = "1 2 4";                                 // cells per weight
  std::string packing = "packed single";
  std::string residue_bits;  // of the states; "": those of the network
  int chips = 3;             // on which every design is simulated
  std::string age = "1d";    // at which they are tested
  double energy = 0;         // budget of an inference, typical, in nJ; 0: no limit
  double area = 0;           // budget in mm2, typical; 0: no limit
  std::string technology;    // constants of energy and area; see technology_of()
  cost::InferenceOptions inference;
  cost::EstimateOptions estimate;  // converter, array and bits are those of the design
};
/// Binds the fields of section "search" that such a search has, and those of section "cost".
void fields(FieldList& list, DesignOptions& options);
/// Throws Error for values out of range, for an age that is none, and as DesignSpace does.
void validate(const DesignOptions& options, const crossbar::Target& target);

/// The technology that prices a shipped target. Throws Error naming `search.technology` for a
/// target whose technology is not known.
std::string technology_of(const std::string& target);

/// A chip.
struct Design {
  crossbar::Target target;
  cost::EstimateOptions estimate;   // with arrays and converters of the target
  std::optional<int> residue_bits;  // none: as in the network
};

class DesignSpace {
 public:
  /// Throws Error about options, naming the key, for a list that is empty, has a value that the
  /// setting of the design does not allow, or has one twice, and for sites that crossbar.digital
  /// of the target has already.
  DesignSpace(const DesignOptions& options, const crossbar::Target& target);

  /// Number of alternatives of each gene.
  std::vector<int> choices() const;
  /// Designs to begin with: arrays of every size with the last of the converter bits, all sites on
  /// arrays, and with A digital if that is a choice.
  std::vector<Genes> first() const;

  /// The settings of a design, "crossbar.digital=A,C crossbar.rows=64 ...", which describe it
  /// completely. Choices without effect in it have their first alternative, so that equal designs
  /// have equal texts.
  std::string text(const Genes& genes) const;
  /// Only those that simulated chips depend on.
  std::string chip_text(const Genes& genes) const;
  /// The inverse of both.
  Design design(const std::string& text) const;

  /// The settings that designs determine, and the option that lists their alternatives.
  struct Chosen {
    std::vector<std::string> keys;
    std::string option;
  };
  static std::vector<Chosen> chosen();

  /// All sites that are digital in some design, as crossbar.digital lists them.
  std::string digital_in_some() const;
  /// The target with alternatives that give most settings an effect.
  const crossbar::Target& target() const { return target_; }
  bool varies_residue() const { return residue_; }
  std::vector<int> residue_bits() const;

 private:
  struct Gene {
    std::string option;                          // "adc_bits"
    std::vector<std::vector<std::string>> sets;  // assignments, by alternative
    bool of_chip = true;                         // whether simulated chips depend on it
  };
  std::string text(const Genes& genes, bool of_chip) const;
  Genes canonical(const Genes& genes) const;
  std::string digital_of(const Genes& genes) const;
  void add(const std::string& option, const std::string& list, const std::vector<std::string>& keys,
           bool of_chip);

  crossbar::Target target_;
  cost::EstimateOptions estimate_;
  std::vector<std::string> sites_;  // of which each has a gene, before those below
  std::vector<Gene> genes_;
  bool residue_ = false;
};

}  // namespace crosstate::search
