// JSON of an operation and of metadata as a client writes them, at the doors: what is read is written and read again to
// the same, a change of a stored body touches nobody but who is named, and a small document decides about the operation.
#include <simdjson.h>

#include <string>

#include "document/encode.h"
#include "document/engine/document.h"
#include "document/personal.h"
#include "fuzz.h"

namespace tidemark::document {
namespace {

Operation stored(std::string_view body) {
  auto operation = operation_in(body);
  TIDEMARK_CHECK(operation.has_value());
  return std::move(*operation);
}

void check_metadata(std::string_view json) {
  const auto metadata = read_metadata(json);
  if (!metadata.ok()) {
    return;
  }
  const std::string written = metadata_json(*metadata);
  const auto again = read_metadata(written);
  TIDEMARK_CHECK(again.ok() && *again == *metadata);
}

// What an erasure makes of it: nobody of the name is left, and whoever else is in it stays.
void check_renamed(const std::string& body, const std::string& user) {
  constexpr const char* kPseudonym = "erased-1";
  const auto renamed = renamed_body(body, user, kPseudonym, false);
  if (!renamed) {
    return;
  }
  TIDEMARK_CHECK(stored(*renamed).user_id == kPseudonym);
  TIDEMARK_CHECK(stored(*renamed).data == stored(body).data);
  TIDEMARK_CHECK(!renamed_body(*renamed, user, kPseudonym, false));
}

void decide(const Operation& operation) {
  for (const engine::Kind kind : {engine::Kind::text, engine::Kind::objects}) {
    const char* const content = kind == engine::Kind::text ? "one" : R"({"r":{"x":1}})";
    auto document = std::move(engine::Document::create(kind, content)).value();
    auto replica = std::move(engine::Document::create(kind, content)).value();
    engine::Submission submission;
    submission.id = operation.id;
    submission.session = operation.session_id;
    submission.type = operation.type;
    submission.data = operation.data;
    submission.prev_version = static_cast<uint64_t>(std::max<int64_t>(operation.prev_version, 0));
    const engine::Decision decision = document.decide(submission);
    if (decision.outcome != engine::Outcome::applied && decision.outcome != engine::Outcome::resolved) {
      continue;
    }
    const engine::Applied applied{2, operation.id, operation.session_id, decision.type, decision.data, decision.trail};
    TIDEMARK_CHECK(document.apply(applied).ok());
    // As it is stored, and read again by a reload.
    Operation told = operation;
    told.type = decision.type;
    told.data = decision.data;
    const engine::Applied reloaded{2, applied.id, applied.session, decision.type, stored(operation_body(told)).data, decision.trail};
    TIDEMARK_CHECK(replica.apply(reloaded).ok());
    TIDEMARK_CHECK(replica.snapshot() == document.snapshot());
  }
}

}  // namespace

FUZZ_TARGET(document_input, bytes) {
  check_metadata(bytes);
  auto operation = read_operation(bytes);
  if (!operation.ok()) {
    return;
  }
  if (!operation->data.empty() && spell_json(operation->data, "data")) {
    return;
  }
  operation->user_id = "alice";
  const std::string body = operation_body(*operation);
  const Operation again = stored(body);
  TIDEMARK_CHECK(again.id == operation->id && again.type == operation->type && again.user_id == operation->user_id);
  TIDEMARK_CHECK(again.data == (operation->data.empty() ? "{}" : operation->data));
  TIDEMARK_CHECK(operation_body(again) == body);
  check_renamed(body, "alice");
  decide(*operation);
}

}  // namespace tidemark::document
