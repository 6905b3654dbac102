// The table of conflicts (docs/protocol.md): each kind under each policy, and what its record shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "document/engine/engine_fixture.h"

namespace tidemark::document::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

void expect_record(const ConflictDraft& draft, ConflictKind kind, std::string_view path, std::string_view base,
                   std::string_view ours, std::string_view theirs) {
  EXPECT_EQ(name_of(draft.kind), name_of(kind));
  EXPECT_EQ(draft.path, path);
  EXPECT_EQ(draft.base, base);
  EXPECT_EQ(draft.ours, ours);
  EXPECT_EQ(draft.theirs, theirs);
}

// r: {"x":1,"y":1} at version 1; then, at version 2, what `ours` does; then `theirs` by one who has not heard of that.
struct Meeting {
  Meeting(std::string_view our_type, std::string_view our_data, std::string_view their_type,
          std::string_view their_data, Policy policy)
      : desk(Kind::objects, R"({"r":{"x":1,"y":1}})") {
    EXPECT_EQ(desk.submit("us", our_type, our_data).outcome, Outcome::applied);
    decision = desk.submit("them", their_type, their_data, 1, policy);
  }
  Desk desk;
  Decision decision;
};

TEST(Concurrency, DisjointRegistersMerge) {
  for (const Policy policy : {Policy::lww, Policy::merge, Policy::manual}) {
    Meeting meeting("update", R"({"id":"r","x":2})", "update", R"({"id":"r","y":2,"z":3})", policy);
    EXPECT_EQ(meeting.decision.outcome, Outcome::applied);
    EXPECT_EQ(meeting.desk.content(), R"({"r":{"x":2,"y":2,"z":3}})");
  }
}

TEST(Concurrency, IdenticalWritesAreNoConflict) {
  for (const Policy policy : {Policy::lww, Policy::merge, Policy::manual}) {
    EXPECT_EQ(Meeting("update", R"({"id":"r","x":2})", "update", R"({"id":"r","x":2})", policy).decision.outcome,
              Outcome::applied);
    EXPECT_EQ(Meeting("update", R"({"id":"r","x":null})", "update", R"({"id":"r","x":null})", policy).decision.outcome,
              Outcome::applied);
    EXPECT_EQ(Meeting("delete", R"({"id":"r"})", "delete", R"({"id":"r"})", policy).decision.outcome, Outcome::applied);
    EXPECT_EQ(Meeting("create", R"({"id":"q","a":1})", "create", R"({"a":1,"id":"q"})", policy).decision.outcome,
              Outcome::applied);
  }
}

TEST(Concurrency, OwnOperationsAreNoConflict) {
  Desk desk(Kind::objects, R"({"r":{"x":1}})");
  for (int i = 2; i < 6; ++i) {
    const std::string data = R"({"id":"r","x":)" + std::to_string(i) + "}";
    EXPECT_EQ(desk.submit("me", "update", data, 1, Policy::manual).outcome, Outcome::applied);
  }
  EXPECT_EQ(desk.submit("me", "delete", R"({"id":"r"})", 1, Policy::manual).outcome, Outcome::applied);
  EXPECT_EQ(desk.submit("me", "create", R"({"id":"r"})", 1, Policy::manual).outcome, Outcome::applied);
}

TEST(Concurrency, NobodysOperationsAreNotOneAnothers) {
  Desk desk(Kind::objects, R"({"r":{"x":1}})");
  desk.submit("", "update", R"({"id":"r","x":2})", 1);
  EXPECT_EQ(desk.submit("", "update", R"({"id":"r","x":3})", 1).outcome, Outcome::resolved);
  EXPECT_EQ(desk.submit("", "update", R"({"id":"r","x":4})").outcome, Outcome::applied);  // 0: the current version
}

