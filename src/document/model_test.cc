#include <gtest/gtest.h>

#include "document/document.h"

namespace tidemark::document {
namespace {

TEST(DocumentModel, NamesAndNumbersAreOneToOne) {
  for (const auto type : {Type::whiteboard, Type::text, Type::canvas, Type::sheet}) {
    EXPECT_EQ(type_named(name_of(type)), type);
  }
  for (const auto state : {State::active, State::archived, State::deleted}) {
    EXPECT_EQ(state_named(name_of(state)), state);
  }
  for (const auto status : {OperationStatus::pending, OperationStatus::applied, OperationStatus::conflict,
                            OperationStatus::rejected, OperationStatus::resolved}) {
    EXPECT_EQ(status_named(name_of(status)), status);
  }
  EXPECT_EQ(name_of(Type::sheet), "sheet");
  EXPECT_EQ(name_of(State::archived), "archived");
  EXPECT_EQ(name_of(OperationStatus::resolved), "resolved");
}

TEST(DocumentModel, AnotherNameIsNone) {
  EXPECT_FALSE(type_named(""));
  EXPECT_FALSE(type_named("Whiteboard"));
  EXPECT_FALSE(state_named("gone"));
  EXPECT_FALSE(status_named("accepted"));
}

}  // namespace
}  // namespace tidemark::document
