// The wiring of the rooms: one function each.
#include "app/node_parts.h"
#include "app/part_options.h"

namespace tidemark::app {
namespace {

// Of a session that was revoked. There may be none: then its tokens are refused for that.
Task<> close_session(session::Sessions& sessions, UserKey tenant, SessionId id) {
  (void)co_await sessions.close(std::move(tenant), std::move(id));
}

}  // namespace

void Node::Parts::make_rooms(Store opened, std::shared_ptr<const account::KeySet> keys) {
  store.emplace(std::move(opened));
  workers = std::make_unique<WorkerPool>(static_cast<int>(config.node.workers), clock);
  make_engine();
  make_account(std::move(keys));
  make_sessions();
  make_devices();
  make_conversations();
  make_documents();
  make_presence();
  make_retention();
  account->add_commands(*table);
  sessions->add_commands(*table);
  devices->add_commands(*table);
  presence->add_commands(*table);
  conversations->add_commands(*table);
  documents->add_commands(*table);
  table->freeze();
}

void Node::Parts::make_engine() {
  fanout = std::make_unique<stream::Fanout>(*workers, *store->database, stream::FanoutOptions{}, metrics);
  engine = std::make_unique<stream::Engine>(*fanout, *store->database, stream::ReplayOptions{}, metrics);
  limiter = std::make_unique<command::RateLimiter>(*workers, rates_of(config), metrics);
  table = std::make_unique<command::Table>(*limiter, clock);
  at_reload.emplace_back([this](const Config& now) { limiter->set_table(rates_of(now)); });
}

void Node::Parts::make_account(std::shared_ptr<const account::KeySet> keys) {
  account::AccountOptions account_options;
  account_options.expectations.issuer = config.auth.issuer;
  account_options.expectations.audience = config.auth.audience;
  account_options.expectations.lifetime_max = config.auth.token_ttl_max;
  account_options.session_ttl_max = config.session.ttl_max;
  account_options.revocations_max = config.limits.revocations;
  account_options.audit_keep = config.retention.audit;
  account = std::make_unique<account::Account>(*workers, *store->database, std::move(keys), std::move(account_options),
                                               clock, metrics);
  account->set_revocation_listener([this](const account::Revocation& revocation) {
    if (revocation.kind == account::RevocationKind::session) {
      spawn(close_session(*sessions, UserKey(revocation.tenant, UserId()), SessionId(revocation.subject)));
    }
    gateway->drop_revoked();
    if (rpc) {
      rpc->drop_revoked();
    }
  });
  at_start.emplace_back([this] { account->start(); });
}

void Node::Parts::make_sessions() {
  sessions = std::make_unique<session::Sessions>(*workers, *store->database, *account, clock, random,
                                                 session_options_of(config), metrics);
  at_start.emplace_back([this] { sessions->start(); });
  at_reload.emplace_back([this](const Config& now) { sessions->set_options(session_options_of(now)); });
}

void Node::Parts::make_devices() {
  device::DeviceOptions device_options;
  device_options.store_every = config.cursors.store_every;
  device_options.forget_after = config.retention.devices;
  device_options.data_bytes = config.limits.data;
  devices = std::make_unique<device::Devices>(*workers, *store->database, *engine, *sessions, clock, device_options);
  at_start.emplace_back([this] { devices->start(); });
}

void Node::Parts::make_conversations() {
  conversations = std::make_unique<conversation::Conversations>(*workers, *store->database, *engine, *sessions,
                                                                *devices, clock, random,
                                                                conversation_options_of(config), metrics);
  devices->set_confirm_listener([this](const UserKey& user, const stream::StreamKey& key, int64_t seq) {
    conversations->delivered(user, key, seq);
  });
  at_start.emplace_back([this] { conversations->start(); });
  at_reload.emplace_back([this](const Config& now) {
    conversation::ConversationOptions live = conversation_options_of(config);
    live.members = now.limits.members;
    live.receipt_members = now.limits.receipt_members;
    conversations->set_options(live);
  });
  at_drain.emplace_back([this] { return conversations->store_all(); });
  // Behind those: a delivered marker may move with a cursor.
  at_drain.emplace_back([this] { return devices->store_all(); });
}

void Node::Parts::make_documents() {
  documents = std::make_unique<document::Documents>(*workers, *store->database, *engine, *sessions, clock, random,
                                                    document_options_of(config), store->epoch, metrics);
  at_start.emplace_back([this] { documents->start(); });
  at_drain.emplace_back([this] { return documents->end_waiting(); });
}

void Node::Parts::make_presence() {
  presence::Presence::Visibility visibility;
  if (config.presence.visibility == PresenceVisibility::contacts) {
    visibility = [this](UserKey viewer, std::vector<std::string> users) {
      return conversations->share(std::move(viewer), std::move(users));
    };
  }
  presence = std::make_unique<presence::Presence>(*workers, *sessions, clock, presence_options_of(config),
                                                  std::move(visibility), metrics);
  at_reload.emplace_back([this](const Config& now) { presence->set_options(presence_options_of(now)); });
}

void Node::Parts::make_retention() {
  std::vector<stream::RetentionRule> rules{{stream::StreamKind::self, config.retention.sync, {}}};
  if (config.retention.messages) {
    rules.push_back({stream::StreamKind::conversation, *config.retention.messages,
                     &conversation::Conversations::forget_states});
  }
  retention = std::make_unique<stream::Retention>(*workers, *store->database, clock, std::move(rules),
                                                  stream::RetentionOptions{}, metrics);
  at_start.emplace_back([this] { retention->start(); });
}

}  // namespace tidemark::app
