#include "account/jwks.h"

#include <algorithm>

#include "account/base64url.h"
#include "core/json.h"

namespace tidemark::account {
namespace {

constexpr size_t kJwksDepthMax = 8;
// Members of a private or symmetric key (RFC 7518 sections 6.2.2, 6.3.2, 6.4).
constexpr std::string_view kPrivateMembers[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

// Reads one member of the array "keys". An error's text is without the key's name; parse_jwks adds it.
class JwkReader {
 public:
  explicit JwkReader(simdjson::dom::object jwk) : jwk_(jwk) {}

  // Nothing: a key that is not for verifying signatures.
  Result<std::optional<PublicKey>> read() {
    const std::optional<std::string_view> type = text("kty");
    if (!type) {
      return refuse("it has no kty");
    }
    if (*type == "oct") {
      return refuse("symmetric keys (kty \"oct\") are not taken from a JWKS");
    }
    for (const std::string_view member : kPrivateMembers) {
      if (has(member)) {
        return refuse("it contains private key material; only public keys belong into this file");
      }
    }
    if (!for_verifying()) {
      return std::optional<PublicKey>();
    }
    const std::optional<std::string_view> kid = text("kid");
    if (has("kid") && (!kid || kid->empty() || kid->size() > kKidBytesMax)) {
      return refuse("its kid is not a text of 1 to " + std::to_string(kKidBytesMax) + " bytes");
    }
    if (kid == kSessionKid) {
      return refuse("this kid is reserved for the store's own key");
    }
    Result<PublicKey> key = *type == "RSA"   ? read_rsa()
                            : *type == "EC"  ? read_p256()
                            : *type == "OKP" ? read_ed25519()
                                             : refuse("its kty is not one of RSA, EC, OKP");
    if (!key) {
      return key.error();
    }
    if (kid) {
      key->kid = std::string(*kid);
    }
    return std::optional<PublicKey>(std::move(*key));
  }

 private:
  static Error refuse(std::string what) { return fail(Code::invalid_field, std::move(what)); }

  bool has(std::string_view name) const { return jwk_.at_key(name).error() == simdjson::SUCCESS; }

  std::optional<std::string_view> text(std::string_view name) const {
    std::string_view value;
    if (jwk_.at_key(name).get(value) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    return value;
  }

  // Base64url of a number or of octets; nothing if missing or spelled wrong.
  std::optional<std::string> octets(std::string_view name) const {
    const std::optional<std::string_view> encoded = text(name);
    return encoded ? base64url_decode(*encoded) : std::nullopt;
  }

  bool for_verifying() const {
    if (has("use") && text("use") != "sig") {
      return false;
    }
    simdjson::dom::array operations;
    if (jwk_.at_key("key_ops").get(operations) != simdjson::SUCCESS) {
      return !has("key_ops");
    }
    return std::any_of(operations.begin(), operations.end(), [](simdjson::dom::element operation) {
      std::string_view name;
      return operation.get(name) == simdjson::SUCCESS && name == "verify";
    });
  }

  // A key's algorithm follows from its type; `alg` may only say the same.
  bool alg_is(std::string_view name) const { return !has("alg") || text("alg") == name; }

  Result<PublicKey> read_rsa() const {
    if (!alg_is("RS256")) {
      return refuse("the alg of an RSA key must be RS256");
    }
    const std::optional<std::string> modulus = octets("n");
    const std::optional<std::string> exponent = octets("e");
    if (!modulus || !exponent) {
      return refuse("its n and e must be base64url");
    }
    return PublicKey::rsa(*modulus, *exponent);
  }

  Result<PublicKey> read_p256() const {
    if (text("crv") != "P-256" || !alg_is("ES256")) {
      return refuse("an EC key must have crv P-256 and alg ES256");
    }
    const std::optional<std::string> x = octets("x");
    const std::optional<std::string> y = octets("y");
    if (!x || !y) {
      return refuse("its x and y must be base64url");
    }
    return PublicKey::p256(*x, *y);
  }

  Result<PublicKey> read_ed25519() const {
    if (text("crv") != "Ed25519" || !alg_is("EdDSA")) {
      return refuse("an OKP key must have crv Ed25519 and alg EdDSA");
    }
    const std::optional<std::string> x = octets("x");
    if (!x) {
      return refuse("its x must be base64url");
    }
    return PublicKey::ed25519(*x);
  }

  simdjson::dom::object jwk_;
};

Error refuse_set(std::string what) { return invalid_field("auth.jwks_file", "auth.jwks_file: " + std::move(what)); }

// "key 2 (kid "a")", counted from 1.
std::string name_of(size_t index, simdjson::dom::element jwk) {
  std::string name = "key " + std::to_string(index + 1);
  std::string_view kid;
  if (jwk.at_key("kid").get(kid) == simdjson::SUCCESS && kid.size() <= kKidBytesMax) {
    name += " (kid ";
    append_json_string(name, kid);
    name += ")";
  }
  return name;
}

}  // namespace

Result<std::vector<PublicKey>> parse_jwks(std::string_view text) {
  if (text.size() > kJwksBytesMax) {
    return refuse_set("larger than " + std::to_string(kJwksBytesMax) + " bytes");
  }
  simdjson::dom::parser parser;
  const Result<simdjson::dom::element> document = parse_json(parser, text, kJwksDepthMax);
  if (!document) {
    return refuse_set("not JSON: " + document.error().text);
  }
  simdjson::dom::array members;
  if (document->at_key("keys").get(members) != simdjson::SUCCESS) {
    return refuse_set("an object with an array \"keys\" is expected");
  }
  if (members.size() > kJwksKeysMax) {
    return refuse_set("more than " + std::to_string(kJwksKeysMax) + " keys");
  }
  std::vector<PublicKey> keys;
  size_t index = 0;
  for (const simdjson::dom::element member : members) {
    const std::string name = name_of(index++, member);
    simdjson::dom::object jwk;
    if (member.get(jwk) != simdjson::SUCCESS) {
      return refuse_set(name + ": it is not an object");
    }
    Result<std::optional<PublicKey>> key = JwkReader(jwk).read();
    if (!key) {
      return refuse_set(name + ": " + key.error().text);
    }
    if (!key->has_value()) {
      continue;
    }
    const bool repeated = (*key)->kid && std::any_of(keys.begin(), keys.end(), [&](const PublicKey& other) {
                            return other.kid == (*key)->kid;
                          });
    if (repeated) {
      return refuse_set(name + ": another key has the same kid");
    }
    keys.push_back(std::move(**key));
  }
  if (keys.empty()) {
    return refuse_set("no key in it is for verifying signatures");
  }
  return keys;
}

}  // namespace tidemark::account
