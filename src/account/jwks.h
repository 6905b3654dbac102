// Reading a JSON Web Key Set (RFC 7517). For KeySet (account/keys.h) only.
#pragma once

#include <string_view>
#include <vector>

#include "account/public_key.h"
#include "core/result.h"

namespace tidemark::account {

// Every key of the set that is for verifying: at least one, key ids distinct. What is refused: see KeySet::make.
Result<std::vector<PublicKey>> parse_jwks(std::string_view text);

}  // namespace tidemark::account
