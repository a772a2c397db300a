#include "crosstate/search/genome.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

std::vector<int> numbers(const std::string& text, const std::string& where) {
  std::vector<int> all;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    int number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size()) {
      fail(where, "\"" + excerpt(text) + "\", expected whole numbers between spaces");
    }
    all.push_back(number);
  }
  return all;
}

}  // namespace

std::vector<int> GenomeSpace::choices() const {
  return std::vector<int>(sites.size(), static_cast<int>(bits.size()));
}

Genes GenomeSpace::uniform(int uniform_bits) const {
  const auto found = std::find(bits.begin(), bits.end(), uniform_bits);
  if (found == bits.end())
    fail("search.bits", "no " + std::to_string(uniform_bits) + " bits in it");
  return Genes(sites.size(), static_cast<int>(found - bits.begin()));
}

int GenomeSpace::bits_of(const Genes& genes, std::size_t site) const {
  return bits[static_cast<std::size_t>(genes[site])];
}

GenomeSpace genome_space(const ModelOptions& model, const std::string& bits) {
  GenomeSpace space;
  space.bits = numbers(bits, "search.bits");
  std::sort(space.bits.begin(), space.bits.end());
  space.bits.erase(std::unique(space.bits.begin(), space.bits.end()), space.bits.end());
  if (space.bits.size() < 2 || space.bits.front() < 2 || space.bits.back() > 16) {
    fail("options", "search.bits = \"" + excerpt(bits) +
                        "\", expected two or more of 2 to 16, such as \"2 3 4 6 8\"");
  }
  space.sites = {"encoder", "a", "c", "d", "weight", "decoder"};
  for (const char* site : {"input", "residual", "ssm_output", "activation"}) {
    space.sites.push_back(site);
  }
  if (model.gate != "none") {
    space.sites.push_back("linear");
    space.sites.push_back("gate");
  }
  space.sites.push_back("state");
  return space;
}

std::vector<std::string> genome_keys(const GenomeSpace& space) {
  std::vector<std::string> keys;
  for (const std::string& site : space.sites) keys.push_back("quant." + site + ".bits");
  return keys;
}

RunOptions with_genes(const RunOptions& options, const GenomeSpace& space, const Genes& genes) {
  RunOptions result = options;
  FieldList list = result.fields();
  const std::vector<std::string> keys = genome_keys(space);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    list.set(keys[i] + '=' + std::to_string(space.bits_of(genes, i)));
  }
  return result;
}

std::string genes_text(const GenomeSpace& space, const Genes& genes) {
  std::string text;
  for (std::size_t i = 0; i < genes.size(); ++i) {
    text += (i == 0 ? "" : " ") + std::to_string(space.bits_of(genes, i));
  }
  return text;
}

Genes genes_from(const GenomeSpace& space, const std::string& text) {
  Genes genes;
  for (const int bits : numbers(text, "genome")) {
    const auto found = std::find(space.bits.begin(), space.bits.end(), bits);
    if (found == space.bits.end()) fail("genome", excerpt(text) + ": not among search.bits");
    genes.push_back(static_cast<int>(found - space.bits.begin()));
  }
  if (genes.size() != space.sites.size()) fail("genome", excerpt(text) + ": of other sites");
  return genes;
}

}  // namespace crosstate
