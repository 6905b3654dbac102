#include "account/account_commands.h"

#include <charconv>

#include "core/json.h"

namespace tidemark::account {
namespace {

using command::Access;
using command::Caller;
using command::Field;
using command::FieldType;
using command::Reply;
using command::Request;
using command::Where;

constexpr int64_t kPageMax = 200;
constexpr int64_t kPage = 50;
constexpr int64_t kTimeMax = 253'402'300'799'000;  // the end of the year 9999, as in a token

struct Name {
  std::string_view field;
  RevocationKind kind;
  std::string_view noun;
};
constexpr Name kNames[] = {{"user_id", RevocationKind::user, "user"},
                           {"session_id", RevocationKind::session, "session"},
                           {"jti", RevocationKind::token, "token"}};

const Name& name_of(RevocationKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::string to_json(const Revocation& revocation) {
  std::string json;
  JsonWriter writer(json);
  writer.begin()
      .field("id", revocation.id)
      .field(name_of(revocation.kind).field, revocation.subject)
      .field("revoked_at", revocation.at);
  if (revocation.until != Revocation::kForever) {
    writer.field("forgotten_at", revocation.until);
  }
  writer.end();
  return json;
}

}  // namespace

void AccountCommands::add_to(command::Table& table) {
  auto self = std::make_shared<AccountCommands>(*this);
  table.add({.method = "POST",
             .path = "/admin/revocations",
             .summary = "Revokes all tokens of a user that were issued before now, a session, or one token",
             .fields = {{.name = "user_id", .type = FieldType::id},
                        {.name = "session_id", .type = FieldType::id},
                        {.name = "jti", .type = FieldType::id},
                        {.name = "expires_at", .type = FieldType::integer, .max = kTimeMax, .min = 1,
                         .help = "Unix milliseconds: the latest exp of the tokens concerned, if it is known"}},
             .access = Access::admin,
             .handler = [self](Caller caller, Request request) {
               return self->revoke(std::move(caller), std::move(request));
             }});
  table.add({.method = "GET",
             .path = "/admin/audit",
             .summary = "What was changed by the role admin in this tenant, newest first",
             .fields = {{.name = "limit", .type = FieldType::integer, .max = kPageMax, .min = 1, .where = Where::query},
                        {.name = "cursor", .type = FieldType::text, .max = 20, .where = Where::query}},
             .access = Access::admin,
             .handler = [self](Caller caller, Request request) {
               return self->audit(std::move(caller), std::move(request));
             }});
}

AccountCommands::Answer AccountCommands::revoke(Caller caller, Request request) {
  Revocation revocation;
  revocation.tenant = caller.tenant;
  for (const Name& name : kNames) {
    if (!request.has(name.field)) {
      continue;
    }
    if (!revocation.subject.empty()) {
      co_return invalid_field(name.field, "give one of user_id, session_id and jti");
    }
    revocation.kind = name.kind;
    revocation.subject = request.text(name.field);
  }
  if (revocation.subject.empty()) {
    co_return Error{Code::missing_field, "one of user_id, session_id and jti is required", "user_id", 0};
  }
  revocation.until = request.integer("expires_at", Revocation::kForever);
  AuditRecord record;
  record.tenant = caller.tenant;
  record.actor = caller.user.str();
  record.address = caller.client_ip;
  record.action = "revocation.create";
  record.target = std::string(name_of(revocation.kind).noun) + " " + revocation.subject;
  record.details.clear();
  JsonWriter details(record.details);
  details.begin().field(name_of(revocation.kind).field, revocation.subject);
  if (request.has("expires_at")) {
    details.field("expires_at", revocation.until);
  }
  details.end();
  const auto revoked = co_await account_.revoke(std::move(revocation), std::move(record));
  if (!revoked.ok()) {
    co_return revoked.error();
  }
  Reply reply;
  reply.created = true;
  JsonWriter(reply.data).begin().raw("revocation", to_json(*revoked)).end();
  co_return reply;
}

AccountCommands::Answer AccountCommands::audit(Caller caller, Request request) {
  int64_t before = INT64_MAX;
  if (request.has("cursor")) {
    const std::string& text = request.text("cursor");
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), before);
    if (failed != std::errc() || end != text.data() + text.size() || before < 1) {
      co_return invalid_field("cursor", "the cursor of an earlier answer is expected");
    }
  }
  const auto page = co_await account_.audit(caller.tenant, before, static_cast<int>(request.integer("limit", kPage)));
  if (!page.ok()) {
    co_return page.error();
  }
  std::string list = "[";
  for (const AuditRecord& record : page->records) {
    list += list.size() > 1 ? "," : "";
    list += account::to_json(record);
  }
  Reply reply;
  JsonWriter writer(reply.data);
  writer.begin().raw("audit", list + "]").field("has_more", page->has_more);
  if (page->has_more) {
    writer.field("cursor", std::to_string(page->records.back().id));
  }
  writer.end();
  co_return reply;
}

}  // namespace tidemark::account
