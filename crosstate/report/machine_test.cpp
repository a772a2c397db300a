#include "crosstate/report/machine.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/version.h"

namespace crosstate::report {
namespace {

TEST(Machine, TellsWhatAReportNeeds) {
  const nlohmann::json machine = machine_summary();
  for (const char* key : {"cpu", "system", "architecture", "compiler"}) {
    EXPECT_FALSE(machine.at(key).get<std::string>().empty()) << key;
  }
  EXPECT_GE(machine.at("cores").get<int>(), 1);
  EXPECT_EQ(machine.at("crosstate").get<std::string>(), kVersion);
  for (const auto& set : machine.at("instruction_sets").get<std::vector<std::string>>()) {
    EXPECT_TRUE(set == "avx2" || set == "avx512f" || set == "neon") << set;
  }
}

}  // namespace
}  // namespace crosstate::report
