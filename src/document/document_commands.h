// What the rows of the document room do: fields in, a reply out. Private to the document room.
#pragma once

#include "command/table.h"

namespace tidemark::document {

class Service;

using Answer = Task<Result<command::Reply>>;
using DocumentCommand = Answer (*)(Service*, command::Caller, command::Request);

Answer on_create(Service* service, command::Caller caller, command::Request request);
Answer on_get(Service* service, command::Caller caller, command::Request request);
Answer on_update(Service* service, command::Caller caller, command::Request request);
Answer on_remove(Service* service, command::Caller caller, command::Request request);
Answer on_list(Service* service, command::Caller caller, command::Request request);
Answer on_stats(Service* service, command::Caller caller, command::Request request);
Answer on_operation(Service* service, command::Caller caller, command::Request request);
Answer on_post_operation(Service* service, command::Caller caller, command::Request request);
Answer on_history(Service* service, command::Caller caller, command::Request request);
Answer on_lock(Service* service, command::Caller caller, command::Request request);
Answer on_unlock(Service* service, command::Caller caller, command::Request request);
Answer on_locked(Service* service, command::Caller caller, command::Request request);
Answer on_conflicts(Service* service, command::Caller caller, command::Request request);
Answer on_resolve(Service* service, command::Caller caller, command::Request request);
Answer on_subscribe(Service* service, command::Caller caller, command::Request request);
Answer on_unsubscribe(Service* service, command::Caller caller, command::Request request);
Answer on_awareness(Service* service, command::Caller caller, command::Request request);

std::string session_of(const command::Caller& caller, const command::Request& request);
std::string data_of(std::string_view name, std::string_view json);

template <class T, class F>
std::string array_of(const std::vector<T>& values, F json) {
  std::string text = "[";
  for (const T& value : values) {
    text += text.size() > 1 ? "," : "";
    text += json(value);
  }
  return text + "]";
}

// The rows (document_rows.cc).
void add_document_rows(Service* service, command::Table& table);

}  // namespace tidemark::document
