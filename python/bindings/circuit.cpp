// crosstate/circuit: arrays with wires.
#include "crosstate/circuit/netlist.h"
#include "crosstate/circuit/wires.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

// Cells, wires and the law of the cells of one array.
class Circuit {
 public:
  Circuit(const In<double>& siemens, const Settings& settings)
      : rows_(siemens.shape(0)), columns_(siemens.shape(1)) {
    siemens_.assign(siemens.data(), siemens.data() + siemens.size());
    FieldList list;
    circuit::fields(list, wires_);
    circuit::fields(list, law_);
    apply(list, settings, {}, "crosstate.Array");
    circuit::validate(wires_);
    circuit::validate(law_);
    refuse_idle(settings, [&](const std::string& key) {
      const bool idle = key == "cells.selector_voltage" && !law_.has_selector();
      return std::string(idle ? "cells.selector_current = 0" : "");
    });
  }

  bool linear() const { return law_.is_linear(); }

  Out<double> effective() const {
    std::vector<double> found;
    {
      const nb::gil_scoped_release release;
      found = circuit::effective_conductance(siemens_, rows_, columns_, wires_);
    }
    return to_numpy(std::move(found), {rows_, columns_});
  }

  Out<double> currents(const In<double>& volts) const {
    std::vector<double> found;
    {
      const nb::gil_scoped_release release;
      found = circuit::column_currents(siemens_, rows_, columns_, values_of(volts), wires_, law_);
    }
    return to_numpy(std::move(found), {columns_});
  }

  PyDict operating_point(const In<double>& volts) const {
    circuit::OperatingPoint point;
    {
      const nb::gil_scoped_release release;
      point = circuit::operating_point(siemens_, rows_, columns_, values_of(volts), wires_, law_);
    }
    PyDict out;
    out["word"] = to_numpy(std::move(point.word), {rows_, columns_});
    out["bit"] = to_numpy(std::move(point.bit), {rows_, columns_});
    out["currents"] = to_numpy(std::move(point.currents), {columns_});
    out["iterations"] = point.iterations;
    return out;
  }

  std::string netlist(const In<double>& volts) const {
    return circuit::format_netlist(siemens_, rows_, columns_, values_of(volts), wires_, law_);
  }

 private:
  std::size_t rows_, columns_;
  std::vector<double> siemens_;
  circuit::WireOptions wires_;
  circuit::CellLaw law_;
};

}  // namespace

void bind_circuit(nb::module_& m) {
  nb::class_<Circuit>(m, "Circuit")
      .def(nb::init<const In<double>&, const Settings&>(), "siemens"_a, "settings"_a)
      .def_prop_ro("linear", &Circuit::linear)
      .def("effective", &Circuit::effective)
      .def("currents", &Circuit::currents, "volts"_a)
      .def("operating_point", &Circuit::operating_point, "volts"_a)
      .def("netlist", &Circuit::netlist, "volts"_a);
}

}  // namespace crosstate::python
