// Mixed precision as a list of choices: the bits of each site of a network.
#pragma once

#include <string>
#include <vector>

#include "crosstate/pipeline/options.h"
#include "crosstate/search/nsga2.h"

namespace crosstate {

/// What the search may choose: bits for each kind of site, as in [quant.SITE].
struct GenomeSpace {
  std::vector<std::string> sites;  // "encoder", "state", ...
  std::vector<int> bits;           // ascending, the same for every site

  std::vector<int> choices() const;
  /// Every site at the same bits, which must be among `bits`.
  Genes uniform(int uniform_bits) const;
  int bits_of(const Genes& genes, std::size_t site) const;
};

/// The sites of a network of these options; `bits` as "2 3 4 8". Throws Error for other texts and
/// for bits beyond 2 to 16.
GenomeSpace genome_space(const ModelOptions& model, const std::string& bits);

/// The options with these bits at every site, the rest as they were.
RunOptions with_genes(const RunOptions& options, const GenomeSpace& space, const Genes& genes);

/// "quant.encoder.bits", ...: the keys that with_genes() sets.
std::vector<std::string> genome_keys(const GenomeSpace& space);

/// "8 8 4 ...": bits per site, and back; throws Error for a text that is not of this space.
std::string genes_text(const GenomeSpace& space, const Genes& genes);
Genes genes_from(const GenomeSpace& space, const std::string& text);

}  // namespace crosstate
