// The conversation service: live conversations on their owner workers, and what each command does to them. Private to
// the conversation room.
#pragma once

#include <functional>
#include <list>

#include "conversation/conversation_store.h"
#include "conversation/encode.h"
#include "conversation/personal_store.h"
#include "conversation/search_index.h"

namespace tidemark::conversation {

// A conversation in memory. Owner: the worker that its id hashes to.
//
// A copy of what is stored: members and details change only after the commit that changes them has returned, under the
// gate. Kept while it is used and, up to a limit, for a while after: following a conversation needs no copy of it.
struct Conversation {
  ConversationKey key;
  Details details;
  Members members;
  bool loaded = false;
  bool exists = false;  // false: looked for and not there (a direct one may be made by its first message)
  Gate gate;
  Instant used_at{};

  struct Typist {
    UserId user;
    DeviceId device;
    UserId to;  // whom it was sent to, if not to a conversation
    Instant ends;
  };
  std::vector<Typist> typists;
  uint64_t index_round = 0;  // the round of the shard in which it was noted for the full-text index
  std::vector<UserId> undelivered_news;  // members whose delivered marker moved and was not told yet

  stream::StreamRef ref(int owner) const { return {details.stream, owner}; }
  Member* member(const UserId& user) {
    const auto found = members.find(user);
    return found == members.end() ? nullptr : &found->second;
  }
};
using ConversationPtr = std::shared_ptr<Conversation>;

class Service {
 public:
  Service(WorkerPool& workers, storage::Database& database, stream::Engine& engine, session::Sessions& sessions,
          device::Devices& devices, const Clock& clock, Random& random, ConversationOptions options,
          MetricRegistry& metrics);
  ~Service();

  using Caller = command::Caller;
  using Request = command::Request;
  using Answer = Task<Result<command::Reply>>;

  // Messages (service_messages.cc).
  Answer send(Caller caller, Request request);
  Answer edit(Caller caller, Request request);
  Answer remove(Caller caller, Request request);
  Answer react(Caller caller, Request request);
  Answer edit_by_id(Caller caller, Request request);
  Answer remove_by_id(Caller caller, Request request);

  // Groups (service_groups.cc).
  Answer create(Caller caller, Request request);
  Answer update(Caller caller, Request request);
  Answer erase(Caller caller, Request request);
  // Their members (service_members.cc).
  Answer add_member(Caller caller, Request request);
  Answer remove_member(Caller caller, Request request);
  Answer set_role(Caller caller, Request request);

  // Reading (service_reading.cc).
  Answer history(Caller caller, Request request);
  Answer messages(Caller caller, Request request);
  Answer message(Caller caller, Request request);
  Answer conversation(Caller caller, Request request);
  Answer list(Caller caller, Request request);

  // Markers and typing (service_receipts.cc).
  Answer read(Caller caller, Request request);
  Answer typing(Caller caller, Request request);
  void delivered(const UserKey& user, const stream::StreamKey& key, int64_t seq);
  Task<> store_all();

  Task<Result<std::vector<std::string>>> contacts(UserKey user, size_t limit);
  // Full-text search (service_search.cc).
  Answer search(Caller caller, Request request);
  void start_index();

  // Erasure (service_erasure.cc): see Conversations.
  Task<Result<bool>> leave_one(UserKey user);
  Task<Result<EraseProgress>> erase_some(UserKey user, std::string pseudonym, EraseProgress progress);

  Task<Result<std::vector<bool>>> share(UserKey viewer, std::vector<std::string> users);
  // What the caller may do in a group; a service without a user may do everything in its tenant.
  static Role role_in(const Conversation& conversation, const Caller& caller);
  int owner_index(const ConversationKey& key) const { return owner(key).index(); }
  const ConversationOptions& options() const { return *options_; }
  void set_options(const ConversationOptions& options) { options_.replace(options); }

 private:
  struct Shard;
  friend struct Shard;

  // What a change of a message or of the members needs: the entry, and what else is stored with it.
  struct Change {
    EntryKind kind = EntryKind::message;
    std::string content;
    std::string body;
    std::string client_id;
    int64_t hash = 0;
  };
  // An entry that was stored, ready to be told.
  struct Stored {
    stream::StreamId stream{};
    stream::Entry entry;
    stream::Appended appended;
  };

  Worker& owner(const ConversationKey& key) const { return workers_.owner_of(std::hash<ConversationKey>{}(key)); }
  Shard& shard(const ConversationKey& key) const;

  // A conversation whose members or details are about to change: nobody else changes them while `pass` is held.
  struct Changing {
    ConversationPtr conversation;
    Gate::Pass pass;
  };
  // Moves to the owner. The conversation as it is stored, loaded if needed; `exists` may be false. An error only when
  // the store does not answer.
  Task<Result<ConversationPtr>> open(ConversationKey key);
  // The same for a first message: if there is no such conversation the gate is kept, and whoever waits behind it goes on
  // only after the message. To ask for the gate again would let later commands of the same connection overtake it.
  Task<Result<Changing>> open_to_send(ConversationKey key);
  Task<Status> load(ConversationPtr conversation);
  // As open(), and the caller is a member of it (a service without a user always is): otherwise not_found.
  Task<Result<ConversationPtr>> open_as_member(Caller caller, ConversationKey key);
  // For the conversation that the request's `id` names, by a caller who has the role in it.
  Task<Result<Changing>> open_to_change(Caller caller, Request request, Role role);
  struct Leaving {
    UserId user;
    bool erased = false;
  };
  Task<Status> drop_member(ConversationPtr conversation, Caller caller, Leaving leaving);
  struct ErasedStep {
    std::vector<Stored> told;
    int64_t messages = 0;
    int64_t entries = 0;
    bool again = false;  // the same entries once more: there is more beside them
  };
  Task<Result<ErasedStep>> erase_entries(UserKey user, std::string pseudonym, store::OwnEntries own);
  Result<ErasedStep> erase_in(storage::Transaction& tx, const Caller& nobody,
                              const UserId& user, const store::OwnEntries& own) const;
  Task<Result<EraseProgress>> erase_creators(UserKey user, std::string pseudonym, EraseProgress progress);
  static bool may_see(const Conversation& conversation, const Caller& caller);

