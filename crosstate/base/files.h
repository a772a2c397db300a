// Reads and writes whole files; a file is written completely or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

namespace crosstate {

/// Returns the bytes of a file; if the name ends in .gz, they are decompressed (zlib). Throws Error
/// naming the path if the file is missing, unreadable, truncated, damaged, a Git LFS or git-annex
/// pointer, or longer than `most` bytes (for a character device, 1 MiB).
std::string read_file(const std::filesystem::path& path,
                      std::size_t most = std::numeric_limits<std::size_t>::max());

/// Throws Error if the first bytes of a file are those of a pointer that Git LFS or git-annex
/// stores in place of the file. read_file() calls it for every file.
void refuse_pointer(std::string_view bytes, const std::string& where);

/// Decompresses a gzip file of one or more members, which may be followed by zeros; `where` names
/// the source in errors.
std::string unpack_gzip(std::string_view packed, const std::string& where,
                        std::size_t most = std::numeric_limits<std::size_t>::max());

/// Writes a temporary file, flushes it to disk, then renames it; throws Error naming the path.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Creates the directory and its parents and checks that it is writable; throws Error.
void make_writable_directory(const std::filesystem::path& path);

}  // namespace crosstate
