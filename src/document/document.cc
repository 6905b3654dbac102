// The door of the document room.
#include "document/document_commands.h"
#include "document/encode.h"
#include "document/personal.h"
#include "document/service.h"

namespace tidemark::document {

Documents::Documents(WorkerPool& workers, storage::Database& database, stream::Engine& engine,
                     session::Sessions& sessions, const Clock& clock, Random& random, DocumentOptions options,
                     std::string epoch, MetricRegistry& metrics)
    : service_(std::make_unique<Service>(workers, database, engine, sessions, clock, random, std::move(options),
                                         std::move(epoch), metrics)) {}

Documents::~Documents() = default;

void Documents::start() { service_->start(); }
Task<> Documents::end_waiting() { return service_->end_waiting(); }

Task<Result<Created>> Documents::create(Caller caller, CreateRequest request) {
  return service_->create(std::move(caller), std::move(request));
}
Task<Result<Document>> Documents::get(Caller caller, std::string doc_id, int64_t version) {
  return service_->get(std::move(caller), std::move(doc_id), version);
}
Task<Result<Updated>> Documents::update(Caller caller, UpdateRequest request) {
  return service_->update(std::move(caller), std::move(request));
}
Task<Result<Deleted>> Documents::remove(Caller caller, DeleteRequest request) {
  return service_->remove(std::move(caller), std::move(request));
}
Task<Result<Listed>> Documents::list(Caller caller, ListRequest request) {
  return service_->list(std::move(caller), std::move(request));
}
// Whoever calls this has not read the data as JSON.
Task<Result<Applied>> Documents::apply(Caller caller, Operation operation) {
  if (auto unreadable = operation.data.empty() ? std::nullopt : spell_json(operation.data, "data")) {
    Applied applied;
    applied.refusal = std::move(unreadable);
    applied.operation = std::move(operation);
    applied.operation.user_id = caller.user.str();
    applied.operation.status = OperationStatus::rejected;
    co_return applied;
  }
  co_return co_await service_->apply(std::move(caller), std::move(operation));
}
Task<Result<std::vector<Operation>>> Documents::history(Caller caller, HistoryRequest request) {
  return service_->history(std::move(caller), std::move(request));
}
Task<Result<LockAnswer>> Documents::lock(Caller caller, LockRequest request) {
  return service_->lock(std::move(caller), std::move(request));
}
Task<Status> Documents::unlock(Caller caller, UnlockRequest request) {
  return service_->unlock(std::move(caller), std::move(request));
}
Task<Result<std::optional<Lock>>> Documents::locked(Caller caller, std::string doc_id) {
  return service_->locked(std::move(caller), std::move(doc_id));
}
Task<Result<std::vector<Conflict>>> Documents::conflicts(Caller caller, ConflictsRequest request) {
  return service_->conflicts(std::move(caller), std::move(request));
}
Task<Result<Conflict>> Documents::resolve(Caller caller, ResolveRequest request) {
  return service_->resolve(std::move(caller), std::move(request));
}
Task<Result<Subscription>> Documents::subscribe(Caller caller, SubscribeRequest request, Sink sink) {
  return service_->subscribe(std::move(caller), std::move(request), std::move(sink));
}
Task<Status> Documents::unsubscribe(Caller caller, std::string doc_id, std::string subscriber_id) {
  return service_->unsubscribe(std::move(caller), std::move(doc_id), std::move(subscriber_id));
}
Task<Result<Stats>> Documents::stats(Caller caller) { return service_->stats(std::move(caller)); }

std::vector<storage::PersonalPart> Documents::personal_parts() { return store::personal_parts(); }
Task<Result<EraseProgress>> Documents::erase_some(UserKey user, std::string pseudonym, EraseProgress progress) {
  return service_->erase_some(std::move(user), std::move(pseudonym), progress);
}

void Documents::add_commands(command::Table& table) { add_document_rows(service_.get(), table); }

}  // namespace tidemark::document
