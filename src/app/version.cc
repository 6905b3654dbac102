#include "app/version.h"

#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <simdjson.h>
#include <spdlog/version.h>
#include <sqlite3.h>

#include <boost/version.hpp>
#include <sstream>

#include "build_version.h"

namespace tidemark::app {

std::string version_text() {
  std::ostringstream text;
  text << "tidemark " << TIDEMARK_VERSION << " (" << TIDEMARK_COMMIT << ")\n"
       << "  Boost " << BOOST_VERSION / 100000 << '.' << BOOST_VERSION / 100 % 1000 << '.' << BOOST_VERSION % 100 << '\n'
       << "  " << OpenSSL_version(OPENSSL_VERSION) << '\n'
       << "  SQLite " << sqlite3_libversion() << '\n'
       << "  libpq " << PQlibVersion() / 10000 << '.' << PQlibVersion() % 10000 << '\n'
       << "  simdjson " << simdjson::SIMDJSON_VERSION_MAJOR << '.' << simdjson::SIMDJSON_VERSION_MINOR << '.' << simdjson::SIMDJSON_VERSION_REVISION
       << '\n'
       << "  spdlog " << SPDLOG_VER_MAJOR << '.' << SPDLOG_VER_MINOR << '.' << SPDLOG_VER_PATCH << '\n';
  return text.str();
}

}  // namespace tidemark::app
