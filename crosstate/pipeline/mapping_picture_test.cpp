#include "crosstate/pipeline/mapping_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "crosstate/base/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// An element of a picture with its attributes.
struct Drawn {
  std::map<std::string, std::string> attributes;
  std::string text;  // between the tags

  double number(const std::string& key) const { return std::atof(attributes.at(key).c_str()); }
  double right() const { return number("x") + number("width"); }
  double bottom() const { return number("y") + number("height"); }
  bool filled() const { return attributes.at("fill") != "none"; }
};

struct Picture {
  explicit Picture(const std::string& svg) {
    static const std::regex kElement("<(svg|rect|text)((?: [a-z-]+=\"[^\"]*\")*) */?>([^<]*)");
    static const std::regex kAttribute(" ([a-z-]+)=\"([^\"]*)\"");
    for (std::sregex_iterator e(svg.begin(), svg.end(), kElement), end; e != end; ++e) {
      Drawn drawn;
      const std::string all = e->str(2);
      for (std::sregex_iterator a(all.begin(), all.end(), kAttribute); a != end; ++a) {
        drawn.attributes[a->str(1)] = a->str(2);
      }
      drawn.text = e->str(3);
      if (e->str(1) == "svg") whole = drawn;
      if (e->str(1) == "text") titles.push_back(drawn);
      if (e->str(1) != "rect") continue;
      if (drawn.filled()) {
        weights.back().push_back(drawn);
      } else {
        squares.push_back(drawn);
        weights.emplace_back();
      }
    }
  }
  Drawn whole;
  std::vector<Drawn> titles, squares;
  std::vector<std::vector<Drawn>> weights;  // by array
};

const crossbar::CrossbarOptions kArray{.rows = 8, .columns = 10};

mapping::MappedArray array_of(mapping::Site site, std::size_t layer, std::size_t rows,
                              std::size_t columns, std::vector<float> weights) {
  mapping::MappedArray a;
  a.site = site;
  a.layer = layer;
  a.rows = rows;
  a.columns = columns;
  a.weights = std::move(weights);
  a.used = rows * columns;
  return a;
}

mapping::Mapping mapping_of(std::vector<mapping::MappedArray> arrays) {
  mapping::Mapping mapping;
  mapping.arrays = std::move(arrays);
  mapping.pairs_per_array = 80;
  return mapping;
}

TEST(MappingPicture, MergesTheNeighboursOfARow) {
  const Picture picture(mapping_svg(
      mapping_of({array_of(mapping::Site::kLinear, 3, 2, 4, {1, -2, 0, 3, 0, 0, 0, 0})}), kArray));
  ASSERT_EQ(picture.squares.size(), 1u);
  const Drawn& square = picture.squares[0];
  ASSERT_EQ(picture.weights[0].size(), 2u);
  const double column = square.number("width") / 10, row = square.number("height") / 8;
  const Drawn &pair = picture.weights[0][0], &single = picture.weights[0][1];
  EXPECT_NEAR(pair.number("x"), square.number("x"), 1e-9);
  EXPECT_NEAR(pair.number("y"), square.number("y"), 1e-9);
  EXPECT_NEAR(pair.number("width"), 2 * column, 1e-9);
  EXPECT_NEAR(pair.number("height"), row, 1e-9);
  EXPECT_NEAR(single.number("x"), square.number("x") + 3 * column, 1e-9);
  EXPECT_NEAR(single.number("width"), column, 1e-9);
  EXPECT_EQ(picture.titles[0].text, "0: pointwise 3, 10.0 %");
}

TEST(MappingPicture, ColoursAndNamesTheSites) {
  std::vector<mapping::MappedArray> arrays;
  for (const mapping::Site site : {mapping::Site::kEncoder, mapping::Site::kRecurrence,
                                   mapping::Site::kLinear, mapping::Site::kDecoder}) {
    arrays.push_back(array_of(site, 1, 1, 1, {1}));
  }
  arrays.push_back(array_of(mapping::Site::kRecurrence, 2, 1, 1, {1}));
  const Picture picture(mapping_svg(mapping_of(arrays), kArray));
  std::vector<std::string> titles;
  for (const Drawn& title : picture.titles) titles.push_back(title.text);
  EXPECT_THAT(titles,
              ElementsAre("0: encoder, 1.2 %", "1: recurrence 1, 1.2 %", "2: pointwise 1, 1.2 %",
                          "3: decoder, 1.2 %", "4: recurrence 2, 1.2 %"));
  std::map<std::string, std::size_t> colours;
  for (const auto& weights : picture.weights) ++colours[weights.at(0).attributes.at("fill")];
  EXPECT_EQ(colours.size(), 4u);
  EXPECT_EQ(colours[picture.weights[1][0].attributes.at("fill")], 2u);
}

