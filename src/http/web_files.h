// The files under web/, embedded in the program by the build (cmake/embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace tidemark::http {

struct WebFile {
  std::string_view path;  // below web/, with a leading slash: /demo/index.html
  std::string_view bytes;
};

// Sorted by path; static, any thread.
std::span<const WebFile> web_files();

}  // namespace tidemark::http
