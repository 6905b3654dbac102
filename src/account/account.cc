#include "account/account.h"

namespace tidemark::account {

std::string Account::mint_session_token(const UserKey& user, const SessionId& session, const DeviceId& device,
                                        int64_t expires_at) const {
  MintRequest request;
  request.user = user.user;
  request.tenant = user.tenant;
  request.session = session;
  request.device = device;
  request.issuer = expectations_.issuer;
  request.audience = expectations_.audience;
  request.issued_at = clock_.unix_ms() / 1000;
  request.expires_at = expires_at;
  return mint_token(request, keys()->session_key(), kSessionKid);
}

}  // namespace tidemark::account