// A host program may have another locale.
TEST(MappingPicture, HasDecimalPointsInEveryLocale) {
  const mapping::Mapping mapping =
      mapping_of({array_of(mapping::Site::kLinear, 3, 2, 4, {1, -2, 0, 3, 0, 0, 0, 0})});
  const crossbar::CrossbarOptions narrow{.rows = 7, .columns = 9};
  const std::string svg = mapping_svg(mapping, narrow);
  EXPECT_THAT(svg, HasSubstr("<rect x=\"40.00\" y=\"40.00\" width=\"35.56\" height=\"22.86\" "
                             "fill=\"#b3541e\"/>\n"));
  const DecimalComma locale;
  EXPECT_EQ(mapping_svg(mapping, narrow), svg);
}

TEST(MappingPicture, IsBlankWithoutArrays) {
  const std::string svg = mapping_svg(mapping_of({}), kArray);
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_TRUE(Picture(svg).titles.empty());
}

TEST(MappingPicture, HasRoomForEveryArray) {
  const std::size_t count = 20;
  const Picture picture(mapping_svg(
      mapping_of(std::vector(count, array_of(mapping::Site::kDecoder, 0, 1, 1, {1}))), kArray));
  ASSERT_EQ(picture.squares.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    const Drawn &a = picture.squares[i], &title = picture.titles[i];
    EXPECT_THAT(title.text, StartsWith(std::to_string(i) + ": "));
    EXPECT_EQ(title.number("x"), a.number("x"));
    EXPECT_LT(title.number("y"), a.number("y"));
    EXPECT_GE(a.number("x"), 0);
    EXPECT_GE(title.number("y"), 0);
    EXPECT_LE(a.right(), picture.whole.number("width"));
    EXPECT_LE(a.bottom(), picture.whole.number("height"));
    for (std::size_t k = 0; k < i; ++k) {
      const Drawn& b = picture.squares[k];
      EXPECT_TRUE(a.number("x") >= b.right() || b.number("x") >= a.right() ||
                  a.number("y") >= b.bottom() || b.number("y") >= a.bottom())
          << i << " overlaps " << k;
    }
  }
}

// The centre of every pair with a weight lies in one rectangle, that of every other pair in none.
TEST(MappingPicture, ShowsEveryWeightOnce) {
  for (int number = 0; number < 6; ++number) {
    SCOPED_TRACE(number);
    const crossbar::CrossbarOptions options{.rows = 9 + 7 * number, .columns = 40 - 5 * number};
    const mapping::Mapping mapping = mapping::map_network(
        integer::fixtures::network(number, integer::fixtures::sequences(number),
                                   integer::fixtures::format(number, true)),
        options, 30);
    const Picture picture(mapping_svg(mapping, options));
    ASSERT_EQ(picture.squares.size(), mapping.arrays.size());
    for (std::size_t i = 0; i < mapping.arrays.size(); ++i) {
      const mapping::MappedArray& a = mapping.arrays[i];
      const Drawn& square = picture.squares[i];
      const double column = square.number("width") / options.columns,
                   row = square.number("height") / options.rows;
      double area = 0, weights = 0;
      for (const Drawn& r : picture.weights[i]) area += r.number("width") * r.number("height");
      for (std::size_t r = 0; r < a.rows; ++r) {
        for (std::size_t c = 0; c < a.columns; ++c) {
          const double x = square.number("x") + (static_cast<double>(c) + 0.5) * column,
                       y = square.number("y") + (static_cast<double>(r) + 0.5) * row;
          int drawn = 0;
          for (const Drawn& rect : picture.weights[i]) {
            drawn += rect.number("x") < x && x < rect.right() && rect.number("y") < y &&
                     y < rect.bottom();
          }
          const bool holds = a.weights[r * a.columns + c] != 0;
          weights += holds;
          ASSERT_EQ(drawn, holds ? 1 : 0) << "array " << i << ", row " << r << ", column " << c;
        }
      }
      // Nothing else is drawn; coordinates have two decimals.
      EXPECT_NEAR(area, weights * column * row, 0.02 * weights * column * row + 0.1);
    }
  }
}

}  // namespace
}  // namespace crosstate::pipeline
