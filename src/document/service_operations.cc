// Operations: apply and history.
#include <algorithm>

#include "document/service.h"

namespace tidemark::document {
namespace {

using storage::Transaction;

constexpr size_t kClientIdChars = 64;
constexpr int64_t kHistoryMax = 1000;
constexpr size_t kHistoryBytes = 16 * 1024 * 1024;
constexpr size_t kMetadataText = 1024;
constexpr size_t kExtraMax = 32;

// What is refused whatever the document is.
std::optional<Error> check_form(const Operation& operation, bool whole_content) {
  if (operation.id.size() > kClientIdChars) {
    return invalid_field("id", "longer than 64 bytes");
  }
  if (operation.session_id.size() > kIdBytesMax || (!operation.session_id.empty() && !is_valid_id(operation.session_id))) {
    return invalid_field("session_id", "1 to 128 bytes of UTF-8 without control characters");
  }
  if (operation.client_id.size() > kIdBytesMax || (!operation.client_id.empty() && !is_valid_id(operation.client_id))) {
    return invalid_field("client_id", "1 to 128 bytes of UTF-8 without control characters");
  }
  if (!operation.id.empty() && !is_valid_id(operation.id)) {
    return invalid_field("id", "UTF-8 without control characters");
  }
  if (operation.prev_version < 0 || operation.fence < 0) {
    return invalid_field(operation.fence < 0 ? "fence" : "prev_version", "must not be negative");
  }
  if (operation.type.empty() && !whole_content) {
    return Error{Code::missing_field, "required", "type", 0};
  }
  const OperationMetadata& metadata = operation.metadata;
  size_t bytes = metadata.ip.size() + metadata.user_agent.size() + metadata.platform.size();
  for (const auto& [name, value] : metadata.extra) {
    bytes += name.size() + value.size();
  }
  if (bytes > 4 * kMetadataText || metadata.extra.size() > kExtraMax) {
    return invalid_field("metadata", "more than 4096 bytes or 32 members");
  }
  if (const auto policy = metadata.extra.find("conflict_policy");
      policy != metadata.extra.end() && !engine::policy_named(policy->second)) {
    return invalid_field("metadata.extra.conflict_policy", "lww, merge or manual");
  }
  if (const auto how = metadata.extra.find("on_lock"); how != metadata.extra.end() && how->second != "wait") {
    return invalid_field("metadata.extra.on_lock", "wait, or nothing");
  }
  return std::nullopt;
}

}  // namespace

int64_t operation_hash(const Operation& operation) {
  std::string rest;
  for (const auto& [name, value] : operation.metadata.extra) {
    rest.append(name).append(1, '\0').append(value).append(1, '\0');
  }
  // Not the session: a retry may come from another one.
  const Uuid hash = make_uuid8({operation.type, operation.data, std::to_string(operation.prev_version),
                                std::to_string(operation.fence), rest});
  int64_t number = 0;
  std::memcpy(&number, hash.bytes.data(), sizeof number);
  return number;
}

std::string unknown_operation(const std::string& doc_id, int64_t version) {
  Operation unknown;
  unknown.doc_id = doc_id;
  unknown.version = version;
  return operation_body(unknown);
}

Task<Result<Applied>> Service::apply(Caller caller, Operation operation) {
  Worker& from = *Worker::current();
  auto applied = co_await apply_on_owner(std::move(caller), std::move(operation));
  co_await from.enter();
  co_return applied;
}

Task<Result<Applied>> Service::apply_on_owner(Caller caller, Operation operation) {
  if (auto wrong = check_form(operation, false)) {
    co_return std::move(*wrong);
  }
  operation.user_id = caller.user.str();
  const DocumentKey key{caller.tenant, operation.doc_id};
  const int64_t hash = operation_hash(operation);
  co_await owner(key).enter();
  if (const Status session = co_await check_session(caller, operation.session_id); !session.ok()) {
    co_return session.error();
  }
  for (;;) {
    LivePtr live;
    {
      auto opened = co_await open(caller, key, Right::write);
      if (!opened.ok()) {
        co_return opened.error();
      }
      live = std::move(opened->live);
    }
    Verdict verdict = decide(*live, operation, hash);
    while (!verdict.missing.empty()) {
      // Concurrent operations that memory no longer has, for the record of a conflict.
      const Gate::Pass held = co_await live->gate.enter();
      if (const Status read = co_await read_operations(live, verdict.missing); !read.ok()) {
        co_return read.error();
      }
      if (!live->loaded) {
        break;
      }
      verdict = decide(*live, operation, hash);
    }
    if (!verdict.missing.empty()) {
      continue;
    }
    if (verdict.refusal && verdict.refusal->code == Code::unavailable) {
      co_return std::move(*verdict.refusal);
    }
    if (verdict.refusal) {
      Applied applied;
      applied.refusal = std::move(verdict.refusal);
      applied.operation = std::move(operation);
      applied.operation.status = OperationStatus::rejected;
      applied.operation.version = 0;
      co_return applied;
    }
    if (verdict.known) {
      if (const BatchPtr newest = live->newest_batch()) {
        const Batch::End end = co_await newest->ended();
        if (end == Batch::End::again) {
          continue;
        }
        if (end == Batch::End::failed) {
          co_return fail(Code::unavailable);
        }
      }
      co_return co_await first_answer(live, caller.user.str(), operation, *verdict.known, hash);
    }
    const BatchPtr batch = verdict.batch;
    const Batch::End end = co_await batch->ended();
    if (end == Batch::End::committed) {
      co_return std::move(verdict.applied);
    }
    if (end == Batch::End::failed) {
      co_return fail(Code::unavailable);
    }
  }
}

Task<Result<Applied>> Service::first_answer(LivePtr live, std::string author, Operation operation,
                                            LiveDocument::Known known, int64_t hash) {
  Applied applied;
  applied.operation = operation;
  if (known.hash != hash) {
    applied.refusal = Error{Code::conflict, "this id was used before with other fields", "id", 0};
    applied.operation.status = OperationStatus::rejected;
    co_return applied;
  }
  const stream::StreamId stream = live->details.stream;
  struct Found {
    std::optional<store::Stored> entry;
    std::optional<Conflict> conflict;
  };
  auto found = co_await database_.read([&](Transaction& tx) -> Result<Found> {
    Found result;
    result.entry = store::entry_at(tx, stream, known.seq);
    result.conflict = store::conflict_of_operation(tx, stream, author, operation.id);
    return result;
  });
  if (!found.ok()) {
    co_return found.error();
  }
  if (!found->entry) {
    co_return Error{Code::stale_version, "the answer is no longer kept", "id", 0};
  }
  applied.seq = known.seq;
  applied.duplicate = true;
  applied.conflict = std::move(found->conflict);
  if (auto stored = operation_in(found->entry->entry.body)) {
    applied.operation = std::move(*stored);
  } else {
    applied.operation.status = OperationStatus::conflict;  // it was parked
    applied.operation.timestamp = found->entry->entry.time_ms;
  }
  co_return applied;
}

Task<Status> Service::read_operations(LivePtr live, std::vector<int64_t> versions) {
  const Details details = live->details;
  auto read = co_await database_.read([&](Transaction& tx) -> Result<std::vector<std::string>> {
    std::vector<std::string> bodies;
    for (const int64_t version : versions) {
      const auto stored = store::entry_at(tx, details.stream, store::seq_of_version(tx, details, version));
      const auto operation = stored ? operation_in(stored->entry.body) : std::nullopt;
      bodies.push_back(operation && operation->version == version ? stored->entry.body
                                                                  : unknown_operation(details.id, version));
    }
    return bodies;
  });
  if (!read.ok()) {
    co_return read.error();
  }
  for (size_t i = 0; i < versions.size(); ++i) {
    live->recent.insert_or_assign(versions[i], std::move((*read)[i]));
  }
  co_return Status();
}

Task<Result<std::vector<Operation>>> Service::history(Caller caller, HistoryRequest request) {
  Worker& from = *Worker::current();
  if (request.limit < 1 || request.limit > kHistoryMax) {
    co_return invalid_field("limit", "1 to 1000");
  }
  const DocumentKey key{caller.tenant, request.doc_id};
  auto opened = co_await open(caller, key, Right::read);
  if (!opened.ok()) {
    co_await from.enter();
    co_return opened.error();
  }
  const int64_t head = opened->live->committed_version;
  co_await from.enter();
  if (request.from_version < 0 || request.from_version > head) {
    co_return invalid_field("from_version", "above the newest version");
  }
  co_return co_await database_.read([&](Transaction& tx) -> Result<std::vector<Operation>> {
    const auto details = store::find(tx, key.tenant, key.id);
    if (!details) {
      return no_such_document();
    }
    if (request.from_version > 0 && request.from_version < details->floor_version) {
      return Error{Code::stale_version, "operations from there on are no longer kept", "from_version", 0};
    }
    const auto stored =
        request.from_version > 0
            ? store::operations_after(tx, details->stream, store::seq_of_version(tx, *details, request.from_version),
                                      request.limit, kHistoryBytes)
            : store::newest_operations(tx, details->stream, request.limit, kHistoryBytes);
    std::vector<Operation> operations;
    for (const store::Stored& one : stored) {
      if (auto operation = operation_in(one.entry.body)) {
        operations.push_back(std::move(*operation));
      }
    }
    return operations;
  });
}

}  // namespace tidemark::document
