// Reading of constants from TOML files, for technologies and converters.
#pragma once

#include <string>

#include "crosstate/base/options.h"
#include "crosstate/cost/technology.h"

namespace crosstate::cost {

/// Binds the section of a constant.
void add_constant(FieldList& list, const ConstantDefinition& definition, Constant& constant);
/// Whether the file has any entry of the section.
bool is_given(const Constant& constant);
/// Throws Error for an incomplete section and for values out of order.
void check_constant(const std::string& path, const ConstantDefinition& definition,
                    const Constant& constant);

}  // namespace crosstate::cost
