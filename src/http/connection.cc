#include "http/connection.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/error_table.h"
#include "core/log.h"
#include "http/cors.h"
#include "http/rest.h"
#include "http/target.h"

namespace tidemark::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(std::shared_ptr<Context> context, Worker& worker, StreamSocket socket, const tcp::endpoint& peer)
    : context_(std::move(context)),
      worker_(worker),
      socket_(std::move(socket)),
      peer_{unmapped(peer.address()).to_string(), peer.port()},
      timer_([](void* self) { static_cast<Connection*>(self)->on_timer(); }, this) {}

Connection::~Connection() = default;

void Connection::start(bool scarce) {
  scarce_ = scarce;
  join();
  worker_.arm(timer_, context_->options.handshake_timeout);
  if (const auto address = parse_address(peer_.ip); address && context_->options.trusted_proxies.contains(*address)) {
    read_proxy_header();
  } else {
    begin();
  }
}

// It stands in the clear before everything else, TLS too.
void Connection::read_proxy_header() {
  socket_.wait_readable([self = shared_from_this()](const error_code& error) {
    if (self->state_ == State::closed) {
      return;
    }
    const ProxyHeader header = take_proxy_header(self->socket_.native_handle());
    if (error || header.kind == ProxyHeader::Kind::bad) {
      self->close();
    } else if (header.kind == ProxyHeader::Kind::need_more) {
      // Woken without the bytes it waits for: none will come, and the next wait would end at once as well.
      if (header.bytes > 0 && header.bytes == std::exchange(self->proxy_bytes_wanted_, header.bytes)) {
        self->close();
        return;
      }
      self->read_proxy_header();
    } else {
      // A proxy's own connections are not those of a client.
      self->peer_ = header.client.value_or(self->peer_);
      header.client ? self->begin() : self->wait_readable();
    }
  });
}

void Connection::begin() {
  group_ = address_group(peer_.ip);
  const size_t count = ++context_->addresses[static_cast<size_t>(worker_.index())][group_];
  const size_t most = context_->connections_per_ip.load(std::memory_order_relaxed);
  if (most > 0 && count > most) {
    refuse(failure(fail(Code::unavailable, "this address has as many connections as it may")));
  } else {
    wait_readable();
  }
}

void Connection::start_refusing() {
  join();
  worker_.arm(timer_, context_->options.handshake_timeout);
  refuse(failure(fail(Code::unavailable, "too many connections")));
}

void Connection::join() {
  worker_.assert_owner();
  self_ = shared_from_this();
  context_->open[static_cast<size_t>(worker_.index())].insert(this);
  context_->connections.fetch_add(1, std::memory_order_relaxed);
}

// The end of this object's part; its socket is closed or given away.
void Connection::leave() {
  state_ = State::closed;
  worker_.cancel(timer_);
  context_->release_body(std::exchange(reserved_, 0));
  context_->open[static_cast<size_t>(worker_.index())].erase(this);
  context_->connections.fetch_sub(1, std::memory_order_relaxed);
  auto& addresses = context_->addresses[static_cast<size_t>(worker_.index())];
  if (const auto found = addresses.find(group_); found != addresses.end() && --found->second == 0) {
    addresses.erase(found);
  }
  self_.reset();
}

void Connection::close() {
  if (state_ != State::closed) {
    socket_.close();
    leave();
  }
}

void Connection::close_if_idle() {
  if (state_ == State::reading && served_ && reader_ == nullptr) {
    close();
  }
}

// Whatever is waited for has not come in time. A client that is this late reads no answer.
void Connection::on_timer() {
  const auto keep = shared_from_this();
  close();
}

void Connection::wait_readable() {
  socket_.wait_readable([self = shared_from_this()](const error_code& error) {
    if (self->state_ == State::closed) {
      return;
    }
    if (error) {
      self->close();
    } else if (self->state_ == State::lingering) {
      self->discard();
    } else {
      self->readable();
    }
  });
}

