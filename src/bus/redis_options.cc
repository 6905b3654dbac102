#include "bus/redis_options.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <utility>

namespace tidemark::bus {
namespace {

constexpr uint16_t kRedisPort = 6379;
constexpr uint16_t kSentinelPort = 26379;
constexpr int kDatabaseMax = 1'000'000;

Error wrong(std::string_view why) {
  return fail(Code::invalid_field, "redis.url: " + std::string(why) +
                                       "; expected redis://HOST:PORT, rediss://HOST:PORT or "
                                       "redis+sentinel://HOST:PORT,HOST:PORT/MASTER-NAME");
}

// The parts of a URL, of which only the hosts are not as RFC 3986 has them: there may be several.
struct Parts {
  std::string_view scheme;
  std::string_view userinfo;  // with its @
  std::vector<std::string_view> hosts;
  std::string_view rest;  // path, query, fragment

  explicit Parts(std::string_view url) {
    const size_t scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) {
      return;
    }
    scheme = url.substr(0, scheme_end);
    std::string_view authority = url.substr(scheme_end + 3);
    const size_t end = std::min(authority.find_first_of("/?#"), authority.size());
    rest = authority.substr(end);
    authority = authority.substr(0, end);
    const size_t at = authority.rfind('@');
    if (at != std::string_view::npos) {
      userinfo = authority.substr(0, at + 1);
      authority.remove_prefix(at + 1);
    }
    for (;;) {
      const size_t comma = std::min(authority.find(','), authority.size());
      hosts.push_back(authority.substr(0, comma));
      if (comma == authority.size()) {
        return;
      }
      authority.remove_prefix(comma + 1);
    }
  }
};

Result<HostPort> host_of(const boost::urls::url_view& url, uint16_t default_port) {
  const auto kind = url.host_type();
  HostPort host{kind == boost::urls::host_type::ipv6 ? url.host_ipv6_address().to_string() : url.host(), default_port};
  if (host.host.empty() || kind == boost::urls::host_type::ipvfuture) {
    return wrong("a host is missing");
  }
  if (url.has_port()) {
    host.port = url.port_number();  // 0 where it is none or too large
    if (host.port == 0) {
      return wrong("a port is not between 1 and 65535");
    }
  }
  return host;
}

Status take_database(std::string_view text, RedisOptions& options) {
  const auto [end, failed] = std::from_chars(text.begin(), text.end(), options.database);
  if (failed != std::errc() || end != text.end() || options.database < 0 || options.database > kDatabaseMax) {
    return wrong("the database is no number");
  }
  return {};
}

// "/database", or "/master-name/database".
Status take_path(const boost::urls::url_view& url, bool sentinels, RedisOptions& options) {
  std::vector<std::string> segments;
  for (const auto segment : url.segments()) {
    segments.push_back(segment);
  }
  if (!segments.empty() && segments.back().empty()) {
    segments.pop_back();  // "redis://host/"
  }
  if (sentinels) {
    if (segments.empty() || segments.front().empty()) {
      return wrong("the master's name is missing");
    }
    options.master = segments.front();
    segments.erase(segments.begin());
  }
  if (segments.size() > 1) {
    return wrong("the path is too long");
  }
  return segments.empty() ? Status() : take_database(segments.front(), options);
}

Status take_query(const boost::urls::url_view& url, RedisOptions& options) {
  if (url.has_fragment()) {
    return wrong("a # is not used");
  }
  for (const auto parameter : url.params()) {
    if (parameter.key != "ca" || !options.tls || parameter.value.empty()) {
      return wrong("the only parameter is ca=FILE, for rediss://");
    }
    options.ca_path = parameter.value;
  }
  return {};
}

}  // namespace

std::string HostPort::str() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<RedisOptions> parse_redis_url(std::string_view url) {
  const Parts parts(url);
  RedisOptions options;
  options.tls = parts.scheme.starts_with("rediss");
  const bool sentinels = parts.scheme.ends_with("+sentinel");
  const std::string expected = std::string(options.tls ? "rediss" : "redis") + (sentinels ? "+sentinel" : "");
  if (parts.scheme != expected) {
    return wrong("it begins with no scheme of Redis");
  }
  if (parts.hosts.size() > (sentinels ? kSentinelsMax : 1)) {
    return wrong(sentinels ? "at most 16 sentinels can be named" : "only redis+sentinel:// has several hosts");
  }
  for (const std::string_view host : parts.hosts) {
    const std::string one =
        expected + "://" + std::string(parts.userinfo) + std::string(host) + std::string(parts.rest);
    const auto parsed = boost::urls::parse_uri(one);
    if (!parsed) {
      return wrong("it is no URL");
    }
    auto host_port = host_of(*parsed, sentinels ? kSentinelPort : kRedisPort);
    if (!host_port.ok()) {
      return host_port.error();
    }
    options.hosts.push_back(std::move(*host_port));
    if (options.hosts.size() > 1) {
      continue;  // the rest is the same for all
    }
    options.user = parsed->user();
    options.password = Secret(parsed->password());
    if (!options.user.empty() && options.password.empty()) {
      return wrong("a user without a password");
    }
    for (const Status& status : {take_path(*parsed, sentinels, options), take_query(*parsed, options)}) {
      if (!status.ok()) {
        return status.error();
      }
    }
  }
  return options;
}

Result<std::shared_ptr<const RedisTarget>> RedisTarget::make(RedisOptions options) {
  auto target = std::make_shared<RedisTarget>();
  if (options.tls) {
    auto tls = TlsContext::make_client(options.ca_path);
    if (!tls.ok()) {
      return tls.error();
    }
    target->tls = std::move(*tls);
  }
  target->options = std::move(options);
  return std::shared_ptr<const RedisTarget>(std::move(target));
}

}  // namespace tidemark::bus
