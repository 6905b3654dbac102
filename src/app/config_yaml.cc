// The YAML file, read from yaml-cpp's events: no tree is built, so aliases cannot multiply anything.
#include <simdjson.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <set>
#include <sstream>
#include <utility>

#include "app/config_sources.h"
#include "app/config_value.h"

namespace tidemark::app {
namespace {

// Leaves yaml-cpp's parser; caught in read_yaml().
struct Refused {
  Error error;
};

// Turns nested maps into keys with dots. A list is one value.
class KeyReader final : public YAML::EventHandler {
 public:
  KeyReader(const std::string& path, GivenKeys& keys) : path_(path), keys_(keys) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      refuse(mark, "one document is expected, here starts another");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (levels_.empty()) {
      return;  // an empty document
    }
    require_value_place(mark);
    if (!is_group(full_name())) {  // a group whose keys are all comments is fine
      refuse_key(mark, "no value is given");
    }
    levels_.back().key.clear();
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "aliases (*name) are not supported"); }

  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (levels_.empty()) {
      refuse(mark, "a map of keys is expected");
    }
    Level& level = levels_.back();
    if (level.is_list) {
      list_.items.push_back(value);
    } else if (level.key.empty()) {
      if (value.empty()) {
        refuse(mark, "a key is empty");
      }
      level.key = value;
      level.has_keys = true;
    } else {
      give(mark, {{value}, false});
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    require_value_place(mark);
    list_ = {{}, true};
    list_mark_ = mark;
    levels_.push_back({{}, {}, true, false});
  }
  void OnSequenceEnd() override {
    levels_.pop_back();
    give(list_mark_, std::move(list_));
  }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    if (levels_.empty()) {
      levels_.push_back({});
      return;
    }
    require_value_place(mark);
    if (levels_.size() > kDepthMax) {
      refuse_key(mark, "maps are nested too deep");
    }
    levels_.push_back({full_name() + ".", {}, false, false});
    map_mark_ = mark;
  }
  void OnMapEnd() override {
    const bool had_keys = levels_.back().has_keys;
    levels_.pop_back();
    if (levels_.empty()) {
      return;
    }
    if (!had_keys && !is_group(full_name())) {  // no key has told that the name is unknown
      throw Refused{unknown_key(full_name(), origin(map_mark_))};
    }
    levels_.back().key.clear();
  }

 private:
  static constexpr size_t kDepthMax = 8;

  struct Level {
    std::string prefix;  // "limits."
    std::string key;     // empty: a key is expected next
    bool is_list = false;
    bool has_keys = false;
  };

  std::string full_name() const { return levels_.back().prefix + levels_.back().key; }
  std::string origin(const YAML::Mark& mark) const { return "file " + path_ + ":" + std::to_string(mark.line + 1); }

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& text, std::string key = {}) const {
    throw Refused{Error{Code::invalid_field, text + " (" + origin(mark) + ")", std::move(key), 0}};
  }
  [[noreturn]] void refuse_key(const YAML::Mark& mark, const std::string& text) const {
    const std::string name = printable(full_name());
    refuse(mark, name + ": " + text, name);
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) {
      refuse(mark, "anchors (&name) are not supported");
    }
  }
  void require_value_place(const YAML::Mark& mark) const {
    if (levels_.empty()) {
      refuse(mark, "a map of keys is expected");
    }
    if (levels_.back().is_list) {
      refuse(mark, "a list holds plain values only");
    }
    if (levels_.back().key.empty()) {
      refuse(mark, "a key is a plain name");
    }
  }

  void give(const YAML::Mark& mark, GivenValue value) {
    const std::string name = full_name();
    if (is_group(name)) {
      refuse_key(mark, "a group of keys, not a key");
    }
    if (find_key(name) == nullptr) {
      throw Refused{unknown_key(name, origin(mark))};
    }
    if (!given_.insert(name).second) {
      refuse_key(mark, "given twice");
    }
    keys_.insert_or_assign(name, GivenKey{std::move(value), origin(mark)});
    levels_.back().key.clear();
  }

  const std::string& path_;
  GivenKeys& keys_;
  std::vector<Level> levels_;  // the maps, and at most one list, that are open
  GivenValue list_;
  YAML::Mark list_mark_;
  YAML::Mark map_mark_;
  std::set<std::string> given_;
  int documents_ = 0;
};

}  // namespace

Status read_yaml(std::string_view text, const std::string& path, GivenKeys& keys) {
  if (!simdjson::validate_utf8(text.data(), text.size()) || text.find('\0') != std::string_view::npos) {
    return fail(Code::invalid_field, "file " + path + ": not UTF-8 text");
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    KeyReader reader(path, keys);
    while (parser.HandleNextDocument(reader)) {
    }
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const YAML::Exception& error) {
    return fail(Code::invalid_field,
                "file " + path + ":" + std::to_string(error.mark.line + 1) + ": not YAML: " + error.msg);
  }
  return {};
}

}  // namespace tidemark::app
