#include "crosstate/hardware/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/error.h"

namespace crosstate::hardware {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ExternalFields, AreUsedWithACommand) {
  EXPECT_FALSE(ExternalOptions{}.used());
  EXPECT_TRUE(ExternalOptions{.command = "driver"}.used());
  validate({});
  validate({.command = "driver", .timeout = 1e-3, .voltage = 100});
}

TEST(ExternalFields, AreReadByTheirNames) {
  ExternalOptions options;
  FieldList list;
  fields(list, options);
  list.set("external.command=driver --port 3");
  list.set("external.timeout=5");
  list.set("external.voltage=0.1");
  EXPECT_EQ(options.command, "driver --port 3");
  EXPECT_EQ(options.timeout, 5);
  EXPECT_EQ(options.voltage, 0.1);
}

TEST(ExternalFields, RefuseValuesOutOfRange) {
  for (const double timeout : {0.0, -1.0, 1e7, std::nan("")}) {
    EXPECT_THAT([&] { validate({.command = "driver", .timeout = timeout}); },
                ThrowsMessage<Error>(AllOf(HasSubstr("external.timeout"), HasSubstr("expected"))));
  }
  for (const double voltage : {0.0, -0.2, 101.0, std::nan("")}) {
    EXPECT_THAT([&] { validate({.command = "driver", .voltage = voltage}); },
                ThrowsMessage<Error>(AllOf(HasSubstr("external.voltage"), HasSubstr("expected"))));
  }
}

}  // namespace
}  // namespace crosstate::hardware
