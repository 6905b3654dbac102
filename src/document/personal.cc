// Another user's name in what was stored.
#include "document/personal.h"

#include <algorithm>

namespace tidemark::document {
namespace {

bool replace(std::string& value, const std::string& user, const std::string& pseudonym) {
  const bool is_user = value == user;
  if (is_user) {
    value = pseudonym;
  }
  return is_user;
}

void rename_user(Document& document, const std::string& user, const std::string& pseudonym, bool gone) {
  replace(document.created_by, user, pseudonym);
  replace(document.updated_by, user, pseudonym);
  if (document.metadata.permissions) {
    document::rename_user(*document.metadata.permissions, user, pseudonym);
  }
  if (gone) {
    document.name.clear();
    document.metadata.tags.clear();
    document.metadata.description.clear();
    document.metadata.properties.clear();
  }
}

}  // namespace

void rename_user(Operation& operation, const std::string& user, const std::string& pseudonym) {
  if (replace(operation.user_id, user, pseudonym)) {
    operation.client_id.clear();
    operation.metadata = {};
  }
}

void rename_user(Conflict& conflict, const std::string& user, const std::string& pseudonym) {
  for (Operation& operation : conflict.ops) {
    rename_user(operation, user, pseudonym);
  }
  replace(conflict.resolved_by, user, pseudonym);
  if (conflict.resolved_op) {
    rename_user(*conflict.resolved_op, user, pseudonym);
  }
}

void rename_user(Permissions& permissions, const std::string& user, const std::string& pseudonym) {
  replace(permissions.owner, user, pseudonym);
  for (auto* const users : {&permissions.editors, &permissions.viewers}) {
    for (std::string& one : *users) {
      replace(one, user, pseudonym);
    }
  }
}

std::optional<std::string> renamed_body(std::string_view body, const std::string& user, const std::string& pseudonym,
                                        bool gone) {
  std::string frame = "{\"type\":\"document_event\",";
  frame += body;
  frame += '}';
  auto event = event_of(frame);
  if (!event) {
    return std::nullopt;
  }
  std::string renamed;
  if (event->operation) {
    rename_user(*event->operation, user, pseudonym);
    renamed = operation_body(*event->operation);
  } else if (event->conflict) {
    rename_user(*event->conflict, user, pseudonym);
    renamed = conflict_body(*event->conflict);
  } else if (event->lock) {
    replace(event->lock->user_id, user, pseudonym);
    renamed = lock_body(*event->lock, event->data.contains("reason") ? event->data.at("reason") : std::string());
  } else if (event->document) {
    rename_user(*event->document, user, pseudonym, gone);
    renamed = document_body(*event->document);
  }
  return renamed.empty() || renamed == body ? std::nullopt : std::optional(std::move(renamed));
}

}  // namespace tidemark::document
