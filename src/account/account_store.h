// Revocations in the database, and the migrations of the account room. Private to it.
#pragma once

#include <optional>
#include <vector>

#include "account/revocation.h"
#include "storage/database.h"

namespace tidemark::account::store {

// Stores it in place of an earlier one of the same subject, to which it adds. Returns what holds now; its id is greater
// than all before.
Revocation insert(storage::Transaction& tx, Revocation revocation);
// All that are still needed.
std::vector<Revocation> all(storage::Transaction& tx, int64_t now_ms);
// Deletes those whose tokens have all expired; how many there were.
int64_t forget_expired(storage::Transaction& tx, int64_t now_ms);
// When the next one will have; nothing if none ever will.
std::optional<int64_t> next_until(storage::Transaction& tx);

}  // namespace tidemark::account::store
