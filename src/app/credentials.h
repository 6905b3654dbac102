// What a node proves itself and others with, read from where the configuration says: token keys and the certificate.
#pragma once

#include <memory>

#include "account/keys.h"
#include "app/config.h"
#include "core/clock.h"
#include "core/secret.h"
#include "core/tls_context.h"

namespace tidemark::app {

// The keys of auth.*; `session_key` is the node's own, for session tokens. Errors name the key of the configuration.
Result<std::shared_ptr<const account::KeySet>> read_keys(const Config& config, const Secret& session_key);

// Null without http.tls.cert.
Result<std::shared_ptr<const TlsContext>> read_certificate(const Config& config);

// One log line: whose it is and how long it is valid.
void log_certificate(const TlsContext& tls, const Clock& clock);

}  // namespace tidemark::app
