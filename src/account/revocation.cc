#include "account/revocation.h"

#include <algorithm>

#include "account/token.h"

namespace tidemark::account {

TokenMark::TokenMark(const Claims& claims) : issued_at_(claims.issued_at) {
  if (!claims.session.empty() || !claims.jti.empty()) {
    names_ = std::make_unique<const Names>(Names{claims.session.str(), claims.jti});
  }
}

// No part of it holds a NUL: ids have no control characters.
std::string RevocationSet::key_of(RevocationKind kind, const TenantId& tenant, std::string_view subject) {
  std::string key(1, static_cast<char>('0' + static_cast<int>(kind)));
  key.reserve(2 + tenant.str().size() + subject.size());
  return key.append(tenant.str()).append(1, '\0').append(subject);
}

const RevocationSet::Entry* RevocationSet::find(RevocationKind kind, const TenantId& tenant,
                                                std::string_view subject) const {
  if (size_ == 0) {
    return nullptr;
  }
  const std::string key = key_of(kind, tenant, subject);
  const Bucket* const bucket = buckets_[bucket_of(key)].get();
  if (bucket == nullptr) {
    return nullptr;
  }
  const auto found = bucket->find(key);
  return found == bucket->end() ? nullptr : &found->second;
}

bool RevocationSet::contains(RevocationKind kind, const TenantId& tenant, std::string_view subject) const {
  return find(kind, tenant, subject) != nullptr;
}

bool RevocationSet::revoked(const UserKey& user, const TokenMark& mark) const {
  if (size_ == 0) {
    return false;
  }
  const Entry* const whole = find(RevocationKind::user, user.tenant, user.user.str());
  if (whole != nullptr && mark.issued_at() * 1000 <= whole->at) {
    return true;
  }
  return (!mark.session().empty() && contains(RevocationKind::session, user.tenant, mark.session())) ||
         (!mark.jti().empty() && contains(RevocationKind::token, user.tenant, mark.jti()));
}

RevocationSet::Pointer RevocationSet::with(const Revocation& revocation) const {
  auto next = std::make_shared<RevocationSet>(*this);
  const std::string key = key_of(revocation.kind, revocation.tenant, revocation.subject);
  std::shared_ptr<const Bucket>& shared = next->buckets_[bucket_of(key)];
  auto bucket = shared ? std::make_shared<Bucket>(*shared) : std::make_shared<Bucket>();
  // A later word about a subject adds to an earlier one: neither its moment nor its end may come before that one's.
  const auto [entry, added] = bucket->try_emplace(key, Entry{revocation.at, revocation.until});
  entry->second.at = std::max(entry->second.at, revocation.at);
  entry->second.until = std::max(entry->second.until, revocation.until);
  next->size_ += added ? 1 : 0;
  shared = std::move(bucket);
  return next;
}

RevocationSet::Pointer RevocationSet::without_expired(int64_t now_ms) const {
  auto next = std::make_shared<RevocationSet>();
  for (size_t i = 0; i < kBuckets; ++i) {
    if (buckets_[i] == nullptr) {
      continue;
    }
    const auto expired = [now_ms](const Bucket::value_type& one) { return one.second.until <= now_ms; };
    if (std::none_of(buckets_[i]->begin(), buckets_[i]->end(), expired)) {
      next->buckets_[i] = buckets_[i];
    } else {
      auto kept = std::make_shared<Bucket>(*buckets_[i]);
      std::erase_if(*kept, expired);
      next->buckets_[i] = std::move(kept);
    }
    next->size_ += next->buckets_[i]->size();
  }
  return next;
}

}  // namespace tidemark::account