  Result<Stored> append(storage::Transaction& tx, stream::StreamId stream, const Caller& caller, const Change& change,
                        bool counted = false) const;
  static std::string_view receiver_of(const Conversation& conversation, const stream::Entry& entry);
  void publish(Conversation& conversation, const Stored& stored, const Caller& caller, bool rewrite = false);
  void tell(Conversation& conversation, const Stored& stored, const Caller& caller);
  command::Reply sent(const Conversation& conversation, const Stored& stored, int64_t message_seq) const;
  void note_head(Conversation& conversation, const stream::Appended& appended);

  // Makes the check from the conversation as it is, runs it on the target message inside the transaction, then appends
  // and `apply`s.
  using Check = std::function<Status(const store::Row& target)>;
  using MakeCheck = std::function<Check(Conversation&)>;
  using Apply = std::function<void(storage::Transaction&, const Stored&)>;
  Answer change_message(Caller caller, ConversationKey key, int64_t target_seq, Change change, MakeCheck make_check,
                        Apply apply);

  Answer edit_message(Caller caller, ConversationKey key, int64_t seq, std::string content, std::string client_id);
  Answer delete_message(Caller caller, ConversationKey key, int64_t seq, std::string client_id);
  Answer with_message(Caller caller, ConversationKey key, int64_t seq, Answer change);
  Answer read_message(Caller caller, ConversationKey key, int64_t seq);

  Task<Result<Stored>> send_first(ConversationPtr conversation, Caller caller, UserId to, Change change);
  // The user's live connections follow the conversation from `position` on; `skip` is left out.
  void follow(const ConversationPtr& conversation, const UserId& user, int64_t position, stream::OutletId skip = 0);
  void unfollow(const ConversationPtr& conversation, const UserId& user, int64_t removal_seq);
  stream::FollowRequest follow_request(const Conversation& conversation, int64_t position) const;

  struct OwnNews {
    UserId user;
    std::string event;
  };
  Result<std::vector<device::StoredEvent>> append_news(storage::Transaction& tx, const Conversation& conversation,
                                                       const Caller& caller, const std::vector<OwnNews>& news) const;
  void publish_news(const std::vector<device::StoredEvent>& events);
  Task<Result<std::string>> details_json(ConversationPtr conversation, Caller caller);
  void signal_marker(Conversation& conversation, std::string_view type, const UserId& user, int64_t seq);
  void end_typing(Shard& shard);
  void tell_typing(const Conversation& conversation, const Conversation::Typist& typist, bool typing,
                   stream::OutletId origin);
  Task<> note_delivered(UserKey user, ConversationKey key, int64_t seq);
  void tell_delivered(Shard& shard);
  Task<> store_delivered(Shard* shard);
  void note_to_index(Conversation& conversation);
  std::vector<stream::StreamId> take_to_index(Shard& shard);
  void hand_to_index(Shard& shard);
  Task<> catch_up_index();
  void trim(Shard& shard);
  void drop_unused(Shard& shard);
  static Result<stream::Page> read_page(storage::Transaction& tx, const stream::PageRequest& request);

  WorkerPool& workers_;
  storage::Database& database_;
  stream::Engine& engine_;
  session::Sessions& sessions_;
  device::Devices& devices_;
  const Clock& clock_;
  Random& random_;
  Live<ConversationOptions> options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  SearchIndex index_;  // of the first worker
  Counter& duplicates_;
  Histogram& append_seconds_;
};

// Owner: its worker, which owns the conversations in it.
struct Service::Shard {
  Shard(Service& of_service, Worker& of);

  Service& self;
  Worker& worker;
  std::unordered_map<ConversationKey, ConversationPtr> conversations;
  struct Delivered {
    ConversationPtr conversation;
    std::map<UserId, int64_t> markers;
  };
  std::unordered_map<ConversationKey, Delivered> unstored;  // delivered markers that moved
  std::vector<ConversationPtr> with_news;                   // delivered markers to be told
  std::vector<ConversationPtr> with_typists;
  std::vector<stream::StreamId> to_index;  // with entries that the full-text index was not told of
  uint64_t index_round = 1;
  Timer store_timer;
  Timer tell_timer;
  Timer typing_timer;
  Timer index_timer;
  Timer unused_timer;
  size_t next_bucket = 0;  // of `conversations`, to be looked at by drop_unused()
};

// The event on the own stream of somebody who came into a conversation.
inline constexpr std::string_view kJoinedEvent = "conversation.joined";

// The position of a page as its cursor: numbers with points between them.
std::string position_text(std::initializer_list<int64_t> numbers);
// False: not such a text of as many numbers.
bool parse_position(std::string_view text, std::span<int64_t> numbers);

// The fields of a request as one number: tells a retry from another request under the same id.
int64_t request_hash(std::initializer_list<std::string_view> parts);

}  // namespace tidemark::conversation
