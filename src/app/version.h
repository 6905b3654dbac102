// What `tidemark --version` prints: version, commit, versions of the libraries.
#pragma once

#include <string>

namespace tidemark::app {

std::string version_text();

}  // namespace tidemark::app