TEST(WriteWrite, TheLaterArrivalWins) {
  for (const Policy policy : {Policy::lww, Policy::merge}) {
    Meeting meeting("update", R"({"id":"r","x":2,"y":2})", "update", R"({"id":"r","x":3,"y":3,"z":3})", policy);
    EXPECT_EQ(meeting.decision.outcome, Outcome::resolved);
    EXPECT_EQ(meeting.desk.content(), R"({"r":{"x":3,"y":3,"z":3}})");
    ASSERT_THAT(meeting.decision.conflicts, SizeIs(2));
    expect_record(meeting.decision.conflicts[0], ConflictKind::write_write, "r.x", "1", "2", "3");
    expect_record(meeting.decision.conflicts[1], ConflictKind::write_write, "r.y", "1", "2", "3");
    EXPECT_THAT(meeting.decision.conflicts[0].versions, ElementsAre(2));
  }
}

TEST(WriteWrite, IsParked) {
  Meeting meeting("update", R"({"id":"r","x":2,"y":2})", "update", R"({"id":"r","x":3,"y":3,"z":3})", Policy::manual);
  EXPECT_EQ(meeting.decision.outcome, Outcome::conflict);
  EXPECT_EQ(meeting.desk.content(), R"({"r":{"x":2,"y":2}})");
  EXPECT_EQ(meeting.desk.version(), 2U);
  ASSERT_THAT(meeting.decision.conflicts, SizeIs(1));
  expect_record(meeting.decision.conflicts[0], ConflictKind::write_write, "r.x", "1", "2", "3");
  // Taken later, after others went on.
  meeting.desk.submit("us", "update", R"({"id":"r","x":7})");
  EXPECT_EQ(meeting.desk.submit("", meeting.decision.type, meeting.decision.data, 2, Policy::forced).outcome,
            Outcome::applied);
  EXPECT_EQ(meeting.desk.content(), R"({"r":{"x":3,"y":3,"z":3}})");
}

TEST(WriteWrite, RemovalsAndPathsCount) {
  Meeting removed("update", R"({"id":"r","x":2})", "update", R"({"id":"r","x":null})", Policy::merge);
  expect_record(removed.decision.conflicts.at(0), ConflictKind::write_write, "r.x", "1", "2", "");
  Meeting again("update", R"({"id":"r","x":null})", "update", R"({"id":"r","x":2})", Policy::merge);
  expect_record(again.decision.conflicts.at(0), ConflictKind::write_write, "r.x", "1", "", "2");
  EXPECT_EQ(again.desk.content(), R"({"r":{"x":2,"y":1}})");
  Meeting above("update", R"({"id":"r","s":{"a":{"b":2}}})", "update", R"({"id":"r","s":{"a":3}})", Policy::merge);
  expect_record(above.decision.conflicts.at(0), ConflictKind::write_write, "r.s.a.b", "", "2", "3");
  EXPECT_EQ(above.desk.content(), R"({"r":{"s":{"a":3},"x":1,"y":1}})");
  Meeting below("update", R"({"id":"r","s":2})", "update", R"({"id":"r","s":{"a":3}})", Policy::merge);
  expect_record(below.decision.conflicts.at(0), ConflictKind::write_write, "r.s", "", "2", "3");
  EXPECT_EQ(below.desk.content(), R"({"r":{"s":{"a":3},"x":1,"y":1}})");
}

