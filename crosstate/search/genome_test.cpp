#include "crosstate/search/genome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

TEST(Genome, HasAGeneForEverySiteThatTheNetworkHas) {
  ModelOptions model;
  const GenomeSpace gated = genome_space(model, "8 2 4 4");
  EXPECT_THAT(gated.bits, ElementsAre(2, 4, 8));
  EXPECT_EQ(gated.sites.size(), 13u);
  EXPECT_THAT(gated.choices(), testing::Each(3));
  model.gate = "none";
  EXPECT_THAT(genome_space(model, "2 8").sites, Not(Contains("gate")));
}

TEST(Genome, SetsTheBitsOfItsSites) {
  const GenomeSpace space = genome_space({}, "2 4 8");
  Genes genes = space.uniform(8);
  genes.back() = 1;  // of the state
  genes.front() = 0;
  const QuantOptions quant = resolved(with_genes({}, space, genes).quant);
  EXPECT_EQ(quant.state.bits, 4);
  EXPECT_EQ(quant.encoder.bits, 2);
  EXPECT_EQ(quant.gate.bits, 8);
  EXPECT_EQ(genes_from(space, genes_text(space, genes)), genes);
}

TEST(Genome, RefusesOtherTexts) {
  for (const char* bits : {"", "8", "8 8", "1 8", "2 17", "2 x", "2 8.5"}) {
    EXPECT_THROW(genome_space({}, bits), Error) << bits;
  }
  const GenomeSpace space = genome_space({}, "2 8");
  EXPECT_THROW(space.uniform(4), Error);
  EXPECT_THROW(genes_from(space, "8 8"), Error);
  EXPECT_THROW(genes_from(space, genes_text(space, space.uniform(8)) + " 8"), Error);
  EXPECT_THROW(genes_from(space, "4 8 8 8 8 8 8 8 8 8 8 8 8"), Error);
}

}  // namespace
}  // namespace crosstate
