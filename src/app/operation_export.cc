// `tidemark export-user`: one JSON object, written line by line while it is read.
#include "app/operation.h"
#include "app/store.h"
#include "core/json.h"

namespace tidemark::app {
namespace {

Error cancelled() { return fail(Code::unavailable, "the export was cancelled"); }

// One array, a row on each line. Each page is a read transaction of its own.
Status print_part(const Operated& node, const UserKey& user, const storage::PersonalPart& part,
                  const OperationAnswer& answer) {
  if (!answer.print(",\"" + std::string(part.name) + "\":[")) {
    return cancelled();
  }
  std::string position;
  bool first = true;
  do {
    const auto page = node.store.database->read_now([&](storage::Transaction& tx) -> Result<storage::PersonalPage> {
      return part.read(tx, user, position);
    });
    if (!page.ok()) {
      return page.error();
    }
    for (const std::string& row : page->rows) {
      if (!answer.print((first ? "" : ",") + row)) {
        return cancelled();
      }
      first = false;
    }
    position = page->next;
    if (answer.cancelled()) {
      return cancelled();
    }
  } while (!position.empty());
  return answer.print("]") ? Status() : Status(cancelled());
}

}  // namespace

Status export_user(const Operated& node, const OperationRequest& request, const OperationAnswer& answer) {
  const UserKey& user = request.user;
  std::string head;
  JsonWriter(head)
      .begin()
      .field("user_id", user.user.str())
      .field("tenant_id", user.tenant.str())
      .field("epoch", node.store.epoch)
      .field("exported_at", node.clock.unix_ms());
  if (!answer.print(head)) {
    return cancelled();
  }
  for (const auto& parts : {session::Sessions::personal_parts(), device::Devices::personal_parts(),
                            conversation::Conversations::personal_parts(), document::Documents::personal_parts()}) {
    for (const storage::PersonalPart& part : parts) {
      if (const Status printed = print_part(node, user, part, answer); !printed.ok()) {
        return printed;
      }
    }
  }
  return answer.print("}") ? Status() : Status(cancelled());
}

}  // namespace tidemark::app
