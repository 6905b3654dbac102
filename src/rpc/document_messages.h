// Documents, operations, conflicts, locks and events as messages of proto/statesync.proto, and back. Pure.
#pragma once

#include "document/document.h"
#include "statesync.pb.h"

namespace tidemark::rpc {

void write(const document::Document& document, ::aetherflow::statesync::Document* out);
void write(const document::Operation& operation, ::aetherflow::statesync::Operation* out);
void write(const document::Conflict& conflict, ::aetherflow::statesync::Conflict* out);
void write(const document::Lock& lock, ::aetherflow::statesync::Lock* out);
void write(const document::Event& event, ::aetherflow::statesync::OperationEvent* out);
void write(const document::Stats& stats, ::aetherflow::statesync::Stats* out);

document::Metadata read(const ::aetherflow::statesync::Metadata& metadata);
// invalid_field for a number that no version can have. Status, version and time are the server's to say and are not
// read.
Result<document::Operation> read(const ::aetherflow::statesync::Operation& operation);

// A version, a seq or a fence: above 2^63 - 1 is invalid_field.
Result<int64_t> read_number(std::string_view field, uint64_t number);
// How many a list may hold: 0 is the default, 50.
Result<int64_t> read_limit(int32_t limit, int64_t most);

}  // namespace tidemark::rpc
