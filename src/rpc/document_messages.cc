#include "rpc/document_messages.h"

#include "rpc/timestamp.h"

namespace tidemark::rpc {
namespace {

namespace pb = ::aetherflow::statesync;

uint64_t number(int64_t value) { return value < 0 ? 0 : static_cast<uint64_t>(value); }

void write(const document::Metadata& metadata, pb::Metadata* out) {
  out->mutable_tags()->Assign(metadata.tags.begin(), metadata.tags.end());
  out->set_description(metadata.description);
  for (const auto& [name, value] : metadata.properties) {
    (*out->mutable_properties())[name] = value;
  }
  if (metadata.permissions) {
    pb::Permissions* const permissions = out->mutable_permissions();
    permissions->set_owner(metadata.permissions->owner);
    permissions->mutable_editors()->Assign(metadata.permissions->editors.begin(), metadata.permissions->editors.end());
    permissions->mutable_viewers()->Assign(metadata.permissions->viewers.begin(), metadata.permissions->viewers.end());
    permissions->set_public_(metadata.permissions->is_public);
  }
}

}  // namespace

void write(const document::Document& document, pb::Document* out) {
  out->set_id(document.id);
  out->set_name(document.name);
  out->set_type(std::string(name_of(document.type)));
  out->set_state(std::string(name_of(document.state)));
  out->set_version(number(document.version));
  out->set_content(document.content);
  out->set_created_by(document.created_by);
  set_time(*out->mutable_created_at(), document.created_at);
  set_time(*out->mutable_updated_at(), document.updated_at);
  out->set_updated_by(document.updated_by);
  out->mutable_active_users()->Assign(document.active_users.begin(), document.active_users.end());
  write(document.metadata, out->mutable_metadata());
  out->set_epoch(document.epoch);
}

void write(const document::Operation& operation, pb::Operation* out) {
  out->set_id(operation.id);
  out->set_doc_id(operation.doc_id);
  out->set_user_id(operation.user_id);
  out->set_session_id(operation.session_id);
  out->set_type(operation.type);
  out->set_data(operation.data);
  if (operation.timestamp != 0) {
    set_time(*out->mutable_timestamp(), operation.timestamp);
  }
  out->set_version(number(operation.version));
  out->set_prev_version(number(operation.prev_version));
  out->set_status(std::string(name_of(operation.status)));
  out->set_client_id(operation.client_id);
  out->set_fence(number(operation.fence));
  if (operation.metadata.empty()) {
    return;
  }
  pb::OpMetadata* const metadata = out->mutable_metadata();
  metadata->set_ip(operation.metadata.ip);
  metadata->set_user_agent(operation.metadata.user_agent);
  metadata->set_platform(operation.metadata.platform);
  for (const auto& [name, value] : operation.metadata.extra) {
    (*metadata->mutable_extra())[name] = value;
  }
}

void write(const document::Conflict& conflict, pb::Conflict* out) {
  out->set_id(conflict.id);
  out->set_doc_id(conflict.doc_id);
  for (const document::Operation& operation : conflict.ops) {
    write(operation, out->add_ops());
  }
  out->set_resolution(conflict.resolution);
  out->set_resolved_by(conflict.resolved_by);
  if (conflict.resolved_op) {
    write(*conflict.resolved_op, out->mutable_resolved_op());
  }
  if (conflict.resolved_at != 0) {
    set_time(*out->mutable_resolved_at(), conflict.resolved_at);
  }
  out->set_description(conflict.description);
  out->set_kind(conflict.kind);
  out->set_path(conflict.path);
  out->set_base(conflict.base);
  out->set_ours(conflict.ours);
  out->set_theirs(conflict.theirs);
}

void write(const document::Lock& lock, pb::Lock* out) {
  out->set_id(lock.id);
  out->set_doc_id(lock.doc_id);
  out->set_user_id(lock.user_id);
  out->set_session_id(lock.session_id);
  set_time(*out->mutable_acquired_at(), lock.acquired_at);
  set_time(*out->mutable_expires_at(), lock.expires_at);
  out->set_active(lock.active);
  out->set_fence(number(lock.fence));
}

void write(const document::Event& event, pb::OperationEvent* out) {
  out->set_id(event.id);
  out->set_type(event.type);
  out->set_doc_id(event.doc_id);
  out->set_user_id(event.user_id);
  if (event.operation) {
    write(*event.operation, out->mutable_operation());
  }
  if (event.document) {
    write(*event.document, out->mutable_document());
  }
  if (event.conflict) {
    write(*event.conflict, out->mutable_conflict());
  }
  if (event.lock) {
    write(*event.lock, out->mutable_lock());
  }
  set_time(*out->mutable_timestamp(), event.timestamp);
  for (const auto& [name, value] : event.data) {
    (*out->mutable_data())[name] = value;
  }
  out->set_seq(number(event.seq));
  out->set_version(number(event.version));
}

void write(const document::Stats& stats, pb::Stats* out) {
  out->set_total_documents(stats.total_documents);
  out->set_active_documents(stats.active_documents);
  out->set_archived_documents(stats.archived_documents);
  out->set_total_operations(stats.total_operations);
  out->set_total_conflicts(stats.total_conflicts);
  out->set_resolved_conflicts(stats.resolved_conflicts);
  out->set_active_subscribers(stats.active_subscribers);
  out->set_active_locks(stats.active_locks);
  set_time(*out->mutable_last_updated(), stats.last_updated);
}

document::Metadata read(const pb::Metadata& metadata) {
  document::Metadata read;
  read.tags.assign(metadata.tags().begin(), metadata.tags().end());
  read.description = metadata.description();
  read.properties = {metadata.properties().begin(), metadata.properties().end()};
  if (metadata.has_permissions()) {
    document::Permissions& permissions = read.permissions.emplace();
    permissions.owner = metadata.permissions().owner();
    permissions.editors.assign(metadata.permissions().editors().begin(), metadata.permissions().editors().end());
    permissions.viewers.assign(metadata.permissions().viewers().begin(), metadata.permissions().viewers().end());
    permissions.is_public = metadata.permissions().public_();
  }
  return read;
}

Result<int64_t> read_number(std::string_view field, uint64_t number) {
  if (number > static_cast<uint64_t>(INT64_MAX)) {
    return invalid_field(field, "above 2^63 - 1");
  }
  return static_cast<int64_t>(number);
}

Result<int64_t> read_limit(int32_t limit, int64_t most) {
  constexpr int64_t kDefault = 50;
  if (limit < 0 || limit > most) {
    return invalid_field("limit", "must be from 1 to " + std::to_string(most));
  }
  return limit == 0 ? kDefault : limit;
}

Result<document::Operation> read(const pb::Operation& operation) {
  const auto prev_version = read_number("prev_version", operation.prev_version());
  const auto fence = read_number("fence", operation.fence());
  if (!prev_version.ok() || !fence.ok()) {
    return prev_version.ok() ? fence.error() : prev_version.error();
  }
  document::Operation read;
  read.id = operation.id();
  read.doc_id = operation.doc_id();
  read.user_id = operation.user_id();
  read.session_id = operation.session_id();
  read.type = operation.type();
  read.data = operation.data();
  read.prev_version = *prev_version;
  read.fence = *fence;
  read.client_id = operation.client_id();
  read.metadata.ip = operation.metadata().ip();
  read.metadata.user_agent = operation.metadata().user_agent();
  read.metadata.platform = operation.metadata().platform();
  read.metadata.extra = {operation.metadata().extra().begin(), operation.metadata().extra().end()};
  return read;
}

}  // namespace tidemark::rpc
