// Follower: a document's events for one gRPC stream, in order, each once. Private to the document room.
//
// Owner: the worker that subscribed, from which every call comes; the document's owner holds a reference and posts. It
// follows the document's stream as a WebSocket connection does: behind, it reads the log a page at a time; live, it gets
// entries from the fan-out.
#pragma once

#include <memory>

#include "document/document.h"
#include "stream/subscriber.h"

namespace tidemark::document {

struct Follower final : public stream::Outlet, public stream::Subscriber::Events,
                        public std::enable_shared_from_this<Follower> {
  struct Place {
    stream::FollowRequest request;
    std::string doc_id;
    int64_t version = 0;  // at request.position
    int64_t time_ms = 0;
  };
  Follower(stream::Engine& engine, Worker& worker, stream::OutletId id, UserKey user, std::string subscriber_id, Sink sink);
  ~Follower();

  stream::OutletId outlet_id() const override { return id_; }
  const UserKey& user() const override { return user_; }
  bool deliver(const stream::StreamRef& stream, int64_t seq, const stream::Frame& frame) override;
  void signal(const stream::Frame& frame) override;
  void replay_finished() override {}
  void replay_failed(const Error& error) override { end_later(error); }

  void begin_at(Place place) { place_ = std::move(place); }
  void start();
  void resume();
  void end(const std::optional<Error>& error);  // tells the sink, once
  void drop();                                  // without a word

  Worker& worker() { return worker_; }
  const std::string& subscriber_id() const { return subscriber_id_; }

  Callback on_drop;  // set by the room: the document's owner is told

 private:
  void end_later(Error error);
  bool give(Event& event);

  stream::Engine& engine_;
  Worker& worker_;
  const stream::OutletId id_;
  const UserKey user_;
  const std::string subscriber_id_;
  Sink sink_;
  Place place_;
  int64_t told_ = 0;  // events that are not stored, for their ids
  bool ended_ = false;
  bool ending_ = false;
  std::unique_ptr<stream::Subscriber> subscriber_;
};

}  // namespace tidemark::document
