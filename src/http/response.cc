#include "http/response.h"

#include <boost/beast/http/status.hpp>
#include <ctime>

#include "core/error_table.h"
#include "core/json.h"
#include "http/server.h"

namespace tidemark::http {
namespace {

void add(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

// IMF-fixdate (RFC 9110, 5.6.7), made once per second and thread.
std::string_view http_date(int64_t unix_seconds) {
  thread_local int64_t made_for = -1;
  thread_local char text[32];
  thread_local size_t length = 0;
  if (made_for != unix_seconds) {
    const auto time = static_cast<time_t>(unix_seconds);
    tm parts{};
    gmtime_r(&time, &parts);
    length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made_for = unix_seconds;
  }
  return {text, length};
}

std::string envelope(int status, std::string_view code, std::string_view text, const Error* error) {
  std::string body;
  JsonWriter writer(body);
  writer.begin().field("code", status).field("message", text).field("error", code);
  if (error != nullptr && !error->field.empty()) {
    writer.field("field", error->field);
  }
  if (error != nullptr && error->retry_after_ms > 0) {
    writer.field("retry_after_ms", error->retry_after_ms);
  }
  writer.end();
  return body;
}

}  // namespace

Response success(const command::Reply& reply) {
  Response response;
  response.status = reply.created ? 201 : 200;
  JsonWriter(response.body)
      .begin()
      .field("code", response.status)
      .field("message", "Success")
      .raw("data", reply.data.empty() ? std::string_view("{}") : std::string_view(reply.data))
      .end();
  return response;
}

Response failure(const Error& error) {
  const ErrorRow& row = row_of(error.code);
  Response response;
  response.status = row.http_status;
  const std::string_view text = error.text.empty() ? row.text : std::string_view(error.text);
  response.body = envelope(row.http_status, row.name, text, &error);
  if (response.status == 401) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  if (response.status == 429 || response.status == 503) {
    const int64_t ms = error.retry_after_ms > 0 ? error.retry_after_ms : 1000;
    response.headers.emplace_back("Retry-After", std::to_string((ms + 999) / 1000));
  }
  return response;
}

Response failure(int status, std::string_view code, std::string_view text) {
  Response response;
  response.status = status;
  response.body = envelope(status, code, text, nullptr);
  return response;
}

std::string serialize(const Response& response, const Framing& framing) {
  const std::string_view body = response.body;
  std::string out;
  out.reserve(384 + (framing.head_only ? 0 : body.size()));
  out += "HTTP/1.1 ";
  append_number(out, response.status);
  out += ' ';
  const auto reason = boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(
      static_cast<unsigned>(response.status)));
  out.append(reason.data(), reason.size());
  out += "\r\n";
  if (framing.unix_seconds > 0) {
    add(out, "Date", http_date(framing.unix_seconds));
  }
  if (response.status != 204) {
    if (!body.empty()) {
      add(out, "Content-Type", response.content_type);
    }
    out += "Content-Length: ";
    append_number(out, static_cast<int64_t>(body.size()));
    out += "\r\n";
  }
  add(out, "Cache-Control", "no-store");
  add(out, "X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) {
    add(out, name, value);
  }
  if (framing.vary_origin) {
    add(out, "Vary", "Origin");
  }
  if (!framing.allow_origin.empty()) {
    add(out, "Access-Control-Allow-Origin", framing.allow_origin);
    add(out, "Access-Control-Expose-Headers", "Retry-After");
  }
  if (framing.close) {
    add(out, "Connection", "close");
  } else if (framing.http10) {
    add(out, "Connection", "keep-alive");
  }
  out += "\r\n";
  if (!framing.head_only) {
    out += body;
  }
  return out;
}

std::string refusal(int status, std::string_view code, std::string_view text,
                    const std::vector<std::pair<std::string_view, std::string>>& headers) {
  Response response = failure(status, code, text);
  response.headers = headers;
  Framing framing;
  framing.close = true;
  return serialize(response, framing);
}

}  // namespace tidemark::http
