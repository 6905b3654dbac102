// JSON Web Key Sets, from the file that an operator names.
#include <string>

#include "account/keys.h"
#include "fuzz.h"

namespace tidemark::account {

FUZZ_TARGET(jwks, bytes) {
  KeySources sources;
  sources.jwks = std::string(bytes);
  const auto keys = KeySet::make(sources);
  if (!keys.ok()) {
    TIDEMARK_CHECK(keys.error().code == Code::invalid_field);
    return;
  }
  for (const Algorithm algorithm : {Algorithm::rs256, Algorithm::es256, Algorithm::eddsa, Algorithm::hs256}) {
    const auto verdict = (*keys)->verify(algorithm, std::nullopt, "text", bytes.substr(0, 64));
    TIDEMARK_CHECK(verdict == KeySet::Verdict::unknown_key || verdict == KeySet::Verdict::wrong_signature);
  }
}

}  // namespace tidemark::account
