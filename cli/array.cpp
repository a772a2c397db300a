// crosstate array: column currents of one crossbar array, and its circuit as a netlist.
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/circuit/netlist.h"
#include "crosstate/circuit/wires.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::cli {
namespace {

struct ArraySettings {
  circuit::WireOptions wires;
  circuit::CellLaw law;

  FieldList fields() {
    FieldList list;
    crosstate::circuit::fields(list, wires);
    crosstate::circuit::fields(list, law);
    return list;
  }
};

struct ArrayFiles {
  std::string conductance, voltage, netlist, effective;
};

formats::Matrix read_siemens(const std::string& path) {
  formats::Matrix matrix = formats::read_matrix(path);
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    if (matrix.values[k] >= 0) continue;
    fail(path + ':' + std::to_string(k / matrix.columns + 1),
         "column " + std::to_string(k % matrix.columns + 1) + ": " + exact_text(matrix.values[k]) +
             " S, expected a conductance of 0 or more");
  }
  return matrix;
}

// One value per row, in a column or in a line.
std::vector<double> read_volts(const std::string& path, std::size_t rows) {
  formats::Matrix matrix = formats::read_matrix(path);
  const bool one_line = matrix.rows == 1 || matrix.columns == 1;
  if (one_line && matrix.values.size() == rows) return std::move(matrix.values);
  fail(path, std::to_string(matrix.rows) + " x " + std::to_string(matrix.columns) +
                 " values, expected one voltage for each of " + std::to_string(rows) + " rows");
}

std::string one_per_line(const std::vector<double>& values) {
  return formats::format_csv({values.size(), 1, values});
}

// A result must not replace an input or another result.
void require_different_files(const Common& common, const ArrayFiles& files) {
  const std::pair<const char*, const std::string&> named[] = {{"--conductance", files.conductance},
                                                              {"--voltage", files.voltage},
                                                              {"--out", common.out},
                                                              {"--json", common.json},
                                                              {"--netlist", files.netlist},
                                                              {"--effective", files.effective}};
  constexpr std::size_t kRead = 2;
  const auto place = [](const std::string& path) {
    std::error_code ignored;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, ignored), ignored);
  };
  for (std::size_t k = kRead; k < std::size(named); ++k) {
    const auto& [option, path] = named[k];
    if (path.empty() || path == "-") continue;
    for (std::size_t i = 0; i < k; ++i) {
      if (named[i].second.empty() || place(named[i].second) != place(path)) continue;
      fail(option, path + " is the file of " + named[i].first + ", expected another one");
    }
  }
}

// The file of --out, if given. Existing files are replaced only on request.
std::unique_ptr<FileLock> hold_file(const Common& common, const ArrayFiles& files) {
  if (common.overwrite && common.out.empty() && files.netlist.empty() && files.effective.empty()) {
    fail("--overwrite", "nothing to replace without --out");
  }
  std::unique_ptr<FileLock> lock;
  if (!common.out.empty()) {
    lock = std::make_unique<FileLock>(common.out + ".lock", common.out);
    if (!lock->note().empty()) std::fprintf(stderr, "%s\n", lock->note().c_str());
  }
  for (const std::string* file : {&common.out, &files.netlist, &files.effective}) {
    if (file->empty() || common.overwrite || !std::filesystem::exists(*file)) continue;
    fail(*file, "already exists; --overwrite replaces it, or choose another file");
  }
  return lock;
}

int array_command(const Common& common, const ArrayFiles& files) {
  ArraySettings settings;
  FieldList list = settings.fields();
  read_settings(common, list);
  refuse_idle(common, [&](const std::string& key) {
    const bool idle = key == "cells.selector_voltage" && !settings.law.has_selector();
    return std::string(idle ? "cells.selector_current = 0" : "");
  });
  require_different_files(common, files);
  for (const std::string* path : {&common.out, &common.json, &files.netlist, &files.effective}) {
    require_writable_file(*path);
  }
  formats::require_matrix_name(files.effective);
  const auto lock = hold_file(common, files);
  if (!files.effective.empty() && !settings.law.is_linear()) {
    fail("--effective", "requires linear cells, expected no nl2, nl3 or selector");
  }
  const formats::Matrix cells = read_siemens(files.conductance);
  const std::vector<double> volts = read_volts(files.voltage, cells.rows);
  const auto& [wires, law] = settings;
  if (!files.netlist.empty()) {
    circuit::write_netlist(files.netlist, cells.values, cells.rows, cells.columns, volts, wires,
                           law);
  }
  if (!files.effective.empty()) {
    formats::write_matrix(files.effective, {cells.rows, cells.columns,
                                            circuit::effective_conductance(cells.values, cells.rows,
                                                                           cells.columns, wires)});
  }
  const std::vector<double> currents =
      circuit::column_currents(cells.values, cells.rows, cells.columns, volts, wires, law);
  if (!common.out.empty()) write_file(common.out, one_per_line(currents));
  write_json(common, with_format({{"rows", cells.rows},
                                  {"columns", cells.columns},
                                  {"settings", list.to_json()},
                                  {"currents", currents}},
                                 "array"));
  if (common.out.empty() && !common.quiet && common.json != "-") {
    std::printf("%s", one_per_line(currents).c_str());
  }
  return kOk;
}

}  // namespace

void add_array(Command root) {
  Command command = root.add_command("array",
                                     "Compute the column currents of one crossbar array with wire "
                                     "resistance, or write its netlist");
  auto common = std::make_shared<Common>();
  auto files = std::make_shared<ArrayFiles>();
  add_file(command, "--conductance", files->conductance,
           "Cell conductances in siemens, one line per row; CSV without header, or NPZ")
      .required();
  add_file(command, "--voltage", files->voltage,
           "Row voltages in volts, one value per row; CSV or NPZ")
      .required();
  add_file(command, "--netlist", files->netlist, "Write the circuit as a netlist for ngspice -b");
  add_file(command, "--effective", files->effective,
           "Write the effective conductances (rows x columns, siemens) that map voltages to "
           "currents; NPZ or CSV");
  ArraySettings defaults;
  const FieldList list = defaults.fields();
  add_common(
      command, *common,
      {.data = false,
       .no_resume = kNothingContinues,
       .out = "File of the currents in amperes, one line per column; default: standard output",
       .out_type = "FILE",
       .no_seed = kNothingDrawn,
       .no_threads = "an array is computed by one thread"},
      list);
  common->short_names["wires.segment"] = "--wire";
  add_short_forms(command, *common, list);
  command.action([=] { return array_command(*common, *files); });
}

}  // namespace crosstate::cli
