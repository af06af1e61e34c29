#include "cli/image_builder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

#include "cli/child.h"

namespace bhvm::cli {
namespace {

namespace fs = std::filesystem;

/// The folder that has guest/ and kernel-config/: $BHVM_HOME, or the installed one beside the command, or the sources
/// that it was built from.
Result<fs::path> tools() {
  std::vector<fs::path> places;
  if (const char* const home = std::getenv("BHVM_HOME"); home != nullptr && *home != '\0') {
    places.emplace_back(home);
  } else {
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    if (!error) places.push_back(self.parent_path().parent_path() / "share" / "bhvm");
    places.emplace_back(BHVM_SOURCE_FOLDER);
  }
  for (const fs::path& place : places) {
    if (fs::exists(place / "guest" / "rootfs" / "build")) return place;
  }
  return Error{fmt::format("guest/rootfs/build, which makes the images, is not in {}; set BHVM_HOME to bhvm's sources.",
                           places.front().string())};
}

/// The path that a build script prints.
Result<std::string> path_from(const std::vector<std::string>& words) {
  Result<std::string> text = output_of(words);
  if (!text) return text.error();
  std::string path = std::move(text).value();
  while (!path.empty() && path.back() == '\n') path.pop_back();
  if (!fs::is_regular_file(path)) return Error{fmt::format("{} printed no path of a file: \"{}\".", words[0], path)};
  return path;
}

class Builder {
 public:
  explicit Builder(const fs::path& folder)
      : rootfs_((folder / "guest" / "rootfs" / "build").string()),
        kernel_((folder / "kernel-config" / "build").string()) {}

  Result<std::string> kernel() const { return path_from({kernel_}); }
  Result<std::string> initrd() const { return path_from({rootfs_, "--init", "--format", "initramfs"}); }
  Result<std::string> empty_disk(u64 size_bytes) const {
    return path_from({rootfs_, "--empty", "--format", "ext4", "--size", std::to_string(size_bytes)});
  }

  Result<std::string> image(const ImageRecipe& recipe) const {
    std::vector<std::string> words{rootfs_};
    if (!recipe.packages.empty()) {
      std::string list;
      for (const std::string& package : recipe.packages) list += (list.empty() ? "" : " ") + package;
      words.insert(words.end(), {"--packages", list});
    } else if (!recipe.folder.empty()) {
      words.insert(words.end(), {"--root", recipe.folder});
    } else {
      words.insert(words.end(), {"--oci", recipe.oci});
      if (!recipe.tag.empty()) words.insert(words.end(), {"--tag", recipe.tag});
    }
    for (const auto& [from, to] : recipe.added) words.insert(words.end(), {"--add", fmt::format("{}:{}", from, to)});
    for (const std::string& program : recipe.programs) words.insert(words.end(), {"--program", program});
    words.insert(words.end(), {"--format", "ext4"});
    if (recipe.size_bytes != 0) words.insert(words.end(), {"--size", std::to_string(recipe.size_bytes)});
    return path_from(words);
  }

 private:
  std::string rootfs_;
  std::string kernel_;
};

}  // namespace

Status build_images(ScenarioFile& file) {
  const Result<fs::path> folder = tools();
  if (!folder) return folder.error();
  const Builder builder(folder.value());
  const auto set = [](std::string& target, Result<std::string> path, const std::string& what) -> Status {
    if (!path) return Error{fmt::format("{} could not be made: {}", what, path.error().message)};
    target = std::move(path).value();
    return success();
  };
  std::string initrd;
  if (Status status = set(initrd, builder.initrd(), "The initramfs"); !status) return status;
  std::string kernel;
  for (std::size_t i = 0; i < file.images.size(); ++i) {
    const ImageRecipe& recipe = file.images[i];
    ImageScenario& image = file.scenario.images[i];
    image.initrd = initrd;
    image.kernel = recipe.kernel;
    if (image.kernel.empty()) {
      if (kernel.empty()) {
        if (Status status = set(kernel, builder.kernel(), "The kernel"); !status) return status;
      }
      image.kernel = kernel;
    }
    if (Status status = set(image.root_disk, builder.image(recipe), fmt::format("Image {}", recipe.name)); !status) {
      return status;
    }
  }
  std::map<u64, std::string> empty_disks;  // by size
  for (const DiskRecipe& recipe : file.disks) {
    std::string& made = empty_disks[recipe.size_bytes];
    if (made.empty()) {
      const std::string what = fmt::format("A disk of node {}", file.scenario.nodes[recipe.node].name);
      if (Status status = set(made, builder.empty_disk(recipe.size_bytes), what); !status) return status;
    }
    file.scenario.nodes[recipe.node].disks[recipe.disk].image = made;
  }
  return success();
}

Result<Hash128> hash_file(const std::string& path) {
  const auto failed = [&path] { return Error{fmt::format("{} cannot be read: {}.", path, std::strerror(errno))}; };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed();
  struct stat info{};
  const std::size_t size = fstat(fd, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
  void* const bytes = size == 0 ? nullptr : mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) {
    const Error error = failed();
    close(fd);
    return error;
  }
  const Hash128 hash = hash_bytes(bytes, size);
  if (bytes != nullptr) munmap(bytes, size);
  close(fd);
  return hash;
}

}  // namespace bhvm::cli
