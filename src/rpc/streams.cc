#include "rpc/streams.h"

#include <memory>
#include <optional>

namespace tidemark::rpc {
namespace {

Error revoked() { return fail(Code::unauthorized, "the token was revoked"); }

}  // namespace

Streams::Streams(WorkerPool& workers, const account::Account& account, session::Sessions& sessions,
                 StreamOptions options)
    : workers_(workers),
      account_(account),
      options_(options),
      gate_(options.streams),
      open_(static_cast<size_t>(workers.size())) {
  session::SessionEvents events;
  events.ended = [this](const UserKey& user, const SessionId& session) {
    if (with_session_.load() == 0) {
      return;
    }
    end_where([user, session](const OpenStream& stream) -> std::optional<Error> {
      const bool its = stream.session == session && stream.owner == user;
      return its ? std::optional(fail(Code::unauthorized, "the session is closed")) : std::nullopt;
    });
  };
  events.alive = [](const UserKey&, const SessionId&) {};
  sessions.add_session_events(std::move(events));
}

bool Streams::add(OpenStream& stream) {
  if (stream.with_token && account_.revoked(stream.owner, stream.token)) {
    return false;
  }
  open_[static_cast<size_t>(Worker::current()->index())].insert(&stream);
  with_session_.fetch_add(!stream.session.empty());
  return true;
}

void Streams::remove(OpenStream& stream) {
  if (open_[static_cast<size_t>(Worker::current()->index())].erase(&stream) > 0) {
    with_session_.fetch_sub(!stream.session.empty());
  }
}

void Streams::end_where(std::function<std::optional<Error>(const OpenStream&)> why) {
  const auto shared = std::make_shared<const std::function<std::optional<Error>(const OpenStream&)>>(std::move(why));
  for (int i = 0; i < workers_.size(); ++i) {
    workers_.at(i).post([this, shared, i] {
      // An end takes the stream out of the set.
      std::vector<std::pair<OpenStream*, Error>> ending;
      for (OpenStream* const stream : open_[static_cast<size_t>(i)]) {
        if (auto error = (*shared)(*stream)) {
          ending.emplace_back(stream, std::move(*error));
        }
      }
      for (auto& [stream, error] : ending) {
        const auto end = stream->end;  // keeps the stream alive while it ends
        end(error);
      }
    });
  }
}

void Streams::drop_revoked() {
  end_where([this](const OpenStream& stream) {
    return stream.with_token && account_.revoked(stream.owner, stream.token) ? std::optional(revoked()) : std::nullopt;
  });
}

void Streams::drain(std::function<void()> done) {
  gate_.close(std::move(done));
  end_where([](const OpenStream&) { return std::optional(fail(Code::unavailable, "this node is being stopped")); });
}

}  // namespace tidemark::rpc
