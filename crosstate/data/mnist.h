// Image sets in the file naming of MNIST, read as sequences of pixels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/dataset.h"

namespace crosstate::data {

/// One IDX file of unsigned bytes (http://yann.lecun.com/exdb/mnist): dimensions and data.
struct IdxArray {
  std::vector<std::uint32_t> dimensions;
  std::vector<std::uint8_t> data;
};

/// Reads an IDX file, plain or .gz. Throws Error if the magic number or element type is wrong, if
/// the dimensions do not match the number of bytes, or if a size would overflow.
IdxArray read_idx(const std::filesystem::path& path);
/// The same from the uncompressed bytes of a file; `where` names it in errors.
IdxArray parse_idx(const std::string& bytes, const std::string& where);

struct TrainTest {
  Dataset train, test;
};

/// Whether the directory contains one of the four files that read_mnist() reads.
bool holds_mnist(const std::filesystem::path& directory);

/// Reads {train,t10k}-images-idx3-ubyte[.gz] and {train,t10k}-labels-idx1-ubyte[.gz] from a
/// directory as sequences of rows*columns steps, one channel, values v / 255 in [0, 1]. A name may
/// have a dot before idx, as some archives write it, and a plain file may be in a folder of the
/// same name. Accepts any image size and 2 to 256 classes (MNIST, Fashion-MNIST, KMNIST, ...).
TrainTest read_mnist(const std::filesystem::path& directory);

/// The built-in sample of 6,000 + 1,000 real MNIST digits (data/mnist-sample). Searches the
/// installed data, then the source tree; if the environment variable CROSSTATE_DATA_DIR is set,
/// only that directory.
TrainTest read_mnist_sample();

}  // namespace crosstate::data
