// What an author saw: the present, with the changes of others taken back as far as the author has not heard of them.
#include <map>
#include <utility>

#include "document/engine/state.h"
#include "document/engine/text_diff.h"

namespace tidemark::document::engine {
namespace {

using Place = std::pair<std::string, std::string>;  // object, register

std::string seen_by(const Text& text, uint64_t seen, std::string_view session) {
  return json_string(text.seen(text.since(seen, session)));
}

// Where the author's view differs from the present. Others' changes count as it was before the first of them, own ones
// as it was after the last.
class View {
 public:
  View(uint64_t seen, std::string_view session) : seen_(seen), session_(session) {}

  void add(const Change& change, const SharedText& by) {
    const bool own = !session_.empty() && by == session_;
    const Place place(change.object, change.key);
    switch (change.what) {
      case Change::What::created:
        set(exists_, change.object, own, own);
        break;
      case Change::What::removed:
        set(exists_, change.object, !own, own);
        break;
      case Change::What::text:
        set(values_, place, std::optional<std::string>(), own);
        break;
      case Change::What::value:
        if (own) {
          clear_around(place, !change.after.empty());
          set(values_, place, std::optional(change.after), true);
        } else if (change.before.text == nullptr) {
          set(values_, place, std::optional(change.before.json), false);
        } else if (const auto known = values_.find(place); known == values_.end() || !known->second) {
          set(values_, place, std::optional(seen_by(*change.before.text, seen_, session_)), true);
        }
        break;
    }
  }

  // What the register held, which is one of values().
  std::string shown(const Place& place, const Register* now) const {
    const std::optional<std::string>& value = values_.at(place);
    const Text* const text = now != nullptr ? now->cell.text.get() : nullptr;
    if (value && value->empty()) {
      return {};
    }
    if (text != nullptr && !is_concurrent(text->origin().version, text->origin().session, seen_, session_)) {
      return seen_by(*text, seen_, session_);
    }
    return value.value_or(std::string());
  }

  const std::map<std::string, bool>& exists() const { return exists_; }
  // nullopt: it was a text, and still is.
  const std::map<Place, std::optional<std::string>>& values() const { return values_; }

 private:
  template <class Map>
  static void set(Map& map, const typename Map::key_type& key, typename Map::mapped_type value, bool again) {
    if (again) {
      map.insert_or_assign(key, std::move(value));
    } else {
      map.emplace(key, std::move(value));
    }
  }

  // What stands above or below a register that the author wrote is gone for the author, although others may have
  // removed it before.
  void clear_around(const Place& place, bool above_too) {
    const auto& [object, key] = place;
    if (object.empty()) {
      return;
    }
    for (size_t dot = key.find('.'); above_too && dot != std::string::npos; dot = key.find('.', dot + 1)) {
      if (const auto above = values_.find(Place(object, key.substr(0, dot))); above != values_.end()) {
        above->second = std::string();
      }
    }
    for (auto below = values_.lower_bound(Place(object, key + '.'));
         below != values_.end() && below->first.first == object && is_below(below->first.second, key); ++below) {
      below->second = std::string();
    }
  }

  uint64_t seen_;
  std::string_view session_;
  std::map<std::string, bool> exists_;
  std::map<Place, std::optional<std::string>> values_;
};

void put(PlainObject& object, const std::string& key, std::string value) {
  if (value.empty()) {
    object.erase(key);
  } else {
    object.insert_or_assign(key, std::move(value));
  }
}

}  // namespace

Plain Document::State::plain(uint64_t seen, std::string_view session) const {
  Plain result = plain();
  View view(seen, session);
  for (auto entry = after(seen); entry != history.end(); ++entry) {
    for (const Change& change : entry->changes) {
      view.add(change, entry->session);
    }
  }
  for (const auto& [id, exists] : view.exists()) {
    if (exists) {
      result[id];
    } else {
      result.erase(id);
    }
  }
  for (const auto& [place, value] : view.values()) {
    if (const auto found = result.find(place.first); found != result.end()) {
      put(found->second, place.second, view.shown(place, find(place.first, place.second)));
    }
  }
  return result;
}

PlainObject Document::State::object(const std::string& id, uint64_t seen, std::string_view session) const {
  PlainObject result;
  if (const Object* const now = find(id)) {
    for (const auto& [key, field] : now->registers) {
      put(result, key, field.cell.value());
    }
  }
  View view(seen, session);
  for (auto entry = after(seen); entry != history.end(); ++entry) {
    for (const Change& change : entry->changes) {
      if (change.object == id) {
        view.add(change, entry->session);
      }
    }
  }
  for (const auto& [place, value] : view.values()) {
    put(result, place.second, view.shown(place, find(id, place.second)));
  }
  return result;
}

std::shared_ptr<Text> Document::State::text_of(std::string_view object, std::string_view key) const {
  const Register* const now = find(object, key);
  if (now != nullptr && now->cell.text != nullptr) {
    return now->cell.text;
  }
  if (now != nullptr && !now->cell.empty() && !now->cell.is_string()) {
    return nullptr;
  }
  // What was written as a whole becomes steps, from the oldest value that history knows of, or from where it was
  // something else.
  std::shared_ptr<Text> text;
  for (const Entry& entry : history) {
    for (const Change& change : entry.changes) {
      if (change.object != object || change.key != key || change.what != Change::What::value) {
        continue;
      }
      const std::string& before = change.before.json;
      const bool was_text = change.before.text == nullptr && (before.empty() || before.front() == '"');
      const bool is_text = change.after.empty() || change.after.front() == '"';
      if (!was_text || !is_text) {
        text = std::make_shared<Text>(std::string(), Text::Origin{entry.version, entry.session});
      } else if (text == nullptr) {
        text = std::make_shared<Text>(before.empty() ? std::string() : text_of_json(before));
      }
      const bool has_text = is_text && !change.after.empty();
      const std::string value = has_text ? text_of_json(change.after) : std::string();
      text->apply(entry.version, entry.session, text_diff(text->str(), value));
    }
  }
  if (text == nullptr) {
    text = std::make_shared<Text>(now != nullptr && !now->cell.empty() ? text_of_json(now->cell.json) : std::string());
  }
  return text;
}

}  // namespace tidemark::document::engine
