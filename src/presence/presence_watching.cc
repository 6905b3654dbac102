// Watching: who asks for the presence of whom, and what is remembered of that.
#include <algorithm>

#include "core/json.h"
#include "presence/presence_parts.h"

namespace tidemark::presence {

using command::Caller;
using command::FieldType;
using command::Reply;
using command::Request;

Task<Result<std::vector<Presence::View>>> Presence::views(UserKey viewer, std::vector<std::string> users) {
  std::vector<bool> visible(users.size(), true);
  if (visibility_ && !viewer.user.empty()) {
    auto seen = co_await visibility_(viewer, users);
    if (!seen.ok()) {
      co_return seen.error();
    }
    visible = std::move(*seen);
  }
  std::vector<View> views;
  for (size_t i = 0; i < users.size(); ++i) {
    if (visible[i]) {
      views.push_back(co_await view_of({viewer.tenant, UserId(users[i])}));
    } else {
      views.push_back(View{users[i], false, 0, 0});
    }
  }
  co_return views;
}

void Presence::forget_watches(const UserKey& watcher, stream::OutletId outlet) {
  Shard& shard = home(watcher);
  const auto found = shard.watches.find(outlet);
  if (found == shard.watches.end()) {
    return;
  }
  for (const UserKey& target : found->second) {
    unwatch_at_home(target, outlet);
  }
  shard.watches.erase(found);
}

void Presence::unwatch_at_home(const UserKey& target, stream::OutletId outlet) {
  Worker& worker = sessions_.home_of(target);
  if (!worker.is_current()) {
    worker.post([this, moved = std::make_unique<UserKey>(target), outlet] { unwatch_at_home(*moved, outlet); });
    return;
  }
  Shard& shard = home(target);
  const auto found = shard.users.find(target);
  if (found != shard.users.end()) {
    std::erase_if(found->second->watchers, [outlet](const Watcher& one) { return one.connection.id == outlet; });
    shard.drop_if_empty(target);
  }
}

void Presence::add_commands(command::Table& table) {
  const auto watches_max = [this] { return static_cast<int64_t>(options_->watches); };
  const command::Field users{.name = "users", .type = FieldType::id_list, .required = true, .max_now = watches_max};
  table.add({.type = "watch",
             .summary = "Presence of these users, now and on every change",
             .fields = {users},
             .rate = command::Rate::signal,
             .handler = [this](Caller caller, Request request) {
               return watch(std::move(caller), std::move(request));
             }});
  table.add({.type = "unwatch",
             .summary = "No more presence of these users",
             .fields = {users},
             .rate = command::Rate::signal,
             .handler = [this](Caller caller, Request request) {
               return unwatch(std::move(caller), std::move(request));
             }});
  table.add({.method = "GET",
             .path = "/presence",
             .summary = "Presence of these users now",
             .fields = {{.name = "users", .type = FieldType::id_list, .required = true, .where = command::Where::query,
                         .max_now = watches_max}},
             .access = command::Access::scope,
             .handler = [this](Caller caller, Request request) {
               return list(std::move(caller), std::move(request));
             }});
}

Task<Result<Reply>> Presence::watch(Caller caller, Request request) {
  const UserKey self = caller.key();
  Connection connection;
  connection.id = caller.connection;
  connection.worker = caller.worker;
  std::vector<std::string> users = request.list("users");
  if (visibility_) {
    auto seen = co_await visibility_(self, users);
    if (!seen.ok()) {
      co_return seen.error();
    }
    for (size_t i = users.size(); i-- > 0;) {
      if (!(*seen)[i]) {
        // Looks like somebody who never comes online.
        sessions_.door().signal(connection, stream::Frame::text(to_json(View{users[i], false, 0, 0}, true)));
        users.erase(users.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  }
  co_await sessions_.home_of(self).enter();
  const auto& mine = sessions_.connections_of(self);
  if (std::none_of(mine.begin(), mine.end(), [&](const Connection& one) { return one.id == connection.id; })) {
    co_return Reply{};  // the connection has ended
  }
  std::vector<UserKey>& watched = home(self).watches[connection.id];
  std::vector<UserKey> fresh;
  for (const std::string& user : users) {
    const UserKey target{self.tenant, UserId(user)};
    if (std::find(watched.begin(), watched.end(), target) == watched.end() &&
        std::find(fresh.begin(), fresh.end(), target) == fresh.end()) {
      fresh.push_back(target);
    }
  }
  if (watched.size() + fresh.size() > options_->watches) {
    co_return invalid_field("users", "a connection may watch " + std::to_string(options_->watches) + " users");
  }
  watched.insert(watched.end(), fresh.begin(), fresh.end());
  for (const std::string& user : users) {
    const UserKey target{self.tenant, UserId(user)};
    co_await sessions_.home_of(target).enter();
    UserState& state = home(target).state(target, home(target).is_connected(target));
    const bool known = std::any_of(state.watchers.begin(), state.watchers.end(),
                                   [&](const Watcher& one) { return one.connection.id == connection.id; });
    if (!known) {
      state.watchers.push_back({connection, self});
    }
    const View view = co_await view_of(target);
    sessions_.door().signal(connection, stream::Frame::text(to_json(view, true)));
  }
  // The connection may have ended while its watches were being noted.
  co_await sessions_.home_of(self).enter();
  const auto& now = sessions_.connections_of(self);
  if (std::none_of(now.begin(), now.end(), [&](const Connection& one) { return one.id == connection.id; })) {
    for (const std::string& user : users) {
      unwatch_at_home({self.tenant, UserId(user)}, connection.id);
    }
  }
  co_return Reply{};
}

Task<Result<Reply>> Presence::unwatch(Caller caller, Request request) {
  const UserKey self = caller.key();
  co_await sessions_.home_of(self).enter();
  Shard& shard = home(self);
  const auto found = shard.watches.find(caller.connection);
  for (const std::string& user : request.list("users")) {
    const UserKey target{self.tenant, UserId(user)};
    if (found != shard.watches.end()) {
      std::erase(found->second, target);
    }
    unwatch_at_home(target, caller.connection);
  }
  co_return Reply{};
}

Task<Result<Reply>> Presence::list(Caller caller, Request request) {
  const auto found = co_await views(caller.key(), request.list("users"));
  if (!found.ok()) {
    co_return found.error();
  }
  std::string list = "[";
  for (const View& view : *found) {
    list += list.size() > 1 ? "," : "";
    list += to_json(view, false);
  }
  Reply reply;
  JsonWriter(reply.data).begin().raw("presence", list + "]").end();
  co_return reply;
}

}  // namespace tidemark::presence
