#include "crosstate/quant/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(QuantOptions, DefaultsAreValidAndEveryFieldHasHelp) {
  QuantOptions options;
  validate(options);
  FieldList list;
  fields(list, options);
  EXPECT_EQ(list.all().size(), 11u);
  for (const Field& field : list.all()) {
    EXPECT_TRUE(field.key.starts_with("quant.")) << field.key;
    EXPECT_FALSE(field.help.empty()) << field.key;
  }
}

TEST(QuantOptions, AcceptsEveryWidthButOne) {
  QuantOptions options;
  FieldList list;
  fields(list, options);
  for (int bits = 0; bits <= 16; ++bits) {
    list.set("quant.state_bits=" + std::to_string(bits));
    EXPECT_EQ(options.state_bits, bits);
    if (bits == 1) {
      EXPECT_THAT([&] { validate(options); },
                  ThrowsMessage<Error>(HasSubstr("quant.state_bits = 1, expected 0")));
    } else {
      validate(options);
    }
  }
  EXPECT_THROW(list.set("quant.state_bits=17"), Error);
}

TEST(QuantOptions, RefusesValuesSetInCode) {
  QuantOptions options;
  options.weight_noise = 2;
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.weight_noise = 2")));
  options = {};
  options.scales = "log";
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("quant.scales = \"log\"")));
}

}  // namespace
}  // namespace crosstate
