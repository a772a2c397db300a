#include "crosstate/search/design.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/search/genome.h"
#include "crosstate/simulate/options.h"

namespace crosstate::search {
namespace {

constexpr const char* kDigitalKey = "crossbar.digital";
constexpr const char* kResidueKey = "quant.state.residue_bits";

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// The settings that a design may change, bound to it.
FieldList list_of(Design& design, int& residue_bits) {
  FieldList list;
  crossbar::fields(list, design.target.crossbar);
  cost::fields(list, design.estimate);
  list.section("quant.state");
  list.add("residue_bits", residue_bits, "").range(0, kernels::kMostResidueBits);
  return list;
}

// "64x32" as the values of two keys.
std::vector<std::string> parts_of(const std::string& word, std::size_t count) {
  if (count == 1) return {word};
  const std::size_t cross = word.find('x');
  if (cross == std::string::npos) return {word, ""};
  return {word.substr(0, cross), word.substr(cross + 1)};
}

constexpr std::pair<const char*, const char*> kTechnologies[] = {
    {"taox-64x64", "crossbar-180nm-taox"},
    {"hermes", "crossbar-14nm"},
    {"pcm", "crossbar-14nm"},
    {"neurram", "crossbar-130nm"}};

}  // namespace

DesignOptions::DesignOptions() {
  population = 24;
  generations = 10;
  sequences = 256;
}

void fields(FieldList& list, DesignOptions& options) {
  list.section("search");
  fields(list, static_cast<EvolutionOptions&>(options));
  list.add(
      "digital", options.digital,
      "With --target: sites that may be computed in exact integers instead of on arrays, as in "
      "crossbar.digital but separated by spaces; those joined by a comma are decided together. "
      "Empty: none.");
  list.add("arrays", options.arrays,
           "With --target: sizes of arrays to choose from, rows x pairs of columns.");
  list.add("adc_bits", options.adc_bits, "With --target: bits of converters to choose from.");
  list.add("converters", options.converters,
           "With --target: types of converters to choose from, as in cost.converter.");
  list.add("slices", options.slices,
           "With --target: cells per weight to choose from, as in crossbar.slices.");
  list.add("packing", options.packing,
           "With --target: packings to choose from, as in crossbar.packing.");
  list.add(
      "residue_bits", options.residue_bits,
      "With --target: residue bits of the states to choose from, without training; empty: those "
      "of the network.");
  list.add("chips", options.chips,
           "With --target: number of chips on which every design is simulated.")
      .range(1, 10000);
  list.add("age", options.age,
           "With --target: age at which these chips are tested, such as 3600, 1h or 1d.");
  list.add("energy", options.energy,
           "With --target: budget of the energy of an inference, typical; 0: no limit.")
      .in("nJ")
      .range(0, 1e15);
  list.add("area", options.area, "With --target: budget of the area, typical; 0: no limit.")
      .in("mm2")
      .range(0, 1e9);
  list.add(
      "technology", options.technology,
      "With --target: constants of energy and area, as --target of cost; empty: those known of "
      "the target.");
  cost::fields(list, options.inference);
  cost::fields(list, options.estimate);
}

void validate(const DesignOptions& options, const crossbar::Target& target) {
  DesignOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  if (!simulate::read_time(options.age)) {
    fail("options", "search.age = \"" + excerpt(options.age) +
                        "\", expected one time in seconds, or such as 1h or 1d");
  }
  DesignSpace(options, target);
}

std::string technology_of(const std::string& target) {
  for (const auto& [name, technology] : kTechnologies) {
    if (target == name) return technology;
  }
  fail("search.technology", "empty, and no technology of the target " + excerpt(target) +
                                " is known; expected the name or file of one of crossbars");
}

DesignSpace::DesignSpace(const DesignOptions& options, const crossbar::Target& target)
    : target_(target), estimate_(options.estimate), sites_(words_of(options.digital)) {
  // Named in messages as the option that lists it.
  std::vector<std::string> sites = sites_;
  if (!target.crossbar.digital.empty()) {
    sites.insert(sites.begin(), target.crossbar.digital);
  }
  const analog::DigitalSites all(joined(sites, ", "), "search.digital");
  for (const std::string& site : sites_) {
    genes_.push_back({site, {{}, {site}}});
  }
  add("arrays", options.arrays, {"crossbar.rows", "crossbar.columns"}, true);
  add("adc_bits", options.adc_bits, {"crossbar.adc_bits"}, true);
  add("slices", options.slices, {"crossbar.slices"}, true);
  add("packing", options.packing, {"crossbar.packing"}, true);
  add("converters", options.converters, {"cost.converter"}, false);
  residue_ = !words_of(options.residue_bits).empty();
  if (residue_) add("residue_bits", options.residue_bits, {kResidueKey}, true);
  for (const Gene& gene : genes_) {
    if (gene.option != "slices") continue;
    const Design most = design(gene.sets.back().front());
    target_.crossbar.slices = std::max(1, most.target.crossbar.slices);
  }
}

void DesignSpace::add(const std::string& option, const std::string& list,
                      const std::vector<std::string>& keys, bool of_chip) {
  const std::string place = "search." + option + " = \"" + excerpt(list) + '"';
  Gene gene{option, {}, of_chip};
  std::vector<std::string> words = words_of(list);
  if (words.empty()) fail("options", place + ", expected at least one alternative");
  for (const std::string& word : words) {
    if (std::count(words.begin(), words.end(), word) > 1) {
      fail("options", place + ": " + excerpt(word) + " is listed twice");
    }
    const std::vector<std::string> values = parts_of(word, keys.size());
    std::vector<std::string>& sets = gene.sets.emplace_back();
    for (std::size_t i = 0; i < keys.size(); ++i) sets.push_back(keys[i] + '=' + values[i]);
    try {
      design(joined(sets, " "));
    } catch (const Error& error) {
      constexpr std::string_view kPlace = "option: ";
      std::string_view why = error.what();
      if (why.starts_with(kPlace)) why.remove_prefix(kPlace.size());
      const char* const form = keys.size() > 1 ? ", expected sizes such as 64x64" : "";
      fail("options", place + ": \"" + excerpt(word) + "\": " + std::string(why) + form);
    }
  }
  genes_.push_back(std::move(gene));
}

std::vector<int> DesignSpace::choices() const {
  std::vector<int> counts;
  for (const Gene& gene : genes_) counts.push_back(static_cast<int>(gene.sets.size()));
  return counts;
}

std::vector<Genes> DesignSpace::first() const {
  Genes plain(genes_.size(), 0);
  std::size_t arrays = 0;
  std::optional<std::size_t> states;
  for (std::size_t i = 0; i < genes_.size(); ++i) {
    if (genes_[i].option == "adc_bits") plain[i] = static_cast<int>(genes_[i].sets.size()) - 1;
    if (genes_[i].option == "arrays") arrays = i;
    if (i < sites_.size() && (sites_[i] == "A" || sites_[i].starts_with("A,"))) states = i;
  }
  std::vector<Genes> all;
  for (int size = 0; size < static_cast<int>(genes_[arrays].sets.size()); ++size) {
    plain[arrays] = size;
    all.push_back(plain);
    if (!states) continue;
    all.push_back(plain);
    all.back()[*states] = 1;
  }
  return all;
}

std::string DesignSpace::digital_of(const Genes& genes) const {
  std::vector<std::string> sites;
  if (!target_.crossbar.digital.empty()) {
    std::string own = target_.crossbar.digital;  // as a setting without blanks
    std::erase(own, ' ');
    sites.push_back(std::move(own));
  }
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    if (genes[i] == 1) sites.push_back(sites_[i]);
  }
  return joined(sites, ",");
}

