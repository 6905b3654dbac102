// What operations do when nobody is in their way: contents, every type of operation, validation, limits, snapshots.
#include "document/engine/document.h"

#include <gtest/gtest.h>

#include "document/engine/engine_fixture.h"

namespace tidemark::document::engine {
namespace {

std::string content_of(std::string_view content) {
  const auto document = Document::create(Kind::objects, content);
  return document ? document->content() : "refused: " + document.error().text;
}

TEST(Content, IsCanonical) {
  EXPECT_EQ(content_of(""), "{}");
  EXPECT_EQ(content_of(R"( { "data" : "test" } )"), R"({"data":"test"})");
  EXPECT_EQ(content_of(R"({"r":{"y":0,"x":1,"style":{"width":2,"color":"red"}},"a":[1, 2],"q":{}})"),
            R"({"a":[1,2],"q":{},"r":{"style":{"color":"red","width":2},"x":1,"y":0}})");
}

TEST(Content, KeepsNumbersAsTheyWereWritten) {
  const std::string content = R"({"n":{"a":1.0,"b":1e2,"c":-0,"d":0.1000,"e":18446744073709551615,"f":1E-7}})";
  EXPECT_EQ(content_of(content), content);
}

TEST(Content, NestsDottedPathsAndKeepsEmptyObjects) {
  EXPECT_EQ(content_of(R"({"r":{"a.b":1,"a":{"c":{}},"a-b":2}})"), R"({"r":{"a-b":2,"a":{"b":1,"c":{}}}})");
  EXPECT_EQ(content_of(R"({"r":{"":1,"a":{"":{"":2}}}})"), R"({"r":{"":1,"a":{"":{"":2}}}})");
  EXPECT_EQ(content_of(R"({"a.b":1})"), R"({"a.b":1})");  // names of the root object are no paths
}

TEST(Content, LeavesOutNullsAndIds) {
  EXPECT_EQ(content_of(R"({"a":null,"r":{"id":"r","x":null,"y":[null]}})"), R"({"r":{"y":[null]}})");
}

TEST(Content, OrdersTheMembersOfObjectsInArrays) {
  EXPECT_EQ(content_of(R"({"r":{"list":[{"b":1,"a":"\u00e9\/\n"}]}})"), R"({"r":{"list":[{"a":"é/\n","b":1}]}})");
}

TEST(Content, IsRefusedWhenItMeansTwoThings) {
  for (const char* content : {R"({"a":1,"a":2})", R"({"r":{"x":1,"x":1}})", R"({"r":{"s":1,"s.c":2}})",
                              R"({"r":{"s":{"c":1},"s.c":2}})", R"({"r":{},"r":{}})", R"({"r":1,"r":{}})",
                              R"({"r":{"l":[{"a":1,"a":2}]}})", R"({"r":{"id":"other"}})", R"({"r":{"id.x":1}})", "[]",
                              "3", "nonsense", R"({"":{}})", "{\"a\":\"\xff\"}", R"({"a":NaN})", R"({"a":1e999})"}) {
    EXPECT_FALSE(Document::create(Kind::objects, content).ok()) << content;
  }
  EXPECT_FALSE(Document::create(Kind::text, "\xed\xa0\x80").ok());
}

TEST(Content, OfATextIsTheText) {
  const auto document = Document::create(Kind::text, "{\"x\":1} שלום 😀\0");
  EXPECT_EQ(document->content(), "{\"x\":1} שלום 😀");
  EXPECT_EQ(document->version(), 1U);
}

TEST(Operations, OfEveryTypeTakeEffect) {
  Desk desk(Kind::objects);
  EXPECT_EQ(desk.submit("s", "create", R"({"id":"r","x":0,"style":{"color":"red"}})").outcome, Outcome::applied);
  EXPECT_EQ(desk.content(), R"({"r":{"style":{"color":"red"},"x":0}})");
  desk.submit("s", "update", R"({"id":"r","z":1,"style.width":2})");
  EXPECT_EQ(desk.content(), R"({"r":{"style":{"color":"red","width":2},"x":0,"z":1}})");
  desk.submit("s", "update", R"({"id":"r","z":null,"style":{"color":null}})");
  EXPECT_EQ(desk.content(), R"({"r":{"style":{"width":2},"x":0}})");
  desk.submit("s", "move", R"({"id":"r","x":5,"y":6,"parent":"p","order":"a1"})");
  EXPECT_EQ(desk.content(), R"({"r":{"order":"a1","parent":"p","style":{"width":2},"x":5,"y":6}})");
  desk.submit("s", "resize", R"({"id":"r","w":7,"h":8})");
  desk.submit("s", "style", R"({"id":"r","style":{"font":{"size":9}}})");
  EXPECT_EQ(desk.content(),
            R"({"r":{"h":8,"order":"a1","parent":"p","style":{"font":{"size":9},"width":2},"w":7,"x":5,"y":6}})");
  desk.submit("s", "delete", R"({"id":"r"})");
  EXPECT_EQ(desk.content(), "{}");
  EXPECT_EQ(desk.version(), 8U);
}

TEST(Operations, AreStoredAsTheyWereSentWhereNothingChanged) {
  Desk desk(Kind::objects);
  const Decision decision = desk.submit("s", "create", R"({ "id":"r", "x": 1.0 })");
  EXPECT_EQ(decision.type, "create");
  EXPECT_EQ(decision.data, R"({ "id":"r", "x": 1.0 })");
  EXPECT_EQ(decision.trail, "");
  EXPECT_EQ(decision.base, 1U);
}

TEST(Operations, ACreateWithoutIdTakesTheOperations) {
  Desk desk(Kind::objects);
  const Decision decision = desk.submit("s", "create", R"({"x":1})");
  EXPECT_EQ(decision.data, R"({"id":"op-1","x":1})");
  EXPECT_EQ(desk.content(), R"({"op-1":{"x":1}})");
}

TEST(Operations, OnTheRootObjectNeedNoCreation) {
  Desk desk(Kind::objects, R"({"data":"test"})");
  desk.submit("s", "update", R"({"id":"","data":null,"a.b":[1]})");
  EXPECT_EQ(desk.content(), R"({"a.b":[1]})");
  EXPECT_EQ(desk.submit("s", "update", R"({"id":"","o":{}})").error.code, Code::invalid_field);
  desk.submit("s", "text", R"({"id":"","ops":["hi"]})");
  EXPECT_EQ(desk.content(), R"({"a.b":[1],"text":"hi"})");
}

TEST(Operations, NoNameIsAnObjectAndAValueOfTheRoot) {
  Desk desk(Kind::objects, R"({"v":1,"o":{}})");
  EXPECT_EQ(desk.submit("s", "create", R"({"id":"v"})").error.code, Code::invalid_field);
  EXPECT_EQ(desk.submit("s", "update", R"({"id":"","o":1})").error.code, Code::invalid_field);
  EXPECT_EQ(desk.submit("s", "text", R"({"id":"","key":"o","ops":["x"]})").error.code, Code::invalid_field);
  // A whole content may turn one into the other.
  EXPECT_EQ(desk.submit("s", "update", R"({"content":{"v":{"x":1},"o":2}})").outcome, Outcome::applied);
  EXPECT_EQ(desk.content(), R"({"o":2,"v":{"x":1}})");
}

TEST(Operations, AScalarAndWhatIsBelowItExcludeEachOther) {
  Desk desk(Kind::objects, R"({"r":{"style":{"color":"red","font":{"size":1}},"style-x":0}})");
  desk.submit("s", "update", R"({"id":"r","style":5})");
  EXPECT_EQ(desk.content(), R"({"r":{"style":5,"style-x":0}})");
  desk.submit("s", "update", R"({"id":"r","style.font.size":null})");  // there is none; the scalar stays
  EXPECT_EQ(desk.content(), R"({"r":{"style":5,"style-x":0}})");
  desk.submit("s", "update", R"({"id":"r","style":{"font":{"size":2}}})");
  EXPECT_EQ(desk.content(), R"({"r":{"style-x":0,"style":{"font":{"size":2}}}})");
  desk.submit("s", "update", R"({"id":"r","style":null})");
  EXPECT_EQ(desk.content(), R"({"r":{"style-x":0}})");
}

TEST(Operations, TextsInRegisters) {
  Desk desk(Kind::objects, R"({"r":{"text":"hello","label":"x","n":1}})");
  desk.submit("s", "text", R"({"id":"r","ops":[5," 😀"]})");
  desk.submit("s", "text", R"({"id":"r","key":"label","ops":["[",1,"]"]})");
  desk.submit("s", "text", R"({"id":"r","key":"new.note","ops":["n"]})");
  EXPECT_EQ(desk.content(), R"({"r":{"label":"[x]","n":1,"new":{"note":"n"},"text":"hello 😀"}})");
  EXPECT_EQ(desk.submit("s", "text", R"({"id":"r","key":"n","ops":["x"]})").error.field, "key");
  EXPECT_EQ(desk.submit("s", "text", R"({"id":"r","ops":[8]})").error.field, "ops");
  desk.reload();
  desk.submit("s", "update", R"({"id":"r","text":"hallo"})");
  EXPECT_EQ(desk.content(), R"({"r":{"label":"[x]","n":1,"new":{"note":"n"},"text":"hallo"}})");
}

TEST(Operations, AWholeContentIsADifference) {
  Desk desk(Kind::objects, R"({"a":{"x":1},"b":{"x":1},"data":"test"})");
  Decision decision = desk.submit("s", "update", R"({"content":{"a":{"x":2},"b":{"x":1},"data":"test"}})");
  EXPECT_EQ(decision.type, "update");
  EXPECT_EQ(decision.data, R"({"id":"a","x":2})");
  decision = desk.submit("s", "update", R"({"content":{"c":{"x":3},"b":{"y":1}}})");
  EXPECT_EQ(decision.data, R"({"content":{"b":{"y":1},"c":{"x":3}}})");
  EXPECT_EQ(desk.content(), R"({"b":{"y":1},"c":{"x":3}})");
  decision = desk.submit("s", "update", R"({"content":{"c":{"x":3},"b":{"y":1}}})");
  EXPECT_EQ(decision.outcome, Outcome::applied);
  EXPECT_EQ(decision.data, R"({"id":""})");
  EXPECT_EQ(desk.version(), 4U);
}

TEST(Operations, AWholeTextIsADifference) {
  Desk desk(Kind::text, "one\ntwo\n");
  Submission submission;
  submission.type = "update";
  submission.whole_content = "one\n2\n";
  const Decision decision = desk.submit(submission);
  EXPECT_EQ(decision.type, "text");
  EXPECT_EQ(decision.data, R"({"ops":[4,"2",{"d":3}]})");
  EXPECT_EQ(desk.submit("s", "update", R"({"content":""})").data, R"({"ops":[{"d":6}]})");
  EXPECT_EQ(desk.content(), "");
}

struct Refused {
  const char* type;
  const char* data;
  Code code;
  const char* field;
};

void expect_refused(Kind kind, std::string_view content, const std::vector<Refused>& rows) {
  Desk desk(kind, content);
  for (const Refused& row : rows) {
    const Decision decision = desk.submit("s", row.type, row.data);
    EXPECT_EQ(decision.outcome, Outcome::rejected) << row.data;
    EXPECT_EQ(decision.error.code, row.code) << row.data << ": " << decision.error.text;
    EXPECT_EQ(decision.error.field, row.field) << row.data << ": " << decision.error.text;
  }
  EXPECT_EQ(desk.version(), 1U);
  EXPECT_EQ(desk.content(), content);
}

TEST(Validation, OfObjects) {
  expect_refused(Kind::objects, R"({"r":{"x":1}})",
                 {{"paint", "{}", Code::invalid_field, "type"},
                  {"update", "", Code::invalid_json, ""},
                  {"update", "[]", Code::invalid_field, "data"},
                  {"update", R"({"x":1})", Code::missing_field, "id"},
                  {"update", R"({"id":7,"x":1})", Code::invalid_field, "id"},
                  {"update", R"({"id":null,"x":1})", Code::invalid_field, "id"},
                  {"update", R"({"id":"r","id":"r"})", Code::invalid_field, "id"},
                  {"update", R"({"id":"r","x":1,"x":2})", Code::invalid_field, "x"},
                  {"update", R"({"id":"gone","x":1})", Code::not_found, ""},
                  {"update", R"({"content":3})", Code::invalid_field, "content"},
                  {"delete", R"({"id":"gone"})", Code::not_found, ""},
                  {"delete", R"({"id":""})", Code::invalid_field, "id"},
                  {"create", R"({"id":""})", Code::invalid_field, "id"},
                  {"create", "{\"id\":\"a\\u0001\"}", Code::invalid_field, "id"},
                  {"move", R"({"id":"r","x":1})", Code::missing_field, "y"},
                  {"move", R"({"id":"r","x":1,"y":"2"})", Code::invalid_field, "y"},
                  {"resize", R"({"id":"r","w":1})", Code::missing_field, "h"},
                  {"style", R"({"id":"r"})", Code::missing_field, "style"},
                  {"style", R"({"id":"r","style":1})", Code::invalid_field, "style"},
                  {"text", R"({"ops":["x"]})", Code::missing_field, "id"},
                  {"text", R"({"id":"r"})", Code::missing_field, "ops"},
                  {"text", R"({"id":"r","key":1,"ops":[]})", Code::invalid_field, "key"},
                  {"text", R"({"id":"r","key":"id","ops":["x"]})", Code::invalid_field, "key"},
                  {"text", R"({"id":"gone","ops":["x"]})", Code::not_found, ""},
                  {"text", R"({"id":"r","ops":[1]})", Code::invalid_field, "ops"},
                  {"update", "{\"id\":\"r\",\"x\":\"\xc0\x80\"}", Code::invalid_json, ""},
                  {"update", R"({"id":"r","x":"\ud800"})", Code::invalid_json, ""},
                  {"update", R"({"id":"r","x":1e999})", Code::invalid_json, ""},
                  {"update", R"({"id":"r","x":Infinity})", Code::invalid_json, ""}});
}

TEST(Validation, OfTexts) {
  expect_refused(Kind::text, "abc",
                 {{"create", R"({"id":"r"})", Code::invalid_field, "type"},
                  {"text", "{}", Code::missing_field, "ops"},
                  {"text", R"({"ops":[4]})", Code::invalid_field, "ops"},
                  {"text", R"({"ops":[1,{"d":3}]})", Code::invalid_field, "ops"},
                  {"text", R"({"ops":[-1,"x"]})", Code::invalid_field, "ops"},
                  {"text", R"({"ops":["\udfff"]})", Code::invalid_json, ""},
                  {"update", R"({"content":{}})", Code::invalid_field, "content"}});
}

TEST(Validation, OfVersions) {
  Desk desk(Kind::text, "abc");
  const Decision decision = desk.submit("s", "text", R"({"ops":["x"]})", 2);
  EXPECT_EQ(decision.error.code, Code::invalid_field);
  EXPECT_EQ(decision.error.field, "prev_version");
}

TEST(Validation, OfWhatCameBefore) {
  Desk desk(Kind::text, "abc");
  desk.submit("s", "text", R"({"ops":["x"]})");  // op-1
  Submission next;
  next.id = "next";
  next.session = "s";
  next.type = "text";
  next.data = R"({"ops":["y"]})";
  next.after = "op-1";
  EXPECT_EQ(desk.submit(next).outcome, Outcome::applied);
  next.session = "other";
  EXPECT_EQ(desk.submit(next).error.code, Code::stale_version);
  next.after = "op-7";
  EXPECT_EQ(desk.submit(next).error.code, Code::stale_version);
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Limits, OnePast) {
  Limits limits;
  limits.depth_max = 5;
  limits.data_bytes_max = 60;
  limits.content_bytes_max = 100;
  limits.key_bytes_max = 8;
  Desk desk(Kind::objects, R"({"r":{}})", limits);
  const auto update = [&](const std::string& members) {
    return desk.submit("s", "update", R"({"id":"r",)" + members + "}");
  };
  EXPECT_EQ(update(R"("x":)" + nested(4)).outcome, Outcome::applied);
  EXPECT_EQ(update(R"("x":)" + nested(5)).error.code, Code::invalid_json);
  EXPECT_EQ(update(R"("a.b.c.d":[])").outcome, Outcome::applied);
  EXPECT_EQ(update(R"("a.b.c.d":[[]])").error.code, Code::invalid_json);
  EXPECT_EQ(update(R"("12345678":0)").outcome, Outcome::applied);
  EXPECT_EQ(update(R"("123456789":0)").error.code, Code::invalid_field);
  EXPECT_EQ(update(R"("a":{"2345678":0})").error.code, Code::invalid_field);
  const std::string frame = R"({"id":"r","x":""})";
  const std::string fits(60 - frame.size(), 'x');
  EXPECT_EQ(update(R"("x":")" + fits + '"').outcome, Outcome::applied);
  EXPECT_EQ(update(R"("x":")" + fits + "x\"").error.code, Code::too_large);
  const size_t left = 100 - desk.document().content_bytes() - 5;  // "y":
  EXPECT_EQ(update(R"("y":1)" + std::string(left - 1, '0')).outcome, Outcome::applied);
  EXPECT_EQ(desk.document().content_bytes(), 100U);
  EXPECT_EQ(update(R"("z":0)").error.code, Code::too_large);
  EXPECT_EQ(desk.submit("s", "text", R"({"id":"r","key":"t","ops":["x"]})").error.code, Code::too_large);
  EXPECT_EQ(desk.submit("s", "delete", R"({"id":"r"})").outcome, Outcome::applied);
  EXPECT_EQ(desk.document().content_bytes(), 0U);
}

TEST(Limits, OfTexts) {
  Limits limits;
  limits.content_bytes_max = 10;
  Desk desk(Kind::text, "0123456789", limits);
  EXPECT_EQ(desk.submit("s", "text", R"({"ops":["x"]})").error.code, Code::too_large);
  EXPECT_EQ(desk.submit("s", "text", R"({"ops":["x",{"d":1}]})").outcome, Outcome::applied);
  EXPECT_EQ(Document::create(Kind::text, "0123456789x", limits).error().code, Code::too_large);
}

TEST(Limits, OfHistory) {
  Limits limits;
  limits.history_max = 2;
  Desk desk(Kind::text, "", limits);
  for (int i = 0; i < 3; ++i) {
    desk.submit("a", "text", R"({"ops":["x"]})");
  }
  EXPECT_EQ(desk.document().floor(), 2U);
  EXPECT_EQ(desk.submit("b", "text", R"({"ops":["y"]})", 2).outcome, Outcome::applied);
  EXPECT_EQ(desk.submit("b", "text", R"({"ops":["y"]})", 2).error.code, Code::stale_version);
  desk.reload();
  EXPECT_EQ(desk.document().floor(), 3U);
  EXPECT_EQ(desk.document().content_at(2).error().code, Code::stale_version);
  EXPECT_EQ(desk.document().content_at(3).value(), "xx");
}

TEST(Apply, RefusesWhatTheEngineNeverMade) {
  Desk desk(Kind::text, "abc");
  EXPECT_FALSE(desk.document().apply({3, "", "", "text", R"({"ops":[]})", ""}).ok());
  EXPECT_FALSE(desk.document().apply({2, "", "", "text", R"({"ops":[9]})", ""}).ok());
  EXPECT_FALSE(desk.document().apply({2, "", "", "text", "nonsense", ""}).ok());
  EXPECT_FALSE(desk.document().apply({2, "", "", "text", R"({"ops":[]})", "nonsense"}).ok());
  EXPECT_EQ(desk.version(), 1U);
  EXPECT_FALSE(Document::from_snapshot("nonsense").ok());
  const std::string snapshot = desk.document().snapshot();
  for (size_t size = 0; size < snapshot.size(); ++size) {
    EXPECT_FALSE(Document::from_snapshot(std::string_view(snapshot).substr(0, size)).ok());
  }
}

TEST(History, ShowsWhatAnAuthorSaw) {
  Desk desk(Kind::objects, R"({"r":{"x":1,"text":"ab"}})");
  desk.submit("a", "update", R"({"id":"r","x":2})");        // 2
  desk.submit("b", "text", R"({"id":"r","ops":[2,"c"]})");  // 3
  desk.submit("a", "create", R"({"id":"q","x":1})");        // 4
  desk.submit("b", "delete", R"({"id":"r"})");              // 5
  desk.reload();
  const Document& document = desk.document();
  EXPECT_EQ(document.content_at(1).value(), R"({"r":{"text":"ab","x":1}})");
  EXPECT_EQ(document.content_at(3).value(), R"({"r":{"text":"abc","x":2}})");
  EXPECT_EQ(document.content_at(1, "a").value(), R"({"q":{"x":1},"r":{"text":"ab","x":2}})");
  EXPECT_EQ(document.content_at(1, "b").value(), "{}");
  EXPECT_EQ(document.content_at(5).value(), desk.content());
  EXPECT_FALSE(document.content_at(6).ok());
}

// What others have removed already is gone for an author too who writes above it.
TEST(History, WhatAnAuthorWroteAboveIsAllTheySee) {
  Desk desk(Kind::objects, R"({"r":{}})");
  desk.submit("a", "update", R"({"id":"r","x":{"c":1}})");     // 2
  desk.submit("b", "update", R"({"id":"r","x":{"c":null}})");  // 3
  desk.submit("a", "update", R"({"id":"r","x":2})", 1);        // 4
  EXPECT_EQ(desk.document().content_at(1, "a").value(), R"({"r":{"x":2}})");
}

TEST(History, AnUndoTakesBackOnlyItsOperation) {
  Desk desk(Kind::text, "hello world");
  desk.submit("a", "text", R"({"ops":[5,{"d":6}]})");
  desk.submit("b", "text", R"({"ops":["oh, "]})");
  const auto undo = desk.document().undo_of(2);
  EXPECT_EQ(desk.submit("", undo->type, undo->data, 2).outcome, Outcome::applied);
  EXPECT_EQ(desk.content(), "oh, hello world");

  Desk board(Kind::objects, R"({"r":{"x":1},"q":{"x":1}})");
  board.submit("a", "delete", R"({"id":"r"})");
  board.submit("b", "update", R"({"id":"q","x":2})");
  const auto back = board.document().undo_of(2);
  Submission submission;
  submission.type = back->type;
  submission.whole_content = back->whole_content;
  submission.prev_version = 2;
  EXPECT_EQ(board.submit(submission).outcome, Outcome::applied);
  EXPECT_EQ(board.content(), R"({"q":{"x":2},"r":{"x":1}})");
}

}  // namespace
}  // namespace tidemark::document::engine
