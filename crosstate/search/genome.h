// The encoding of a candidate network as a list of choices: the bits of each site, and the pruned
// shares.
#pragma once

#include <string>
#include <vector>

#include "crosstate/pipeline/options.h"
#include "crosstate/search/nsga2.h"

namespace crosstate::search {

/// The parts of a list, which blanks separate.
std::vector<std::string> words_of(const std::string& text);

/// The search space: bits for each kind of site, as in [quant.SITE], and optionally the shares of
/// states and channels to prune.
struct GenomeSpace {
  std::vector<std::string> sites;  // "encoder", "state", ...
  std::vector<int> bits;           // ascending, the same for all sites
  // As in [prune], ascending from "0"; {"0"}: no choice.
  std::vector<std::string> states = {"0"}, channels = {"0"};

  bool prunes() const { return states.size() > 1 || channels.size() > 1; }
  /// Number of alternatives of each gene: sites first, then states and channels if the space
  /// prunes().
  std::vector<int> choices() const;
  /// The same bits at every site (which must be among `bits`); nothing pruned.
  Genes uniform(int uniform_bits) const;
  /// The same bits with every pair of shares to prune; the first pair prunes nothing.
  std::vector<Genes> sizes(int uniform_bits) const;
  /// The index in sizes() of the pruned shares of these genes.
  std::size_t size_of(const Genes& genes) const;
  int bits_of(const Genes& genes, std::size_t site) const;
};

/// The search space of a network with these options; `bits` as "2 3 4 8", shares as "0 0.3 0.6".
/// Throws Error for other texts, for bits outside 2 to 16, and for shares that do not ascend from 0
/// to below 1.
GenomeSpace genome_space(const model::ModelOptions& model, const std::string& bits,
                         const std::string& states = "0", const std::string& channels = "0");

/// The options with these bits at every site and, if the space prunes, these shares in [prune]; all
/// others unchanged.
pipeline::RunOptions with_genes(const pipeline::RunOptions& options, const GenomeSpace& space,
                                const Genes& genes);

/// "quant.encoder.bits", ..., "prune.states", "prune.channels": the keys that genes determine.
std::vector<std::string> genome_keys(const GenomeSpace& space);

/// "8 8 4 ... 0.6 0.3": the values of genome_keys(), and the inverse; throws Error for a text that
/// is not in this space.
std::string genes_text(const GenomeSpace& space, const Genes& genes);
Genes genes_from(const GenomeSpace& space, const std::string& text);

}  // namespace crosstate::search
