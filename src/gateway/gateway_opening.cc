// From a correct upgrade request to a live connection: token, session, streams.
#include <algorithm>

#include "core/log.h"
#include "core/seeded_fault.h"
#include "gateway/gateway_parts.h"

namespace tidemark::gateway {

// A device that the token or the session names and the query does not: the client may know nothing of devices, so it
// is not expected to say `ack`.
void Gateway::name_device(Wishes& wishes, const DeviceId& device) {
  wishes.ack_auto = wishes.auto_ack();
  wishes.device = device;
  wishes.named_device = true;
}

command::Caller Gateway::caller_of(const account::Claims& claims, const Wishes& wishes) const {
  command::Caller caller = account::caller_of(claims, command::Door::websocket);
  caller.device = wishes.device;
  caller.named_device = wishes.named_device;
  return caller;
}

// From a correct request to an open connection: the token, the session, then the 101 response.
Task<> Gateway::admit(std::unique_ptr<Admission> admission) {
  Worker& worker = admission->worker;
  admission->counted = co_await addresses_.enter(address_group(admission->incoming.client_ip), limits_->connections_per_ip);
  if (!admission->counted) {
    refuse_for_now(*admission, "address", "this address has as many connections as it may");
    co_return;
  }
  if (draining_.load() || shards_[static_cast<size_t>(worker.index())]->abandoned) {
    refuse_for_now(*admission, "draining", "this node is draining");
    co_return;
  }
  if (admission->token.empty()) {
    auto connection = make_connection(*admission, admission->subprotocol);
    command::Caller nobody;
    nobody.client_ip = admission->incoming.client_ip;
    nobody.client_port = admission->incoming.client_port;
    connection->identify(std::move(nobody));
    connection->start_anonymous(std::move(admission->incoming.early_bytes), std::move(admission->wishes));
    co_return;
  }
  // Only who has a good token may wait among the others.
  auto claims = parts_.account.authenticate(admission->token);
  admission->token.clear();
  if (!claims.ok()) {
    refuse(*admission, claims.error());
    co_return;
  }
  Turnstile::Pass pass = co_await pass_to_open(worker);
  if (!pass) {
    refuse_for_now(*admission, "openings", "too many connect at once");
    co_return;
  }
  if (!claims->session.empty()) {
    const Status open_session =
        co_await parts_.sessions.check_open({claims->tenant, claims->user}, claims->session);
    if (!open_session.ok()) {
      refuse(*admission, open_session.error());
      co_return;
    }
    if (admission->wishes.session.empty()) {
      admission->wishes.session = claims->session;
    }
  }
  if (!admission->wishes.named_device && !claims->device.empty()) {
    name_device(admission->wishes, claims->device);
  }
  command::Caller caller = caller_of(*claims, admission->wishes);
  caller.client_ip = admission->incoming.client_ip;
  caller.client_port = admission->incoming.client_port;
  if (!admission->wishes.session.empty()) {
    // A session that is named and not to be had is an HTTP answer.
    session::OpenRequest probe;
    probe.user = caller.key();
    probe.session = admission->wishes.session;
    const auto session = co_await parts_.sessions.open(std::move(probe));
    if (!session.ok()) {
      refuse(*admission, session.error());
      co_return;
    }
    if (!admission->wishes.named_device && session->device != DeviceId("default")) {
      name_device(admission->wishes, session->device);
      caller.device = session->device;
      caller.named_device = true;
    }
  }
  TIDEMARK_CHECK(worker.is_current());
  account::TokenMark token(*claims);
  if (parts_.account.revoked(caller.key(), token)) {
    refuse(*admission, Error{Code::unauthorized, "the token was revoked", {}, 0});
    co_return;
  }
  if (draining_.load() || shards_[static_cast<size_t>(worker.index())]->abandoned) {
    refuse_for_now(*admission, "draining", "this node is draining");  // it has begun to since the request came
    co_return;
  }
  if (connections() >= limits_->connections) {
    refuse_for_now(*admission, "connections", "this node has as many connections as it may");
    co_return;
  }
  auto connection = make_connection(*admission, admission->subprotocol);
  connection->set_token(std::move(token));
  connection->keep_early(std::move(admission->incoming.early_bytes));
  connection->identify(std::move(caller));
  co_await open(std::move(connection), std::move(admission->wishes), false, std::move(pass));
}

Task<Turnstile::Pass> Gateway::pass_to_open(Worker& worker) {
  const GatewayLimits& limits = *limits_;
  const size_t workers = shards_.size();
  const Instant since = worker.clock().now();
  Turnstile::Pass pass = co_await shards_[static_cast<size_t>(worker.index())]->openings.enter(
      std::max<size_t>(1, limits.openings / workers), std::max<size_t>(1, limits.openings_waiting / workers));
  if (pass && worker.clock().now() - since > limits.opening_wait) {
    pass = Turnstile::Pass();
  }
  co_return std::move(pass);
}

Task<> Gateway::open_registered(std::shared_ptr<Connection> connection, Wishes wishes) {
  Turnstile::Pass pass = co_await pass_to_open(connection->worker());
  if (!pass) {
    connection->close_with(CloseCode::overloaded);
    co_return;
  }
  co_await open(std::move(connection), std::move(wishes), true, std::move(pass));
}

// From a known user to a live connection. The pass is held to the end.
Task<> Gateway::open(std::shared_ptr<Connection> connection, Wishes wishes, bool registered, Turnstile::Pass pass) {
  TIDEMARK_CHECK(static_cast<bool>(pass));
  command::Caller caller = connection->caller();
  session::OpenRequest request;
  request.user = caller.key();
  request.device = wishes.device;
  request.session = wishes.session;
  request.client_ip = caller.client_ip;
  request.client_port = caller.client_port;
  // The first connection of a user needs an own stream too: one commit for both.
  request.with_new = [user = caller.key(), device = wishes.device, now_ms = parts_.clock.unix_ms()](
                         storage::Transaction& tx) {
    device::Devices::seen(tx, user, device, now_ms);
    device::Devices::open_own_stream(tx, user, now_ms);
  };
  const auto session = co_await parts_.sessions.open(std::move(request));
  if (!session.ok()) {
    connection->close_with(session.error().code == Code::unavailable ? CloseCode::storage_unavailable
                                                                     : CloseCode::session_closed);
    co_return;
  }
  caller.session = session->id;
  caller.connection = connection->outlet_id();
  caller.worker = connection->worker().index();
  const UserKey user = caller.key();
  session::Connection entry{connection->outlet_id(), caller.worker, wishes.device, wishes.named_device, session->id,
                            wishes.only};
  connection->identify(std::move(caller));
  if (!connection->open()) {
    co_return;
  }
  connection->at_home = true;
  const Status added = co_await parts_.sessions.add_connection(user, entry);
  if (!added.ok()) {
    connection->at_home = false;
    connection->close_with(CloseCode::too_many_connections);
    co_return;
  }
  const bool auto_ack = wishes.auto_ack();
  auto opening = co_await plan(user, std::move(wishes));
  if (shards_[static_cast<size_t>(connection->worker().index())]->abandoned) {
    connection->abort();
  }
  if (!connection->open()) {
    co_return;  // it was replaced, or lost
  }
  if (!opening.ok()) {
    connection->close_with(CloseCode::storage_unavailable);
    co_return;
  }
  connection->go_live(std::move(*opening), auto_ack, registered);
  log_debug("gateway.connected", {{"connection", entry.id}, {"user", user.user.str()}, {"tenant", user.tenant.str()},
                                  {"device", entry.device.str()}, {"session", entry.session.str()}});
}

// What the connection follows and from where, from one snapshot of the store.
Task<Result<Gateway::Opening>> Gateway::plan(UserKey user, Wishes wishes) {
  Worker& worker = *Worker::current();
  const Status settled = co_await parts_.devices.settle(user, wishes.device);
  if (!settled.ok()) {
    co_return settled.error();
  }
  struct Snapshot {
    std::optional<stream::StreamRow> own;
    std::vector<conversation::Followable> conversations;
    device::Devices::Cursors cursors;
  };
  const Instant as_of = worker.clock().now();
  auto snapshot = co_await parts_.database.read([&](storage::Transaction& tx) -> Result<Snapshot> {
    return Snapshot{stream::find_stream(tx, device::Devices::own_key(user)),
                    parts_.conversations.followables(tx, user),
                    device::Devices::cursors(tx, user, wishes.device)};
  });
  if (snapshot.ok() && !snapshot->own) {
    // A session that was made over REST came without an own stream, and there has to be something to follow.
    const int64_t now_ms = parts_.clock.unix_ms();
    auto own = co_await parts_.database.write([&](storage::Transaction& tx) -> Result<stream::StreamRow> {
      device::Devices::seen(tx, user, wishes.device, now_ms);
      return device::Devices::open_own_stream(tx, user, now_ms);
    });
    if (!own.ok()) {
      co_return own.error();
    }
    snapshot->own = *own;
  }
  if (!snapshot.ok()) {
    co_return snapshot.error();
  }
  std::vector<conversation::Followable> streams;
  conversation::Followable own;
  own.key = device::Devices::own_key(user);
  own.ref = parts_.devices.own_ref(user, snapshot->own->id);
  own.head = snapshot->own->head;
  own.floor = snapshot->own->floor;
  streams.push_back(std::move(own));
  Opening opening;
  for (conversation::Followable& one : snapshot->conversations) {
    const auto cursor = snapshot->cursors.find(one.ref.id);
    const bool news = !one.deleted || (cursor != snapshot->cursors.end() && cursor->second < one.head);
    const bool wanted = wishes.only.empty() ||
                        std::find(wishes.only.begin(), wishes.only.end(), one.key.name) != wishes.only.end();
    if (!news || !wanted) {
      continue;
    }
    // They come in the order of their latest activity.
    if (streams.size() > limits_->streams) {
      ++opening.left_out;
    } else {
      streams.push_back(std::move(one));
    }
  }
  std::vector<stream::ReplayCandidate> candidates;
  for (const conversation::Followable& one : streams) {
    stream::ReplayCandidate candidate;
    const auto cursor = snapshot->cursors.find(one.ref.id);
    if (!wishes.replay) {
      candidate.cursor = one.head;
    } else if (cursor != snapshot->cursors.end()) {
      candidate.cursor = cursor->second;
    }
    candidate.first = one.first;
    candidate.floor = one.floor;
    candidate.head = one.head;
    candidates.push_back(candidate);
  }
  const auto plans = stream::plan_replay(candidates, limits_->replay);
  for (size_t i = 0; i < streams.size(); ++i) {
    stream::PlannedReplay planned = plans[i];
    if (planned.entries > 0 && TIDEMARK_FAULT(cursor_off_by_one)) {
      planned.position += 1;
    }
    if (planned.has_gap && !TIDEMARK_FAULT(silent_gap)) {
      opening.gaps.push_back(stream::gap_frame(streams[i].key, planned.gap_after, planned.position + 1));
      gaps_.add();
    }
    if (planned.entries > 0) {
      opening.streams += 1;
      opening.entries += planned.entries;
      resumed_.add();
    }
    opening.follows.push_back({streams[i].ref, streams[i].key, streams[i].head, as_of, planned.position});
  }
  co_return opening;
}

}  // namespace tidemark::gateway
