// Revocations: which tokens are refused although they are good in every other way.
//
// Values and one immutable set of them; pure, any thread. `account/account.h` keeps the set that counts.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/ids.h"

namespace tidemark::account {

struct Claims;

// What a revocation names; the number is stored, never reuse one.
enum class RevocationKind : int {
  user = 0,     // every token of the user that was issued before
  session = 1,  // every token with this `sid`
  token = 2,    // the token with this `jti`
};

struct Revocation {
  static constexpr int64_t kForever = INT64_MAX;

  int64_t id = 0;
  RevocationKind kind = RevocationKind::token;
  TenantId tenant;
  std::string subject;       // user id, session id or jti
  int64_t at = 0;            // Unix milliseconds
  int64_t until = kForever;  // Unix milliseconds: from then on no token that it concerns is good by its own `exp`
};

// What a revocation can name of a token that somebody has shown, kept as long as the connection it opened.
// Two words, because every connection has one; the names are there only for tokens that have some.
class TokenMark {
 public:
  TokenMark() = default;
  explicit TokenMark(const Claims& claims);
  // For a user whom no token vouches for (`register` of a --dev node).
  explicit TokenMark(int64_t issued_at) : issued_at_(issued_at) {}

  int64_t issued_at() const { return issued_at_; }  // Unix seconds; 0: the token does not say
  std::string_view session() const { return names_ ? std::string_view(names_->session) : std::string_view(); }
  std::string_view jti() const { return names_ ? std::string_view(names_->jti) : std::string_view(); }

 private:
  struct Names {
    std::string session;
    std::string jti;
  };
  int64_t issued_at_ = 0;
  std::unique_ptr<const Names> names_;
};

// An immutable set: with() and without_expired() make another one. The keys are spread over buckets that the sets
// share, so that one more revocation copies a small part and not a hundred thousand others.
class RevocationSet {
 public:
  using Pointer = std::shared_ptr<const RevocationSet>;

  Pointer with(const Revocation& revocation) const;
  // Without those whose tokens have all expired.
  Pointer without_expired(int64_t now_ms) const;

  // A user's token is revoked unless it says that it was issued in a second that began after the revocation. So a token
  // without `iat` is refused, and one of the very second of the revocation too: it cannot show that it is newer.
  bool revoked(const UserKey& user, const TokenMark& mark) const;
  bool contains(RevocationKind kind, const TenantId& tenant, std::string_view subject) const;
  size_t size() const { return size_; }

 private:
  static constexpr size_t kBuckets = 256;
  struct Entry {
    int64_t at;
    int64_t until;
  };
  using Bucket = std::unordered_map<std::string, Entry>;

  static std::string key_of(RevocationKind kind, const TenantId& tenant, std::string_view subject);
  static size_t bucket_of(const std::string& key) { return std::hash<std::string>{}(key) % kBuckets; }
  const Entry* find(RevocationKind kind, const TenantId& tenant, std::string_view subject) const;

  std::array<std::shared_ptr<const Bucket>, kBuckets> buckets_;
  size_t size_ = 0;
};

}  // namespace tidemark::account