TEST(WriteWrite, ThousandsInOneOperationHaveTheirRecordsSoon) {
  const auto update = [](int value) {
    std::string data = R"({"id":"r")";
    for (int i = 0; i < 10'000; ++i) {
      data += ",\"k" + std::to_string(i) + "\":" + std::to_string(value);
    }
    return data + "}";
  };
  Desk desk(Kind::objects, R"({"r":{}})");
  for (int i = 0; i < 20; ++i) {
    desk.submit("us", "update", update(i));
  }
  const Decision decision = desk.submit("them", "update", update(-1), 2);
  ASSERT_THAT(decision.conflicts, SizeIs(10'000));
  expect_record(decision.conflicts[9'999], ConflictKind::write_write, "r.k9999", "0", "19", "-1");
  EXPECT_THAT(decision.conflicts[0].versions, SizeIs(19));
}

TEST(WriteWrite, TextValuesMergeByCharacters) {
  Desk desk(Kind::objects, R"({"r":{"text":"the cat sat"}})");
  desk.submit("us", "update", R"({"id":"r","text":"the big cat sat"})");
  const Decision decision = desk.submit("them", "update", R"({"id":"r","text":"the cat sat down"})", 1);
  EXPECT_EQ(decision.outcome, Outcome::resolved);
  EXPECT_EQ(decision.data, R"({"id":"r","text":"the big cat sat down"})");
  EXPECT_EQ(desk.content(), R"({"r":{"text":"the big cat sat down"}})");
  expect_record(decision.conflicts.at(0), ConflictKind::write_write, "r.text", R"("the cat sat")",
                R"("the big cat sat")", R"("the cat sat down")");
  // What they have in flight was written on what they saw.
  desk.reload();
  desk.submit("them", "text", R"({"id":"r","ops":[16,"!"]})", 1);
  EXPECT_EQ(desk.content(), R"({"r":{"text":"the big cat sat down!"}})");
}

TEST(WriteWrite, ATextThatWasRemovedComesBackWhole) {
  Desk desk(Kind::objects, R"({"r":{"text":"cat"}})");
  desk.submit("us", "update", R"({"id":"r","text":null})");
  const Decision decision = desk.submit("them", "update", R"({"id":"r","text":"cat"})", 1);
  EXPECT_EQ(decision.outcome, Outcome::resolved);
  EXPECT_EQ(decision.trail, "");
  EXPECT_EQ(desk.content(), R"({"r":{"text":"cat"}})");
}

TEST(WriteWrite, OfTextsUnderLwwReplaces) {
  Desk desk(Kind::objects, R"({"r":{"text":"cat"}})");
  desk.submit("us", "text", R"({"id":"r","ops":["big "]})");
  EXPECT_EQ(desk.submit("them", "update", R"({"id":"r","text":"cats"})", 1, Policy::lww).outcome, Outcome::resolved);
  EXPECT_EQ(desk.content(), R"({"r":{"text":"cats"}})");
}

TEST(WriteWrite, AnOrdinaryStringDoesNotMerge) {
  Desk desk(Kind::objects, R"({"r":{"label":"cat"}})");
  desk.submit("us", "update", R"({"id":"r","label":"big cat"})");
  desk.submit("them", "update", R"({"id":"r","label":"cats"})", 1);
  EXPECT_EQ(desk.content(), R"({"r":{"label":"cats"}})");
}

TEST(WriteWrite, AStringBecomesATextWhenATextOperationEditsIt) {
  Desk desk(Kind::objects, R"({"r":{"label":"cat"}})");
  desk.submit("us", "update", R"({"id":"r","label":"big cat"})");
  const Decision decision = desk.submit("them", "text", R"({"id":"r","key":"label","ops":[3,"s"]})", 1);
  EXPECT_EQ(decision.outcome, Outcome::applied);
  EXPECT_EQ(decision.data, R"({"id":"r","key":"label","ops":[7,"s"]})");
  EXPECT_EQ(desk.content(), R"({"r":{"label":"big cats"}})");
}

TEST(WriteWrite, ATextThatIsNoneAnyMoreKeepsTheEditInTheRecord) {
  Desk desk(Kind::objects, R"({"r":{"text":"cat"}})");
  desk.submit("us", "update", R"({"id":"r","text":7})");
  const Decision decision = desk.submit("them", "text", R"({"id":"r","ops":[3,"s"]})", 1);
  EXPECT_EQ(decision.outcome, Outcome::resolved);
  expect_record(decision.conflicts.at(0), ConflictKind::write_write, "r.text", R"("cat")", "7", R"("cats")");
  EXPECT_EQ(desk.content(), R"({"r":{"text":7}})");
  EXPECT_EQ(desk.version(), 3U);
}

TEST(EditDelete, TheDeletionWinsAndTheEditIsKept) {
  for (const Policy policy : {Policy::lww, Policy::merge}) {
    Meeting meeting("delete", R"({"id":"r"})", "move", R"({"id":"r","x":5,"y":6})", policy);
    EXPECT_EQ(meeting.decision.outcome, Outcome::resolved);
    EXPECT_EQ(meeting.decision.data, R"({"id":""})");
    EXPECT_EQ(meeting.desk.content(), "{}");
    EXPECT_EQ(meeting.desk.version(), 3U);
    ASSERT_THAT(meeting.decision.conflicts, SizeIs(1));
    expect_record(meeting.decision.conflicts[0], ConflictKind::edit_delete, "r.x", R"({"x":1,"y":1})",
                  R"({"x":1,"y":1})", R"({"x":5,"y":6})");
  }
}

TEST(EditDelete, IsParkedAndBringsTheObjectBackWhenItIsTaken) {
  Meeting meeting("delete", R"({"id":"r"})", "update", R"({"id":"r","x":5})", Policy::manual);
  EXPECT_EQ(meeting.decision.outcome, Outcome::conflict);
  EXPECT_EQ(meeting.desk.content(), "{}");
  EXPECT_EQ(meeting.desk.submit("", meeting.decision.type, meeting.decision.data, 2, Policy::forced).outcome,
            Outcome::applied);
  EXPECT_EQ(meeting.desk.content(), R"({"r":{"x":5,"y":1}})");
}

TEST(EditDelete, OfTexts) {
  Desk desk(Kind::objects, R"({"r":{"text":"cat"}})");
  desk.submit("us", "delete", R"({"id":"r"})");
  const Decision decision = desk.submit("them", "text", R"({"id":"r","ops":[3,"s"]})", 1);
  EXPECT_EQ(decision.outcome, Outcome::resolved);
  expect_record(decision.conflicts.at(0), ConflictKind::edit_delete, "r.text", R"({"text":"cat"})", R"({"text":"cat"})",
                R"({"text":"cats"})");
  EXPECT_EQ(desk.submit("them", "text", R"({"id":"r","ops":[3,"s"]})", 2).error.code, Code::not_found);
}

TEST(EditDelete, WhoKnewOfItIsRefused) {
  Meeting meeting("delete", R"({"id":"r"})", "update", R"({"id":"q"})", Policy::merge);
  EXPECT_EQ(meeting.desk.submit("them", "update", R"({"id":"r","x":1})", 2).error.code, Code::not_found);
  EXPECT_EQ(meeting.desk.submit("us", "update", R"({"id":"r","x":1})", 1).error.code, Code::not_found);
  EXPECT_EQ(meeting.desk.submit("us", "create", R"({"id":"r","x":1})", 1).outcome, Outcome::applied);
}

TEST(DeleteEdit, TheDeletionWinsAndWhatWasOverwrittenIsKept) {
  for (const Policy policy : {Policy::lww, Policy::merge}) {
    Meeting meeting("update", R"({"id":"r","x":5})", "delete", R"({"id":"r"})", policy);
    EXPECT_EQ(meeting.decision.outcome, Outcome::resolved);
    EXPECT_EQ(meeting.desk.content(), "{}");
    ASSERT_THAT(meeting.decision.conflicts, SizeIs(1));
    expect_record(meeting.decision.conflicts[0], ConflictKind::delete_edit, "r.x", R"({"x":1,"y":1})",
                  R"({"x":5,"y":1})", R"({"x":1,"y":1})");
  }
  Meeting parked("update", R"({"id":"r","x":5})", "delete", R"({"id":"r"})", Policy::manual);
  EXPECT_EQ(parked.decision.outcome, Outcome::conflict);
  EXPECT_EQ(parked.desk.content(), R"({"r":{"x":5,"y":1}})");
  parked.desk.submit("", parked.decision.type, parked.decision.data, 2, Policy::forced);
  EXPECT_EQ(parked.desk.content(), "{}");
}

TEST(CreateCreate, UnderEachPolicy) {
  const auto meet = [](Policy policy) {
    return Meeting("create", R"({"id":"q","a":1,"b":1})", "create", R"({"id":"q","a":1,"b":2,"c":2})", policy);
  };
  Meeting lww = meet(Policy::lww);
  EXPECT_EQ(lww.decision.outcome, Outcome::rejected);
  EXPECT_EQ(lww.decision.error.code, Code::conflict);
  Meeting merge = meet(Policy::merge);
  EXPECT_EQ(merge.decision.outcome, Outcome::resolved);
  EXPECT_EQ(merge.decision.type, "update");
  EXPECT_EQ(merge.desk.content(), R"({"q":{"a":1,"b":2,"c":2},"r":{"x":1,"y":1}})");
  expect_record(merge.decision.conflicts.at(0), ConflictKind::create_create, "q.b", "", R"({"a":1,"b":1})",
                R"({"a":1,"b":2,"c":2})");
  Meeting manual = meet(Policy::manual);
  EXPECT_EQ(manual.decision.outcome, Outcome::conflict);
  EXPECT_EQ(manual.decision.type, "create");
}

TEST(Cycle, IsRefusedOrParked) {
  Desk desk(Kind::objects, R"({"a":{},"b":{"parent":"a"},"c":{"parent":"b"}})");
  const char* const loop = R"({"id":"a","x":0,"y":0,"parent":"c"})";
  EXPECT_EQ(desk.submit("s", "move", loop, 0, Policy::lww).error.code, Code::conflict);
  EXPECT_EQ(desk.submit("s", "move", loop, 0, Policy::merge).error.code, Code::conflict);
  const Decision parked = desk.submit("s", "move", loop, 0, Policy::manual);
  EXPECT_EQ(parked.outcome, Outcome::conflict);
  expect_record(parked.conflicts.at(0), ConflictKind::cycle, "a.parent", "", "", R"("c")");
  EXPECT_EQ(desk.submit("s", "update", R"({"id":"a","parent":"a"})").error.code, Code::conflict);
  EXPECT_EQ(desk.submit("s", "create", R"({"id":"d","parent":"d"})").error.code, Code::conflict);
  EXPECT_EQ(desk.submit("s", "update", R"({"content":{"a":{"parent":"b"},"b":{"parent":"a"}}})").error.code,
            Code::conflict);
  EXPECT_EQ(desk.version(), 1U);
  // Two moves that are fine each, and a loop together.
  desk.submit("s", "update", R"({"id":"b","parent":null})");
  desk.submit("s", "update", R"({"id":"a","parent":"c"})", 2);
  EXPECT_EQ(desk.submit("t", "update", R"({"id":"b","parent":"a"})", 2).error.code, Code::conflict);
  // An object may be made below one that does not exist yet, but not close the loop then.
  desk.submit("s", "create", R"({"id":"x","parent":"y"})");
  EXPECT_EQ(desk.submit("s", "create", R"({"id":"y","parent":"x"})").error.code, Code::conflict);
}

TEST(TextOverlap, AnInsertionInsideOfWhatWasRemovedSurvives) {
  for (const Policy policy : {Policy::lww, Policy::merge}) {
    Desk desk(Kind::text, "hello world");
    desk.submit("us", "text", R"({"ops":[2,{"d":7}]})");
    const Decision decision = desk.submit("them", "text", R"({"ops":[5," big"]})", 1, policy);
    EXPECT_EQ(decision.outcome, Outcome::resolved);
    EXPECT_EQ(desk.content(), "he bigld");
    expect_record(decision.conflicts.at(0), ConflictKind::text_overlap, "text", R"("llo wor")", R"("")",
                  R"("llo big wor")");
    EXPECT_THAT(decision.conflicts.at(0).versions, ElementsAre(2));
  }
}

TEST(TextOverlap, TwoReplacementsOfTheSame) {
  Desk desk(Kind::text, "one two three");
  desk.submit("us", "text", R"({"ops":[4,"2",{"d":3}]})");
  const Decision parked = desk.submit("them", "text", R"({"ops":[4,"TWO",{"d":3}]})", 1, Policy::manual);
  EXPECT_EQ(parked.outcome, Outcome::conflict);
  EXPECT_EQ(desk.content(), "one 2 three");
  expect_record(parked.conflicts.at(0), ConflictKind::text_overlap, "text", R"("two")", R"("2")", R"("TWO")");
  desk.submit("them", "text", R"({"ops":["zero "]})");
  desk.submit("", parked.type, parked.data, 2, Policy::forced);
  EXPECT_EQ(desk.content(), "zero one TWO2 three");
}

TEST(TextOverlap, NeighboursAndRemovalsAreNone) {
  Desk desk(Kind::text, "one two three");
  desk.submit("us", "text", R"({"ops":[4,"2",{"d":3}]})");
  EXPECT_THAT(desk.submit("them", "text", R"({"ops":[4,"x"]})", 1).conflicts, IsEmpty());
  EXPECT_THAT(desk.submit("them", "text", R"({"ops":[8,"y"]})", 1).conflicts, IsEmpty());
  EXPECT_THAT(desk.submit("others", "text", R"({"ops":[4,{"d":2}]})", 1).conflicts, IsEmpty());
  EXPECT_EQ(desk.content(), "one x2y three");
}

TEST(TextOverlap, InRegisters) {
  Desk desk(Kind::objects, R"({"r":{"text":"hello world"}})");
  desk.submit("us", "text", R"({"id":"r","ops":[2,{"d":7}]})");
  const Decision decision = desk.submit("them", "text", R"({"id":"r","ops":[5," big"]})", 1);
  EXPECT_EQ(decision.outcome, Outcome::resolved);
  EXPECT_EQ(decision.conflicts.at(0).path, "r.text");
  EXPECT_EQ(desk.content(), R"({"r":{"text":"he bigld"}})");
}

TEST(WholeContent, OfOneWhoIsBehindKeepsWhatOthersDid) {
  Desk desk(Kind::objects, R"({"a":{"x":1},"b":{"x":1},"c":{"x":1}})");
  desk.submit("us", "update", R"({"id":"a","y":2})");
  desk.submit("us", "create", R"({"id":"d","x":4})");
  desk.submit("us", "delete", R"({"id":"c"})");
  const Decision decision = desk.submit("them", "update", R"({"content":{"a":{"x":9},"c":{"x":9}}})", 1);
  EXPECT_EQ(decision.outcome, Outcome::resolved);
  EXPECT_EQ(desk.content(), R"({"a":{"x":9,"y":2},"d":{"x":4}})");
  ASSERT_THAT(decision.conflicts, SizeIs(1));
  expect_record(decision.conflicts[0], ConflictKind::edit_delete, "c.x", R"({"x":1})", R"({"x":1})", R"({"x":9})");
}

TEST(WholeContent, OfATextKeepsWhatOthersWrote) {
  Desk desk(Kind::text, "one\ntwo\nthree\n");
  desk.submit("us", "text", R"({"ops":["zero\n"]})");
  desk.submit("them", "update", R"({"content":"one\ntwo\nthree\nfour\n"})", 1);
  EXPECT_EQ(desk.content(), "zero\none\ntwo\nthree\nfour\n");
}

TEST(ManyInFlight, OperationsOfOneSessionBuildOnOneAnother) {
  Desk desk(Kind::text, "ac");
  desk.submit("us", "text", R"({"ops":["[",2,"]"]})");
  desk.submit("them", "text", R"({"ops":[1,"b"]})", 1);  // abc
  desk.submit("us", "text", R"({"ops":["("]})", 2);
  desk.submit("them", "text", R"({"ops":[3,"d"]})", 1);  // abcd
  desk.reload();
  desk.submit("them", "text", R"({"ops":[1,{"d":1},"B"]})", 1);  // aBcd
  EXPECT_EQ(desk.content(), "([aBcd]");
  // They have heard of the first bracket meanwhile: [aBcd]
  desk.submit("them", "text", R"({"ops":[6,"!"]})", 2);
  EXPECT_EQ(desk.content(), "([aBcd]!");
}

}  // namespace
}  // namespace tidemark::document::engine