void Connection::readable() {
  const std::span<char> buffer = worker_.read_buffer();
  const StreamSocket::Moved got = socket_.read_some(buffer.first(std::min(buffer.size(), kReadBytes)));
  switch (got.outcome) {
    case StreamSocket::Outcome::moved: return feed({buffer.data(), got.bytes});
    case StreamSocket::Outcome::again: return wait_readable();
    case StreamSocket::Outcome::plain_http: return not_over_tls();
    case StreamSocket::Outcome::ended: return close();
    case StreamSocket::Outcome::failed: break;
  }
  if (socket_.is_tls()) {
    log_debug("http.tls_failed", {{"address", peer_.ip}, {"why", tls_failure()}});
  }
  close();
}

void Connection::not_over_tls() {
  socket_.drop_tls();
  refuse(failure(fail(Code::invalid_frame, "this port speaks TLS: use https:// or wss://")));
}

void Connection::feed(std::string_view bytes) {
  feeding_ = true;
  while (state_ == State::reading && !bytes.empty()) {
    if (reader_ == nullptr) {
      const ServerOptions& options = context_->options;
      reader_ = std::make_unique<RequestReader>(
          ReaderLimits{options.header_bytes, options.header_count, options.body_bytes});
      // A head that is refused says nothing of these, and those of the request before are not its.
      head_only_ = false;
      http10_ = false;
      allow_origin_ = {};
      if (served_) {
        worker_.arm(timer_, options.handshake_timeout);
      }
    }
    bytes.remove_prefix(reader_->put(bytes));
    if (reader_->stage() == RequestReader::Stage::head_done) {
      head_arrived(bytes);
      if (state_ != State::reading) {
        break;
      }
      bytes.remove_prefix(reader_->put(bytes));
    }
    if (reader_->stage() == RequestReader::Stage::refused) {
      const Refused& why = reader_->refused();
      refuse(failure(why.http_status, row_of(why.code).name, why.text));
    } else if (reader_->stage() == RequestReader::Stage::done) {
      HttpRequest request = reader_->take();
      reader_.reset();
      handle(std::move(request));
    }
  }
  feeding_ = false;
  if (state_ == State::reading) {
    wait_readable();
  } else if (state_ == State::handling || state_ == State::writing) {
    pending_ = bytes;
  }
}

void Connection::head_arrived(std::string_view behind) {
  const HttpRequest& head = reader_->request();
  head_only_ = head.method() == boost::beast::http::verb::head;
  http10_ = head.version() == 10;
  allow_origin_ = allowed_origin(head, context_->options.allowed_origins);
  if (!host_allowed(head)) {
    return refuse(failure(fail(Code::forbidden, "in dev mode the host must be localhost, 127.0.0.1 or [::1]")));
  }
  if (is_upgrade(head)) {
    return hand_over(behind);
  }
  if (!reader_->has_body()) {
    return;
  }
  const size_t wanted = reader_->body_bytes_max();
  if (!context_->reserve_body(wanted)) {
    return refuse(failure(fail(Code::unavailable, "too many request bodies at once")));
  }
  reserved_ = wanted;
  worker_.arm(timer_, context_->options.body_timeout);
  if (reader_->expects_continue() && behind.empty() &&
      socket_.write_some(kContinue).bytes != kContinue.size()) {
    close();
  }
}

bool Connection::host_allowed(const HttpRequest& head) const {
  if (!context_->options.loopback_hosts_only) {
    return true;
  }
  const Target target = split_target(head.target());
  return is_loopback_host(target.authority.empty() ? std::string_view(head[boost::beast::http::field::host])
                                                   : target.authority);
}

bool Connection::is_upgrade(const HttpRequest& head) const {
  if (!context_->hooks.upgrade || context_->options.metrics_only) {
    return false;
  }
  if (context_->options.upgrade_any_path) {
    return true;
  }
  const auto path = command::percent_decode(split_target(head.target()).path, false);
  return path && (*path == "/api/v1/ws/connect" || *path == "/ws");
}

void Connection::hand_over(std::string_view behind) {
  HttpRequest request = reader_->take();
  reader_.reset();
  Peer client = client_of(request, peer_, context_->options.trusted_proxies);
  Upgrade upgrade{std::move(socket_), std::move(request.base()), std::string(behind), std::move(client.ip),
                  client.port, scarce_};
  leave();
  context_->hooks.upgrade(std::move(upgrade));
}

