// Read by Eigen itself, see eigen.h: after the vectors of the processor, before matrix products.
#undef EIGEN_HAS_SINGLE_INSTRUCTION_MADD
