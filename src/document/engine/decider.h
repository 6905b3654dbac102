// Decider: finds out what becomes of one submission. Made for it, run once; it only reads the state.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "document/engine/state.h"
#include "document/engine/trail.h"

namespace tidemark::document::engine {

class Decider {
 public:
  // `out` is new, and gets the decision.
  Decider(const Document::State& state, const Submission& submission, Decision& out)
      : state_(state), submission_(submission), out_(out) {}

  void run();

 private:
  using Refusal = std::optional<Error>;

  // --- decide.cc
  Refusal check_versions();
  Result<Patch> read() const;
  Refusal decide(Patch& patch);
  void finish();

  // --- decide_text.cc
  Refusal decide_text(TextEdit&& edit);
  Refusal decide_object_text(const TextEdit& edit);
  Refusal text_without_effect(ConflictKind kind, const TextEdit& edit, std::string ours);
  // The operation on the present text, if it is another than the author's. Notes the trail and an overlap.
  Result<std::optional<TextOperation>> place(const Text& text, const TextEdit& edit);

  // --- decide_objects.cc: they put what takes effect into edits_
  Refusal decide_edits(std::vector<Edit> edits);
  Refusal decide_create(Edit edit);
  Refusal decide_update(Edit edit);
  Refusal decide_remove(Edit edit);
  Refusal edit_of_deleted(Edit edit, const Tombstone& tombstone);
  void say_edits();  // type and data

  // --- decide_checks.cc: what must hold of edits_
  Refusal check_names() const;
  Refusal check_root_name(const std::string& object, const std::string& key) const;
  Refusal check_parents();
  Refusal check_size() const;
  std::set<std::string> looping_parents() const;

  // --- decide_registers.cc: conflicts of single registers
  void meet(const std::string& object, Write& write);
  void meet_around(const std::string& object, const std::string& key, const std::string& theirs);
  void meet_register(const std::string& object, const std::string& key, const Register& now, const std::string& theirs);
  bool merge_text(const std::string& object, Write& write);

  // Whether the author does not know of it.
  bool is_news(uint64_t version, const SharedText& by) const {
    return is_concurrent(version, by, out_.base, submission_.session);
  }
  void add_conflict(ConflictKind kind, std::string path, std::string base, std::string ours, std::string theirs,
                    std::vector<uint64_t> versions);
  // --- decide_past.cc: what the author saw, and who wrote since. Asked for each conflict, looked up once for all.
  const PlainObject& seen_object(const std::string& object);
  std::string seen_value(const std::string& object, const std::string& key);
  std::vector<uint64_t> versions_of(const std::string& object, const std::string& key);

  bool forced() const { return submission_.policy == Policy::forced; }

  const Document::State& state_;
  const Submission& submission_;
  Decision& out_;
  std::vector<Edit> edits_;  // what takes effect
  bool as_sent_ = true;      // the submission's bytes say exactly that
  Trail trail_;

  struct SeenObject {
    std::string id;
    PlainObject registers;
  };
  std::optional<SeenObject> seen_first_;  // mostly there is only one
  std::optional<Plain> seen_all_;
  // Versions of others' operations since, by object and register; the register "" stands for the object itself.
  std::optional<std::map<std::pair<std::string, std::string>, std::vector<uint64_t>>> news_;
};

// The path of a conflict.
std::string path_of(std::string_view object, std::string_view key);

}  // namespace tidemark::document::engine