void Connection::handle(HttpRequest request) {
  worker_.cancel(timer_);
  state_ = State::handling;
  // A refused upgrade says so and closes: the client may have sent frames behind it.
  close_after_ = !request.keep_alive() || request.find(boost::beast::http::field::upgrade) != request.end();
  const Target target = split_target(request.target());
  const auto path = command::percent_decode(target.path, false);
  if (!path) {
    return answer(failure(fail(Code::invalid_frame, "a broken percent-escape in the path")));
  }
  if (!allow_origin_.empty() && is_preflight(request)) {
    return answer(preflight_answer());
  }
  if (const auto page = context_->pages.answer(request.method_string(), *path)) {
    return answer(*page);
  }
  if (context_->rest != nullptr && !context_->options.metrics_only && Rest::serves(target.path)) {
    return spawn(run(shared_from_this(), std::move(request)));
  }
  answer(failure(fail(Code::not_found, "no such path")));
}

Task<> Connection::run(std::shared_ptr<Connection> self, HttpRequest request) {
  Peer client = client_of(request, self->peer_, self->context_->options.trusted_proxies);
  RestCall call{std::move(request), std::move(client.ip), client.port};
  const Response response = co_await self->context_->rest->serve(std::move(call));
  co_await self->worker_.enter();
  self->answer(response);
}

void Connection::refuse(const Response& response) {
  close_after_ = true;
  answer(response);
}

void Connection::answer(const Response& response) {
  if (state_ == State::closed) {
    return;
  }
  close_after_ = close_after_ || context_->draining.load(std::memory_order_relaxed);
  Framing framing;
  framing.close = close_after_;
  framing.http10 = http10_;
  framing.head_only = head_only_;
  framing.vary_origin = !context_->options.allowed_origins.empty();
  framing.allow_origin = allow_origin_;
  framing.unix_seconds = worker_.clock().unix_ms() / 1000;
  out_ = serialize(response, framing);
  out_sent_ = 0;
  state_ = State::writing;
  context_->release_body(std::exchange(reserved_, 0));
  context_->count_answer(response.status);
  write_some();
}

void Connection::write_some() {
  const size_t sent_before = out_sent_;
  while (out_sent_ < out_.size()) {
    const StreamSocket::Moved sent = socket_.write_some(std::string_view(out_).substr(out_sent_));
    if (sent.outcome == StreamSocket::Outcome::moved) {
      out_sent_ += sent.bytes;
    } else if (sent.outcome == StreamSocket::Outcome::again) {
      return wait_for_room(out_sent_ > sent_before);
    } else {
      return close();
    }
  }
  answer_sent();
}

// For what is left of the answer, or for the end of the stream behind it. Only progress buys time: whoever is refused
// before a TLS handshake could stretch that, a byte at a time.
void Connection::wait_for_room(bool progressed) {
  if (progressed || !timer_.armed()) {
    worker_.arm(timer_, context_->options.write_timeout);
  }
  socket_.wait_writable([self = shared_from_this()](const error_code& error) {
    if (self->state_ == State::writing) {
      error ? self->close() : self->write_some();
    }
  });
}

void Connection::answer_sent() {
  out_ = {};
  served_ = true;
  if (close_after_) {
    return linger();
  }
  state_ = State::reading;
  worker_.arm(timer_, context_->options.idle_timeout);
  if (!feeding_) {
    const std::string pending = std::exchange(pending_, {});
    feed(pending);
  }
}

// A close with unread bytes would make the kernel send a reset, and the answer might never be read.
void Connection::linger() {
  if (!socket_.shutdown()) {
    return wait_for_room(false);
  }
  state_ = State::lingering;
  reader_.reset();
  pending_ = {};
  worker_.arm(timer_, context_->options.linger);
  wait_readable();
}

void Connection::discard() {
  const std::span<char> buffer = worker_.read_buffer();
  switch (socket_.read_some(buffer).outcome) {
    case StreamSocket::Outcome::moved:
    case StreamSocket::Outcome::again: return wait_readable();
    default: return close();
  }
}

}  // namespace tidemark::http
