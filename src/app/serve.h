// `tidemark serve`: a node until a signal ends it.
#pragma once

#include "app/config.h"

namespace tidemark::app {

// SIGTERM and SIGINT drain, a second one ends at once (what was acknowledged is stored). SIGHUP reloads keys and log
// level. Returns the exit code.
int serve(const ConfigSources& sources);

}  // namespace tidemark::app
