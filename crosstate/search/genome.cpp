#include "crosstate/search/genome.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/prune/options.h"

namespace crosstate::search {
namespace {

int whole_number(const std::string& word, const std::string& where) {
  int number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) {
    fail(where, "\"" + excerpt(word) + "\", expected integers separated by spaces");
  }
  return number;
}

// Shares to prune, in the notation of [prune]; 0 is always the first.
std::vector<std::string> shares_of(const std::string& text, const std::string& key) {
  prune::PruneOptions probe;
  probe.states = text;
  probe.channels = "0";
  std::vector<std::string> shares = {"0"};
  try {
    for (const prune::PruneShares& point : prune::prune_points(probe)) {
      std::string share = rounded_text(point.states, 6);
      if (point.states > 0 && share != shares.back()) shares.push_back(std::move(share));
    }
  } catch (const Error&) {
    fail("options", key + " = \"" + excerpt(text) +
                        "\", expected ascending numbers from 0 to below 1, such as \"0 0.3 0.6\"");
  }
  return shares;
}

const std::string& states_of(const GenomeSpace& space, const Genes& genes) {
  return space.states[static_cast<std::size_t>(genes[space.sites.size()])];
}

const std::string& channels_of(const GenomeSpace& space, const Genes& genes) {
  return space.channels[static_cast<std::size_t>(genes[space.sites.size() + 1])];
}

int place_of(const std::vector<std::string>& choices, const std::string& choice) {
  const auto found = std::find(choices.begin(), choices.end(), choice);
  return found == choices.end() ? -1 : static_cast<int>(found - choices.begin());
}

}  // namespace

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

std::vector<int> GenomeSpace::choices() const {
  std::vector<int> counts(sites.size(), static_cast<int>(bits.size()));
  if (prunes()) {
    for (const auto* shares : {&states, &channels}) {
      counts.push_back(static_cast<int>(shares->size()));
    }
  }
  return counts;
}

Genes GenomeSpace::uniform(int uniform_bits) const {
  const auto found = std::find(bits.begin(), bits.end(), uniform_bits);
  if (found == bits.end())
    fail("search.bits", "no " + std::to_string(uniform_bits) + " bits in it");
  Genes genes(sites.size(), static_cast<int>(found - bits.begin()));
  if (prunes()) genes.insert(genes.end(), 2, 0);
  return genes;
}

std::vector<Genes> GenomeSpace::sizes(int uniform_bits) const {
  const Genes whole = uniform(uniform_bits);
  if (!prunes()) return {whole};
  std::vector<Genes> all;
  for (std::size_t i = 0; i < states.size(); ++i) {
    for (std::size_t j = 0; j < channels.size(); ++j) {
      Genes& genes = all.emplace_back(whole);
      genes[sites.size()] = static_cast<int>(i);
      genes[sites.size() + 1] = static_cast<int>(j);
    }
  }
  return all;
}

std::size_t GenomeSpace::size_of(const Genes& genes) const {
  if (!prunes()) return 0;
  return static_cast<std::size_t>(genes[sites.size()]) * channels.size() +
         static_cast<std::size_t>(genes[sites.size() + 1]);
}

int GenomeSpace::bits_of(const Genes& genes, std::size_t site) const {
  return bits[static_cast<std::size_t>(genes[site])];
}

GenomeSpace genome_space(const model::ModelOptions& model, const std::string& bits,
                         const std::string& states, const std::string& channels) {
  GenomeSpace space;
  for (const std::string& word : words_of(bits)) {
    space.bits.push_back(whole_number(word, "search.bits"));
  }
  space.states = shares_of(states, "search.states");
  space.channels = shares_of(channels, "search.channels");
  std::sort(space.bits.begin(), space.bits.end());
  space.bits.erase(std::unique(space.bits.begin(), space.bits.end()), space.bits.end());
  if (space.bits.size() < 2 || space.bits.front() < 2 || space.bits.back() > 16) {
    fail("options", "search.bits = \"" + excerpt(bits) +
                        "\", expected two or more integers from 2 to 16, such as \"2 3 4 6 8\"");
  }
  space.sites = {"encoder", "a", "c", "d", "weight", "decoder"};
  for (const char* site : {"input", "residual", "ssm_output", "activation"}) {
    space.sites.push_back(site);
  }
  if (model.gate != model::Gate::kNone) {
    space.sites.push_back("linear");
    space.sites.push_back("gate");
  }
  space.sites.push_back("state");
  return space;
}

std::vector<std::string> genome_keys(const GenomeSpace& space) {
  std::vector<std::string> keys;
  for (const std::string& site : space.sites) keys.push_back("quant." + site + ".bits");
  if (space.prunes()) keys.insert(keys.end(), {"prune.states", "prune.channels"});
  return keys;
}

pipeline::RunOptions with_genes(const pipeline::RunOptions& options, const GenomeSpace& space,
                                const Genes& genes) {
  pipeline::RunOptions result = options;
  FieldList list = result.fields();
  for (std::size_t i = 0; i < space.sites.size(); ++i) {
    list.set("quant." + space.sites[i] + ".bits=" + std::to_string(space.bits_of(genes, i)));
  }
  if (space.prunes()) {
    result.prune.states = states_of(space, genes);
    result.prune.channels = channels_of(space, genes);
    result.prune_float = space.size_of(genes) > 0;
  }
  return result;
}

std::string genes_text(const GenomeSpace& space, const Genes& genes) {
  std::string text;
  for (std::size_t i = 0; i < space.sites.size(); ++i) {
    text += (i == 0 ? "" : " ") + std::to_string(space.bits_of(genes, i));
  }
  if (space.prunes()) text += ' ' + states_of(space, genes) + ' ' + channels_of(space, genes);
  return text;
}

Genes genes_from(const GenomeSpace& space, const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  if (words.size() != space.choices().size()) fail("genome", excerpt(text) + ": has other sites");
  Genes genes;
  for (std::size_t i = 0; i < space.sites.size(); ++i) {
    const auto found =
        std::find(space.bits.begin(), space.bits.end(), whole_number(words[i], "genome"));
    if (found == space.bits.end()) fail("genome", excerpt(text) + ": not among search.bits");
    genes.push_back(static_cast<int>(found - space.bits.begin()));
  }
  if (!space.prunes()) return genes;
  genes.push_back(place_of(space.states, words[words.size() - 2]));
  genes.push_back(place_of(space.channels, words.back()));
  if (std::min(genes.back(), genes[genes.size() - 2]) < 0) {
    fail("genome", excerpt(text) + ": not among search.states and search.channels");
  }
  return genes;
}

}  // namespace crosstate::search
