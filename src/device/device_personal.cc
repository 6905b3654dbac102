// What the device room keeps about one user: for the export and the erasure of that user.
#include <charconv>

#include "core/json.h"
#include "device/device.h"
#include "device/device_store.h"

namespace tidemark::device {
namespace {

using storage::PersonalPage;
using storage::Sql;
using storage::Statement;
using storage::Transaction;

constexpr int kRowsPerPage = 500;
constexpr int kRowsPerStep = 200;

constexpr Sql kDevices{
    "SELECT device, last_seen FROM devices WHERE tenant = ? AND user_id = ? AND device > ? ORDER BY device LIMIT ?"};
constexpr Sql kCursors{
    "SELECT c.device, c.stream, c.seq, s.kind, s.name FROM cursors c JOIN streams s ON s.id = c.stream"
    " WHERE c.tenant = ? AND c.user_id = ? AND (c.device, c.stream) > (?, ?) ORDER BY c.device, c.stream LIMIT ?"};
constexpr Sql kEvents{
    "SELECT seq, device, content, body, time FROM entries WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"};
constexpr Sql kForgetCursors{
    "DELETE FROM cursors WHERE (tenant, user_id, device, stream) IN"
    " (SELECT tenant, user_id, device, stream FROM cursors WHERE tenant = ? AND user_id = ? LIMIT ?)"};
constexpr Sql kForgetDevices{
    "DELETE FROM devices WHERE (tenant, user_id, device) IN"
    " (SELECT tenant, user_id, device FROM devices WHERE tenant = ? AND user_id = ? LIMIT ?)"};
constexpr Sql kForgetEvents{
    "DELETE FROM entries WHERE stream = ? AND seq IN (SELECT seq FROM entries WHERE stream = ? ORDER BY seq LIMIT ?)"};
// The number of a stream is never given out again, so the row stays, without its name.
constexpr Sql kRenameStream{"UPDATE streams SET name = ?, floor = head WHERE id = ?"};

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

PersonalPage read_devices(Transaction& tx, const UserKey& user, const std::string& position) {
  PersonalPage page;
  for (Statement& row = tx.query(kDevices, user.tenant.str(), user.user.str(), position, kRowsPerPage); row.next();) {
    JsonWriter(page.rows.emplace_back())
        .begin()
        .field("device_id", row.text(0))
        .field("last_seen", row.integer(1))
        .end();
    page.next = row.string(0);
  }
  if (page.rows.size() < kRowsPerPage) {
    page.next.clear();
  }
  return page;
}

// The position is "<stream> <device>".
PersonalPage read_cursors(Transaction& tx, const UserKey& user, const std::string& position) {
  PersonalPage page;
  const size_t space = position.find(' ');
  const std::string device = space == std::string::npos ? "" : position.substr(space + 1);
  for (Statement& row =
           tx.query(kCursors, user.tenant.str(), user.user.str(), device, number(position), kRowsPerPage);
       row.next();) {
    const bool own = row.integer(3) == static_cast<int64_t>(stream::StreamKind::self);
    JsonWriter(page.rows.emplace_back())
        .begin()
        .field("device_id", row.text(0))
        .field("stream", own ? std::string_view("@self") : row.text(4))
        .field("seq", row.integer(2))
        .end();
    page.next = std::to_string(row.integer(1)) + " " + row.string(0);
  }
  if (page.rows.size() < kRowsPerPage) {
    page.next.clear();
  }
  return page;
}

PersonalPage read_events(Transaction& tx, const UserKey& user, const std::string& position) {
  PersonalPage page;
  const auto own = stream::find_stream(tx, Devices::own_key(user));
  if (!own) {
    return page;
  }
  for (Statement& row = tx.query(kEvents, own->id, number(position), kRowsPerPage); row.next();) {
    JsonWriter(page.rows.emplace_back())
        .begin()
        .field("seq", row.integer(0))
        .field("device_id", row.text(1))
        .field("event", row.text(2))
        .raw("data", row.text(3))
        .field("timestamp", row.integer(4))
        .end();
    page.next = std::to_string(row.integer(0));
  }
  if (page.rows.size() < kRowsPerPage) {
    page.next.clear();
  }
  return page;
}

}  // namespace

std::vector<storage::PersonalPart> Devices::personal_parts() {
  return {{"devices", read_devices}, {"cursors", read_cursors}, {"events", read_events}};
}

Result<int64_t> Devices::forget_some(Transaction& tx, const UserKey& user, const std::string& pseudonym) {
  int64_t gone = tx.execute(kForgetCursors, user.tenant.str(), user.user.str(), kRowsPerStep);
  gone += tx.execute(kForgetDevices, user.tenant.str(), user.user.str(), kRowsPerStep);
  if (const auto own = stream::find_stream(tx, own_key(user))) {
    const int64_t events = tx.execute(kForgetEvents, own->id, own->id, kRowsPerStep);
    if (events < kRowsPerStep) {
      tx.execute(kRenameStream, pseudonym, own->id);
    }
    gone += events;
  }
  return gone;
}

}  // namespace tidemark::device
