#include "document/access.h"

namespace tidemark::document {

Access::Access(const Permissions& permissions)
    : owner_(permissions.owner),
      editors_(permissions.editors.begin(), permissions.editors.end()),
      viewers_(permissions.viewers.begin(), permissions.viewers.end()),
      public_(permissions.is_public) {}

Right Access::of(const std::string& user) const {
  if (user.empty()) {
    return Right::none;
  }
  if (user == owner_) {
    return Right::own;
  }
  if (editors_.contains(user)) {
    return Right::write;
  }
  return public_ || viewers_.contains(user) ? Right::read : Right::none;
}

Status Access::check(const command::Caller& caller, Right needed) const {
  const Right has = of(caller);
  if (has == Right::none) {
    return no_such_document();
  }
  if (has < needed) {
    return fail(Code::forbidden, needed == Right::own ? "only the owner may do this" : "only the owner and editors may do this");
  }
  return {};
}

}  // namespace tidemark::document
