#include "crosstate/search/genome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/base/testing.h"

namespace crosstate::search {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

TEST(Genome, HasAGeneForEverySiteThatTheNetworkHas) {
  model::ModelOptions model;
  const GenomeSpace gated = genome_space(model, "8 2 4 4");
  EXPECT_THAT(gated.bits, ElementsAre(2, 4, 8));
  EXPECT_EQ(gated.sites.size(), 13u);
  EXPECT_THAT(gated.choices(), testing::Each(3));
  model.gate = model::Gate::kNone;
  EXPECT_THAT(genome_space(model, "2 8").sites, Not(Contains("gate")));
}

TEST(Genome, SetsTheBitsOfItsSites) {
  const GenomeSpace space = genome_space({}, "2 4 8");
  Genes genes = space.uniform(8);
  genes.back() = 1;  // of the state
  genes.front() = 0;
  const quant::QuantOptions quant = quant::resolved(with_genes({}, space, genes).quant);
  EXPECT_EQ(quant.state.bits, 4);
  EXPECT_EQ(quant.encoder.bits, 2);
  EXPECT_EQ(quant.gate.bits, 8);
  EXPECT_EQ(genes_from(space, genes_text(space, genes)), genes);
}

TEST(Genome, ChoosesHowMuchIsPruned) {
  const GenomeSpace space = genome_space({}, "2 4 8", "0 0.3 0.6", "0.25");
  EXPECT_THAT(space.states, ElementsAre("0", "0.3", "0.6"));
  EXPECT_THAT(space.channels, ElementsAre("0", "0.25"));  // pruning nothing is always a choice
  EXPECT_THAT(genome_keys(space), Contains("prune.channels"));
  const std::vector<Genes> sizes = space.sizes(8);
  ASSERT_EQ(sizes.size(), 6u);
  EXPECT_EQ(sizes.front(), space.uniform(8));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(space.size_of(sizes[i]), i);
    EXPECT_EQ(genes_from(space, genes_text(space, sizes[i])), sizes[i]);
  }
  pipeline::RunOptions start;
  start.prune_float = true;
  EXPECT_FALSE(with_genes(start, space, sizes.front()).prune_float);
  const pipeline::RunOptions pruned = with_genes(start, space, sizes.back());
  EXPECT_TRUE(pruned.prune_float);
  EXPECT_EQ(pruned.prune.states, "0.6");
  EXPECT_EQ(pruned.prune.channels, "0.25");

  const GenomeSpace one_size = genome_space({}, "2 4 8");
  EXPECT_FALSE(one_size.prunes());
  EXPECT_TRUE(with_genes(start, one_size, one_size.uniform(8)).prune_float);  // as it was
}

// Shares are parts of the names of points and files.
TEST(Genome, HasDecimalPointsInEveryLocale) {
  const std::vector<std::string> shares = {"0", "0.5", "0.75"};
  EXPECT_EQ(genome_space({}, "2 8", "0 0.5 0.75").states, shares);
  const DecimalComma locale;
  EXPECT_EQ(genome_space({}, "2 8", "0 0.5 0.75").states, shares);
}

TEST(Genome, RefusesOtherTexts) {
  for (const char* bits : {"", "8", "8 8", "1 8", "2 17", "2 x", "2 8.5"}) {
    EXPECT_THROW(genome_space({}, bits), Error) << bits;
  }
  for (const char* shares : {"0.6 0.3", "1", "-0.1", "half"}) {
    EXPECT_THROW(genome_space({}, "2 8", shares), Error) << shares;
    EXPECT_THROW(genome_space({}, "2 8", "0", shares), Error) << shares;
  }
  const GenomeSpace pruned = genome_space({}, "2 8", "0 0.5");
  const std::string bits = genes_text(genome_space({}, "2 8"), Genes(13, 1));
  EXPECT_THROW(genes_from(pruned, bits), Error);
  EXPECT_THROW(genes_from(pruned, bits + " 0.4 0"), Error);
  const GenomeSpace space = genome_space({}, "2 8");
  EXPECT_THROW(space.uniform(4), Error);
  EXPECT_THROW(genes_from(space, "8 8"), Error);
  EXPECT_THROW(genes_from(space, genes_text(space, space.uniform(8)) + " 8"), Error);
  EXPECT_THROW(genes_from(space, "4 8 8 8 8 8 8 8 8 8 8 8 8"), Error);
}

}  // namespace
}  // namespace crosstate::search
