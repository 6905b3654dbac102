#include "http/pages.h"

#include <algorithm>

#include "http/openapi.h"
#include "http/web_files.h"

namespace tidemark::http {
namespace {

constexpr std::string_view kContentPolicy =
    "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'";

std::string_view content_type(std::string_view path) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},        {".svg", "image/svg+xml"},
      {".png", "image/png"},                      {".ico", "image/x-icon"},
      {".json", kJson},                           {".webmanifest", "application/manifest+json"},
      {".woff2", "font/woff2"},                   {".txt", "text/plain; charset=utf-8"},
  };
  for (const auto& [ending, type] : kTypes) {
    if (path.ends_with(ending)) {
      return type;
    }
  }
  return "application/octet-stream";
}

std::optional<Response> web_page(std::string_view path) {
  const auto files = web_files();
  const auto file = std::find_if(files.begin(), files.end(), [path](const WebFile& one) { return one.path == path; });
  if (file == files.end()) {
    return std::nullopt;
  }
  Response response;
  response.content_type = content_type(path);
  response.body = file->bytes;
  response.headers.emplace_back("Content-Security-Policy", kContentPolicy);
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  return response;
}

Response json_page(std::string body, int status = 200) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

}  // namespace

Pages::Pages(const ServerOptions& options, const ServerHooks& hooks, const MetricRegistry& metrics,
             const command::Table* table)
    : metrics_only_(options.metrics_only),
      demo_(options.demo && !options.metrics_only),
      readiness_(hooks.readiness),
      metrics_(metrics),
      described_(options.metrics_only ? nullptr : table) {}

std::optional<Response> Pages::answer(std::string_view method, std::string_view path) const {
  auto found = page(path);
  if (found && method != "GET" && method != "HEAD") {
    found = failure(fail(Code::method_not_allowed));
    found->headers.emplace_back("Allow", "GET, HEAD");
  }
  return found;
}

std::optional<Response> Pages::page(std::string_view path) const {
  if (path == "/healthz") {
    return json_page(R"({"status":"ok"})");
  }
  if (path == "/readyz") {
    const Readiness now = readiness_ ? readiness_() : Readiness{};
    Response response = json_page(now.json.empty() ? R"({"status":"ok"})" : now.json, now.ready ? 200 : 503);
    if (!now.ready) {
      response.headers.emplace_back("Retry-After", "1");
    }
    return response;
  }
  if (path == "/metrics" && metrics_only_) {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics_.expose();
    return response;
  }
  if ((path == "/openapi.json" || path == "/api/v1/openapi.json") && described_ != nullptr) {
    return json_page(openapi(*described_));
  }
  if (!demo_) {
    return std::nullopt;
  }
  if (path == "/") {
    Response response;
    response.status = 302;
    response.headers.emplace_back("Location", "/demo");
    return response;
  }
  if (path == "/demo" || path == "/demo/") {
    return web_page("/demo/index.html");
  }
  if (path == "/demo/documents") {
    return web_page("/demo/documents.html");
  }
  return path.starts_with("/demo/") ? web_page(path) : std::nullopt;
}

}  // namespace tidemark::http