std::string DesignSpace::digital_in_some() const { return digital_of(Genes(genes_.size(), 1)); }

Genes DesignSpace::canonical(const Genes& genes) const {
  Genes same = genes;
  crossbar::Target own = target_;
  own.crossbar.digital = digital_of(genes);
  const std::vector<pipeline::IdleSettings> idle = pipeline::idle_on_target(own);
  for (std::size_t i = sites_.size(); i < genes_.size(); ++i) {
    const std::string& first = genes_[i].sets.front().front();
    const std::string key = first.substr(0, first.find('='));
    if (!pipeline::idle_reason(key, idle).empty()) same[i] = 0;
  }
  return same;
}

std::string DesignSpace::text(const Genes& genes, bool of_chip) const {
  const Genes own = canonical(genes);
  std::vector<std::string> sets;
  const std::string digital = digital_of(own);
  if (!digital.empty()) sets.push_back(std::string(kDigitalKey) + '=' + digital);
  for (std::size_t i = sites_.size(); i < genes_.size(); ++i) {
    if (of_chip && !genes_[i].of_chip) continue;
    for (const std::string& set : genes_[i].sets[static_cast<std::size_t>(own[i])]) {
      sets.push_back(set);
    }
  }
  return joined(sets, " ");
}

std::string DesignSpace::text(const Genes& genes) const { return text(genes, false); }
std::string DesignSpace::chip_text(const Genes& genes) const { return text(genes, true); }

Design DesignSpace::design(const std::string& text) const {
  Design design{target_, estimate_, std::nullopt};
  int residue_bits = -1;
  FieldList list = list_of(design, residue_bits);
  for (const std::string& assignment : words_of(text)) list.set(assignment);
  if (residue_bits >= 0) design.residue_bits = residue_bits;
  design.estimate.rows = design.target.crossbar.rows;
  design.estimate.columns = design.target.crossbar.columns;
  design.estimate.converter_bits = design.target.crossbar.adc_bits;
  return design;
}

std::vector<DesignSpace::Chosen> DesignSpace::chosen() {
  return {{{"crossbar.rows", "crossbar.columns", "cost.rows", "cost.columns"}, "search.arrays"},
          {{"crossbar.adc_bits", "cost.converter_bits"}, "search.adc_bits"},
          {{"cost.converter"}, "search.converters"},
          {{"crossbar.slices"}, "search.slices"},
          {{"crossbar.packing"}, "search.packing"}};
}

std::vector<int> DesignSpace::residue_bits() const {
  std::vector<int> all;
  for (const Gene& gene : genes_) {
    if (gene.option != "residue_bits") continue;
    for (const auto& sets : gene.sets) all.push_back(*design(sets.front()).residue_bits);
  }
  return all;
}

}  // namespace crosstate::search
