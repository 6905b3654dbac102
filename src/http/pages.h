// Pages: the routes that need no token: health, metrics, the API's description, the demo.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/metrics.h"
#include "http/response.h"
#include "http/server.h"

namespace tidemark::http {

// Owner: none; immutable, every worker may ask.
class Pages {
 public:
  // `table` may be null: then there is no description.
  Pages(const ServerOptions& options, const ServerHooks& hooks, const MetricRegistry& metrics,
        const command::Table* table);

  // `path` is decoded. Nothing: no such page. HEAD is answered like GET, with the body.
  std::optional<Response> answer(std::string_view method, std::string_view path) const;

 private:
  std::optional<Response> page(std::string_view path) const;

  const bool metrics_only_;
  const bool demo_;
  const std::function<Readiness()> readiness_;
  const MetricRegistry& metrics_;
  const command::Table* const described_;  // anew each time: maxima may change while the node runs
};

}  // namespace tidemark::http
