// Whole files, in and out. Every failure is a sentence with the host's reason in it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace bhvm {

/// Reads a file; `purpose` says what it is for in messages ("kernel", "initrd").
Result<std::vector<u8>> read_file(const std::string& path, const std::string& purpose);

/// The same from an open file, from where it stands to its end; `path` is for messages.
Result<std::vector<u8>> read_descriptor(int descriptor, const std::string& path, const std::string& purpose);

/// Writes a file as a whole: into a temporary beside it, then renamed over it, so that `path` never holds a part. A
/// path that exists and is no regular file (a pipe, /dev/stderr) is written directly.
Status write_file(const std::string& path, std::span<const u8> bytes, const std::string& purpose);

}  // namespace bhvm
