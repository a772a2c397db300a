// A model as a project that compiles on its own: the network as C99, a test with golden vectors, a
// Makefile, CMakeLists.txt and an Arduino library.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crosstate/exporter/c_network.h"
#include "crosstate/exporter/c_text.h"
#include "crosstate/exporter/front_end_c.h"
#include "crosstate/exporter/options.h"
#include "crosstate/inference/model.h"

namespace crosstate::exporter {

struct CProject {
  std::string prefix;                        // of all names
  std::vector<SourceFile> files;             // relative to the directory of the project
  CNetwork network;                          // its sizes
  std::optional<FrontEndSources> front_end;  // of a model of recordings in whole numbers
  std::string note;                          // what the user has to know, one line; may be empty
};

/// Throws Error naming the model and the reason for one that cannot be exported: sites in floating
/// point, or time steps in a permuted order.
CProject c_project(const inference::Model& model, const ExportOptions& options);

/// The prefix of the names of an export: options.name, or one derived from the file of the model.
std::string prefix_of(const inference::Model& model, const ExportOptions& options);
/// The real value of one unit of the sensor's integers: options.unit or, if it is 0, 1. Nothing for
/// models of recordings, whose input comes from a front end.
std::optional<double> unit_of(const inference::Model& model, const ExportOptions& options);
/// The model as an integer network. Throws Error as c_project() does.
integer::IntegerNetwork exported_network(const inference::Model& model);

}  // namespace crosstate::exporter
