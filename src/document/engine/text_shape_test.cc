#include "document/engine/text_shape.h"

#include <gtest/gtest.h>

#include "core/json.h"
#include "document/engine/text_chance.h"

namespace tidemark::document::engine {
namespace {

TextOperation parsed(std::string_view ops) {
  simdjson::dom::parser parser;
  return TextOperation::parse(*parse_json(parser, ops, 4)).value();
}

// What `later` is after `earlier`, which arrived first; both were made on the same text.
std::string rebased(std::string_view earlier, std::string_view later) {
  return TextShape(parsed(earlier), 2).rebase(parsed(later)).json();
}

TEST(TextShape, OperationsSideBySideKeepTheirPlaces) {
  EXPECT_EQ(rebased(R"(["ab"])", R"([3,"x"])"), R"([5,"x"])");
  EXPECT_EQ(rebased(R"([3,"ab"])", R"([1,"x"])"), R"([1,"x"])");
  EXPECT_EQ(rebased(R"([{"d":2}])", R"([3,{"d":1}])"), R"([1,{"d":1}])");
}

TEST(TextShape, TheLaterInsertionStandsBeforeTextThatArrivedEarlier) {
  EXPECT_EQ(rebased(R"([2,"early"])", R"([2,"late"])"), R"([2,"late"])");
}

TEST(TextShape, AReplacementStandsWhereItsAuthorSawTheCharacterOnTheLeft) {
  EXPECT_EQ(TextShape(parsed(R"([1,"Y"])"), 2).rebase(parsed(R"([1,{"d":1},"X"])").insertions_first()).json(),
            R"([1,"X",1,{"d":1}])");
}

TEST(TextShape, BothRemoveTheSameOnce) {
  EXPECT_EQ(rebased(R"([1,{"d":2}])", R"([{"d":2}])"), R"([{"d":1}])");
  EXPECT_EQ(rebased(R"([1,{"d":2}])", R"([1,{"d":2}])"), "[]");
}

TEST(TextShape, AnInsertionSurvivesInsideOfWhatWasRemoved) {
  EXPECT_EQ(rebased(R"([{"d":4}])", R"([2,"x"])"), R"(["x"])");
  EXPECT_EQ(rebased(R"([2,"x"])", R"([{"d":4}])"), R"([{"d":2},1,{"d":2}])");
}

// abc: one removes b, the next writes Y where b was. Whoever has not heard of both and writes behind b stands before Y.
TEST(TextShape, ANewInsertionStandsBehindWhatRemainsOfRemovedCharacters) {
  const TextShape both = TextShape(parsed(R"([1,{"d":1}])"), 2).then(TextShape(parsed(R"([1,"Y"])"), 3));
  EXPECT_EQ(both.rebase(parsed(R"([2,"X"])")).json(), R"([1,"X"])");
  const TextShape other = TextShape(parsed(R"([1,"Y"])"), 2).then(TextShape(parsed(R"([2,{"d":1}])"), 3));
  EXPECT_EQ(other.rebase(parsed(R"([2,"X"])")).json(), R"([2,"X"])");
}

// ab: one removes b, another writes F before a, while the author removes a and then writes Y behind b. Nothing of the
// author's text tells any more on which side of F that is: the later one stands before it.
TEST(TextShape, InAGapThatTheAuthorMadeTextStandsBehindWhatWasRemovedBefore) {
  const TextShape both = TextShape(parsed(R"([1,{"d":1}])"), 2).then(TextShape(parsed(R"(["F"])"), 3));
  EXPECT_EQ(both.after(parsed(R"([{"d":1}])")).rebase(parsed(R"([1,"Y"])")).json(), R"(["Y"])");
}

TEST(TextShape, WhoHasHeardOfAnOperationSeesIt) {
  TextShape shape = TextShape(parsed(R"([1,"ab"])"), 2).then(TextShape(parsed(R"([2,{"d":1}])"), 3));
  shape.seen_until(2);  // sees ?ab, of which b is gone meanwhile
  EXPECT_EQ(shape.seen_length(), 3U);
  EXPECT_EQ(shape.growth(), -1);
  EXPECT_EQ(shape.rebase(parsed(R"([2,"x",{"d":1}])")).json(), R"([2,"x"])");
  shape.seen_until(3);
  EXPECT_TRUE(shape.empty());
}

// Several operations, one after the other, on a text.
struct Changes {
  std::string text;  // at the beginning
  std::vector<TextOperation> operations;
  std::string end;
};

Changes run_of(TextChance& chance, std::string text, size_t count) {
  Changes run{text, {}, std::move(text)};
  for (; count > 0; --count) {
    run.operations.push_back(chance.operation(count_code_points(run.end)));
    run.end = run.operations.back().applied_to(run.end);
  }
  return run;
}

TextShape shape_of(const Changes& run, size_t from, size_t to, uint64_t first_version) {
  TextShape shape;
  for (size_t i = from; i < to; ++i) {
    shape = shape.then(TextShape(run.operations[i], first_version + i));
  }
  return shape;
}

// Spans put together anew: nothing more can be joined.
TextShape again(const TextShape& shape) {
  TextShape result;
  for (const TextShape::Span& span : shape.spans()) {
    result.push(span);
  }
  return result;
}

class TextShapeProperties : public ::testing::TestWithParam<uint64_t> {
 protected:
  TextShapeProperties() : chance_(GetParam()), base_(chance_.text(12)) {}
  TextChance chance_;
  std::string base_;
};

// Transform property 1: both ways round the square give the same text.
TEST_P(TextShapeProperties, BothOrdersEndWithOneText) {
  for (int round = 0; round < 200; ++round) {
    const Changes others = run_of(chance_, base_, 1 + chance_.below(6));
    const TextOperation own = chance_.operation(count_code_points(base_));
    const TextShape shape = shape_of(others, 0, others.operations.size(), 2);
    const std::string merged = shape.rebase(own).applied_to(others.end);
    // The other way: the author's text, and from there the shape that is left.
    const std::string authored = own.applied_to(base_);
    const TextShape left = shape.after(own);
    EXPECT_EQ(again(left).spans(), left.spans());
    EXPECT_EQ(static_cast<ptrdiff_t>(count_code_points(authored)) + left.growth(),
              static_cast<ptrdiff_t>(count_code_points(merged)));
    std::string_view seen = authored;
    std::string_view present = merged;
    for (const TextShape::Span& span : left.spans()) {
      const auto mine = span.seen() ? take_code_points(seen, span.count) : std::string_view();
      const auto now = span.there() ? take_code_points(present, span.count) : std::string_view();
      EXPECT_TRUE(span.changed() || mine == now) << mine << " against " << now;
    }
    EXPECT_EQ(seen, present);
  }
}

// What clients do, one operation after the other, and what the composition does.
TEST_P(TextShapeProperties, OneByOneAndComposedAreTheSame) {
  for (int round = 0; round < 200; ++round) {
    const Changes others = run_of(chance_, base_, 1 + chance_.below(8));
    TextOperation first = chance_.operation(count_code_points(base_));
    const std::string authored = first.applied_to(base_);
    TextOperation second = chance_.operation(count_code_points(authored));
    const TextShape composed = shape_of(others, 0, others.operations.size(), 2);
    const TextOperation first_composed = composed.rebase(first);
    const TextOperation second_composed = composed.after(first).rebase(second);
    std::vector<TextShape> pending;  // the others' operations as they are after what the author has made so far
    for (size_t i = 0; i < others.operations.size(); ++i) {
      pending.emplace_back(others.operations[i], 2 + i);
    }
    for (TextOperation* own : {&first, &second}) {
      for (TextShape& other : pending) {
        const TextOperation over = other.rebase(*own);
        other = other.after(*own);
        *own = over;
      }
    }
    EXPECT_EQ(first.json(), first_composed.json());
    EXPECT_EQ(second.json(), second_composed.json());
  }
}

TEST_P(TextShapeProperties, HowPiecesAreComposedDoesNotMatter) {
  for (int round = 0; round < 200; ++round) {
    const Changes others = run_of(chance_, base_, 3);
    const TextShape left = shape_of(others, 0, 2, 2).then(shape_of(others, 2, 3, 2));
    const TextShape right = shape_of(others, 0, 1, 2).then(shape_of(others, 1, 3, 2));
    EXPECT_EQ(left.spans(), right.spans());
  }
}

TEST_P(TextShapeProperties, HearingOfSomeIsTheRest) {
  for (int round = 0; round < 200; ++round) {
    const Changes others = run_of(chance_, base_, 5);
    const size_t heard = chance_.below(6);
    TextShape shape = shape_of(others, 0, 5, 2);
    shape.seen_until(1 + heard);
    std::string seen = base_;
    for (size_t i = 0; i < heard; ++i) {
      seen = others.operations[i].applied_to(seen);
    }
    const TextOperation own = chance_.operation(count_code_points(seen));
    EXPECT_EQ(shape.rebase(own), shape_of(others, heard, 5, 2).rebase(own));
  }
}

TEST_P(TextShapeProperties, AnInverseTakesBack) {
  for (int round = 0; round < 200; ++round) {
    const TextOperation operation = chance_.operation(count_code_points(base_));
    const TextOperation back = operation.inverse(operation.removed_from(base_));
    EXPECT_EQ(back.applied_to(operation.applied_to(base_)), base_);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TextShapeProperties, ::testing::Range(uint64_t{1}, uint64_t{13}));

}  // namespace
}  // namespace tidemark::document::engine
