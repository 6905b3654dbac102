// Documents and operations.
#include "rpc/document_handlers.h"

#include "core/error_table.h"
#include "rpc/document_messages.h"

namespace tidemark::rpc {
namespace {

namespace pb = ::aetherflow::statesync;
using command::Rate;

constexpr int64_t kListMax = 200;
constexpr int64_t kHistoryMax = 1000;

std::string code_name(const Error& error) { return std::string(row_of(error.code).name); }

// Below the compaction floor there is nothing to read: gRPC has a status of its own for that.
Error out_of_range(const Error& error, CallContext& call) {
  if (error.code == Code::stale_version) {
    call.status = grpc::StatusCode::OUT_OF_RANGE;
  }
  return error;
}

// What is to be changed: what is set.
Result<document::UpdateRequest> read_update(const pb::UpdateDocumentRequest& in) {
  const auto version = read_number("version", in.document().version());
  const auto fence = read_number("fence", in.fence());
  if (!version.ok() || !fence.ok()) {
    return version.ok() ? fence.error() : version.error();
  }
  document::UpdateRequest request;
  request.id = in.id();
  request.doc_id = in.document().id();
  request.session_id = in.session_id();
  request.version = *version;
  request.fence = *fence;
  if (!in.document().name().empty()) {
    request.name = in.document().name();
  }
  if (!in.document().state().empty()) {
    request.state = in.document().state();
  }
  if (in.document().has_metadata()) {
    request.metadata = read(in.document().metadata());
  }
  if (in.has_content()) {
    request.content = in.content();
  } else if (!in.document().content().empty()) {
    request.content = in.document().content();
  }
  return request;
}

}  // namespace

Task<Result<command::Caller>> DocumentHandlers::admit(CallContext& call, Rate rate, Named user) const {
  auto as = act_as(call.caller, user.field, user.value);
  if (!as.ok()) {
    co_return as;
  }
  if (const Status charged = co_await calls_.charge(rate, &call.caller); !charged.ok()) {
    co_return charged.error();
  }
  co_return as;
}

Task<Result<command::Caller>> DocumentHandlers::admit(CallContext& call, Rate rate, Named user, Named document) const {
  if (const Status checked = check_object_id(document.field, document.value); !checked.ok()) {
    co_return checked.error();
  }
  co_return co_await admit(call, rate, user);
}

Task<Status> DocumentHandlers::create(CallContext& call, const pb::CreateDocumentRequest& in,
                                      pb::CreateDocumentResponse& out) {
  auto as = co_await admit(call, Rate::creation, Named("created_by", in.created_by()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::CreateRequest request;
  request.id = in.id();
  request.name = in.name();
  request.type = in.type();
  request.content = in.content();
  request.metadata = read(in.metadata());
  const auto made = co_await documents_.create(std::move(*as), std::move(request));
  if (!made.ok()) {
    co_return made.error();
  }
  write(made->document, out.mutable_document());
  co_return Status();
}

Task<Status> DocumentHandlers::get(CallContext& call, const pb::GetDocumentRequest& in, pb::GetDocumentResponse& out) {
  const auto version = read_number("version", in.version());
  if (!version.ok()) {
    co_return version.error();
  }
  auto as = co_await admit(call, Rate::query, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  const auto found = co_await documents_.get(std::move(*as), in.doc_id(), *version);
  if (!found.ok()) {
    co_return out_of_range(found.error(), call);
  }
  write(*found, out.mutable_document());
  co_return Status();
}

Task<Status> DocumentHandlers::update(CallContext& call, const pb::UpdateDocumentRequest& in,
                                      pb::UpdateDocumentResponse& out) {
  auto request = read_update(in);
  if (!request.ok()) {
    co_return request.error();
  }
  auto as = co_await admit(call, Rate::edit, Named("document.updated_by", in.document().updated_by()),
                           Named("document.id", in.document().id()));
  if (!as.ok()) {
    co_return as.error();
  }
  const auto updated = co_await documents_.update(std::move(*as), std::move(*request));
  if (!updated.ok()) {
    co_return updated.error();
  }
  out.set_success(!updated->refusal);
  if (updated->refusal) {
    out.set_error(code_name(*updated->refusal));
  }
  write(updated->document, out.mutable_document());
  co_return Status();
}

Task<Status> DocumentHandlers::remove(CallContext& call, const pb::DeleteDocumentRequest& in,
                                      pb::DeleteDocumentResponse& out) {
  const auto fence = read_number("fence", in.fence());
  if (!fence.ok()) {
    co_return fence.error();
  }
  auto as = co_await admit(call, Rate::edit, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::DeleteRequest request;
  request.id = in.id();
  request.doc_id = in.doc_id();
  request.session_id = in.session_id();
  request.fence = *fence;
  const auto deleted = co_await documents_.remove(std::move(*as), std::move(request));
  if (!deleted.ok()) {
    co_return deleted.error();
  }
  out.set_success(!deleted->refusal);
  if (deleted->refusal) {
    out.set_error(code_name(*deleted->refusal));
  }
  co_return Status();
}

Task<Status> DocumentHandlers::list(CallContext& call, const pb::ListDocumentsRequest& in,
                                    pb::ListDocumentsResponse& out) {
  const auto limit = read_limit(in.limit(), kListMax);
  if (!limit.ok()) {
    co_return limit.error();
  }
  if (in.offset() < 0) {
    co_return invalid_field("offset", "must not be negative");
  }
  auto as = co_await admit(call, Rate::query, Named("user_id", in.user_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::ListRequest request;
  request.type = in.type();
  request.state = in.state();
  request.created_by = in.created_by();
  request.user_id = as->user.str();
  request.offset = in.offset();
  request.limit = *limit;
  const auto listed = co_await documents_.list(std::move(*as), std::move(request));
  if (!listed.ok()) {
    co_return listed.error();
  }
  for (const document::Document& document : listed->documents) {
    write(document, out.add_documents());
  }
  out.set_total(static_cast<int32_t>(listed->total));
  co_return Status();
}

Task<Status> DocumentHandlers::apply(CallContext& call, const pb::ApplyOperationRequest& in,
                                     pb::ApplyOperationResponse& out) {
  auto operation = read(in.operation());
  if (!operation.ok()) {
    co_return operation.error();
  }
  auto as = co_await admit(call, Rate::edit, Named("operation.user_id", in.operation().user_id()),
                           Named("operation.doc_id", in.operation().doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  const auto applied = co_await documents_.apply(std::move(*as), std::move(*operation));
  if (!applied.ok()) {
    co_return applied.error();
  }
  out.set_success(!applied->refusal);
  if (applied->refusal) {
    out.set_error(code_name(*applied->refusal));
  }
  write(applied->operation, out.mutable_applied_operation());
  if (applied->conflict) {
    write(*applied->conflict, out.mutable_conflict());
  }
  co_return Status();
}

Task<Status> DocumentHandlers::history(CallContext& call, const pb::GetOperationHistoryRequest& in,
                                       pb::GetOperationHistoryResponse& out) {
  const auto from_version = read_number("from_version", in.from_version());
  const auto limit = read_limit(in.limit(), kHistoryMax);
  if (!from_version.ok() || !limit.ok()) {
    co_return from_version.ok() ? limit.error() : from_version.error();
  }
  auto as = co_await admit(call, Rate::query, Named("user_id", in.user_id()), Named("doc_id", in.doc_id()));
  if (!as.ok()) {
    co_return as.error();
  }
  document::HistoryRequest request;
  request.doc_id = in.doc_id();
  request.from_version = *from_version;
  request.limit = *limit;
  const auto operations = co_await documents_.history(std::move(*as), std::move(request));
  if (!operations.ok()) {
    co_return out_of_range(operations.error(), call);
  }
  for (const document::Operation& operation : *operations) {
    write(operation, out.add_operations());
  }
  co_return Status();
}

}  // namespace tidemark::rpc
