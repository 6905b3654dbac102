// What a configuration says to each part; the same at wiring and at a reload. Pure functions.
#pragma once

#include "app/config.h"
#include "command/rate_limit.h"
#include "conversation/conversation.h"
#include "document/document.h"
#include "gateway/gateway.h"
#include "presence/presence.h"
#include "session/session.h"

namespace tidemark::app {

command::RateTable rates_of(const Config& config);
session::SessionOptions session_options_of(const Config& config);
conversation::ConversationOptions conversation_options_of(const Config& config);
document::DocumentOptions document_options_of(const Config& config);
presence::PresenceOptions presence_options_of(const Config& config);
gateway::GatewayLimits gateway_limits_of(const Config& config);
// On each worker. Not fewer than a browser and some that are just closing need.
size_t http_connections_per_ip_of(const Config& config);

}  // namespace tidemark::app
