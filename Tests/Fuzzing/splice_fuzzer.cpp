// An object and edits, both made from the fuzzer's bytes: the record that comes out is compared
// with a slow model, in which whatever was not edited keeps its bytes.
#include <algorithm>

#include "fuzzing.h"

using namespace fuzzing;

// Edits arrive as a record of their own, and are made to the record behind it.
static const char rule[] = R"lua(
local edits
local function value_of(r, edit)
  if edit.from then
    local at = r
    for _, step in ipairs(edit.from) do at = at[step] end
    return at
  end
  return edit.value
end
function process(r)
  if r.edits then
    edits = json.decode(r.edits)
    return drop("edits")
  end
  for _, edit in ipairs(edits) do
    local at = r
    for _, step in ipairs(edit.path) do at = at[step] end
    if edit.expect then
      if #at ~= edit.expect then error("length " .. #at .. " of " .. tostring(at)) end
      local count = 0
      for k, v in pairs(at) do
        count = count + 1
        if v == nil then error("nil at " .. tostring(k)) end
      end
      if count ~= edit.expect then error("pairs " .. count .. " of " .. tostring(at)) end
    elseif edit.delete then at[edit.key] = nil
    else at[edit.key] = value_of(r, edit)
    end
  end
end
)lua";

static Machine *machine;

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    tw_vm_config config = Machine::config();
    machine = new Machine(config);
    machine->add_rule("edit", "rules/edit.lua", rule, 1'000'000'000);
    machine->end_in_sink();
    tw_status status = tw_vm_load(machine->vm);
    REQUIRE(status.code == TW_OK, "%s", status.message);
    return 0;
}

namespace {

// A value of the model; `raw` is right as long as nothing inside was edited.
struct Model {
    Json::Kind kind = Json::null;
    bool edited = false;  // a member of it, or one further inside, was edited
    bool is_new = false;  // written by the rule, so that only its meaning counts
    std::string raw;
    struct Member;
    std::vector<Member> members;

    size_t count() const;
};

struct Model::Member {
    std::string key, raw_key;  // no raw key: the rule made the member
    bool alive = true, added = false;
    Model value;
};

size_t Model::count() const {
    return size_t(std::count_if(
        members.begin(), members.end(), [](const Member &member) { return member.alive; }));
}

bool is_container(const Model &model) {
    return model.kind == Json::object || model.kind == Json::array;
}

Model from_json(const Json &json) {
    Model model;
    model.kind = json.kind;
    model.raw = json.raw;
    for (size_t i = 0; i < json.items.size(); i++) {
        bool named = json.kind == Json::object;
        model.members.push_back({named ? json.keys[i] : "", named ? json.raw_keys[i] : "", true,
                                 false, from_json(json.items[i])});
    }
    return model;
}

// What a value becomes on its way through a Lua table: the last of equal keys, in their order.
Model through_lua(Model model) {
    model.is_new = true;
    for (Model::Member &member : model.members) {
        member.raw_key.clear();
        member.value = through_lua(std::move(member.value));
    }
    if (model.kind != Json::object) return model;
    std::vector<Model::Member> sorted;
    for (Model::Member &member : model.members) {
        auto same = [&](const Model::Member &other) { return other.key == member.key; };
        sorted.erase(std::remove_if(sorted.begin(), sorted.end(), same), sorted.end());
        sorted.push_back(std::move(member));
    }
    std::sort(sorted.begin(), sorted.end(), [](const auto &a, const auto &b) {
        return a.key < b.key;
    });
    model.members = std::move(sorted);
    return model;
}

// What an assignment copies: the value as it would be written now, without what was deleted.
Model copied(const Model &model) {
    Model copy = model;
    copy.is_new = model.is_new || !is_container(model);
    copy.members.clear();
    for (const Model::Member &member : model.members) {
        if (!member.alive) continue;
        Model value = member.value;
        if (is_container(value)) value = copied(value);
        copy.members.push_back({member.key, member.raw_key, true, false, std::move(value)});
    }
    return copy;
}

// The member that a script reads under this key, dead or alive: the last one of the text.
Model::Member *find(Model &object, const std::string &key) {
    Model::Member *found = nullptr;
    for (Model::Member &member : object.members)
        if (member.key == key && (!found || !member.added)) found = &member;
    return found;
}

void set_member(Model &object, const std::string &key, const Model *value) {
    Model::Member *found = find(object, key);
    if (!found) {
        if (value) object.members.push_back({key, "", true, true, *value});
        return;
    }
    if (found->added && !found->alive && value) {  // It comes back at the end.
        Model::Member member = *found;
        object.members.erase(object.members.begin() + (found - object.members.data()));
        object.members.push_back(member);
        found = &object.members.back();
    }
    for (Model::Member &member : object.members)
        if (member.key == key) member.alive = false;
    found->alive = value != nullptr;
    if (value) found->value = *value;
}

std::string quote(const std::string &text) {
    std::string out = "\"";
    for (char c : text) {
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", uint8_t(c));
        if (uint8_t(c) < 0x20 || c == '"' || c == '\\') out += escape;
        else out += c;
    }
    return out + "\"";
}

// Makes texts with all that a foreign program may write: white space, escapes, repeated keys.
struct Generator {
    Choices choices;

    std::string space() {
        static const std::vector<const char *> spaces = {"", "", "", "", " ", "  ", "\t", "\r "};
        return choices.word(spaces);
    }
    std::string key() {
        static const std::vector<const char *> keys = {
            "a", "b", "c", "key", "list", "copy", "", "a\\u0062", "\\u0061", "\xC3\xA9", "\\n",
            "a rather long name of a field", "\\ud83d\\ude42", "\\ud83d", "x0", "x1", "x2", "x3"};
        if (choices.below(3) == 0)  // Enough of them need a hash.
            return "n" + std::to_string(choices.below(60));
        return choices.word(keys);
    }
    std::string scalar() {
        static const std::vector<const char *> scalars = {
            "0", "1", "-1", "-0", "1.10", "1e400", "9223372036854775807", "9223372036854775808",
            "1234567890123456789012345678901234567890", "0.1", "1E+2", "true", "false", "null",
            "\"\"", "\"x\"", "\"\\u0000\"", "\"[{\\\"\"", "\"\xF0\x9F\x99\x82\"", "\"\\ud800\"",
            "\"a text that is longer than sixteen bytes, with \\\\ and \\\" in it\""};
        return choices.word(scalars);
    }
    std::string value(uint32_t depth) {
        uint32_t kind = choices.below(8);
        if (kind == 0 && depth < 6) return container('{', depth);
        if (kind == 1 && depth < 6) return container('[', depth);
        return scalar();
    }
    std::string container(char open, uint32_t depth) {
        std::string out(1, open);
        uint32_t kind = choices.below(16), count = kind == 15 ? 40 : kind;
        if (depth > 2) count %= 4;
        for (uint32_t i = 0; i < count; i++) {
            out += (i ? "," : "") + space();
            if (open == '{') out += "\"" + key() + "\"" + space() + ":" + space();
            out += value(depth + 1) + space();
        }
        if (count == 0) out += space();
        return out + (open == '{' ? "}" : "]");
    }
};

}  // namespace

namespace {

// The edits made so far, as JSON for the rule, and what they did to the model.
struct Editor {
    Generator &generator;
    Model &root;
    std::string edits = "";

    Choices &choices() { return generator.choices; }

    // The containers from the root to where the walk ends, and the steps as a JSON list.
    std::vector<Model *> walk(std::string &steps) {
        std::vector<Model *> path{&root};
        steps = "[";
        while (choices().below(3)) {
            Model &at = *path.back();
            std::vector<size_t> inner;
            for (size_t i = 0; i < at.members.size(); i++) {
                Model::Member &member = at.members[i];
                if (!member.alive || !is_container(member.value)) continue;
                if (at.kind == Json::array || find(at, member.key) == &member) inner.push_back(i);
            }
            if (inner.empty()) break;
            size_t index = inner[choices().below(uint32_t(inner.size()))];
            Model::Member &member = at.members[index];
            if (path.size() > 1) steps += ",";
            steps += at.kind == Json::array ? std::to_string(index + 1) : quote(member.key);
            path.push_back(&member.value);
        }
        steps += "]";
        return path;
    }

    void add(const std::string &edit) { edits += (edits.empty() ? "" : ",") + ("{" + edit + "}"); }

    // A value for an assignment, and how the rule gets it; false when it could not be stored.
    bool pick_value(Model &value, std::string &source) {
        if (choices().below(3) == 0) {
            std::string steps;
            Model &from = *walk(steps).back();
            if (&from == &root) return false;
            value = copied(from);
            source = "\"from\":" + steps;
            return true;
        }
        std::string text = generator.value(3);
        Json json;
        REQUIRE(JsonReader::read(text, 100, json), "%s", text.c_str());
        if (text.find("1e400") != std::string::npos) return false;
        value = through_lua(from_json(json));
        source = "\"value\":" + text;
        return true;
    }

    void edit() {
        std::string steps, source, place;
        std::vector<Model *> path = walk(steps);
        uint32_t action = choices().below(6);
        if (action == 0) {
            add("\"path\":" + steps + ",\"expect\":" + std::to_string(path.back()->count()));
            return;
        }
        bool erase = action == 1;
        Model value;
        if (!erase && !pick_value(value, source)) return;
        Model &target = *path.back();
        if (target.kind == Json::array) {
            size_t count = target.members.size();
            size_t index = erase || count == 0 ? count : choices().below(uint32_t(count) + 1);
            if (erase && count == 0) return;
            place = std::to_string(erase ? count : index + 1);
            if (erase) target.members.pop_back();
            else if (index == count) target.members.push_back({"", "", true, true, value});
            else target.members[index].value = value;
        } else {
            std::string key = JsonReader::decode(generator.key());
            place = quote(key);
            if (erase && !find(target, key)) path.clear();  // Nothing changes.
            set_member(target, key, erase ? nullptr : &value);
        }
        add("\"path\":" + steps + ",\"key\":" + place + "," +
            (erase ? "\"delete\":true" : source));
        for (Model *container : path) container->edited = true;
    }
};

bool same_scalar(const Model &model, const Json &json) {
    if (!model.is_new) return json.raw == model.raw;
    auto inside = [](const std::string &raw) {
        return JsonReader::decode(std::string_view(raw).substr(1, raw.size() - 2));
    };
    auto number = [](const std::string &raw) { return strtod(raw.c_str(), nullptr); };
    switch (model.kind) {
    case Json::string: return inside(json.raw) == inside(model.raw);
    case Json::number: return number(json.raw) == number(model.raw);
    default: return json.raw == model.raw;
    }
}

bool same(const Model &model, const Json &json) {
    if (model.kind != json.kind) return false;
    if (!is_container(model)) return same_scalar(model, json);
    if (!model.edited && !model.is_new) return json.raw == model.raw;
    if (model.count() != json.items.size()) return false;
    size_t index = 0;
    for (const Model::Member &member : model.members) {
        if (!member.alive) continue;
        if (model.kind == Json::object && member.key != json.keys[index]) return false;
        if (!member.raw_key.empty() && member.raw_key != json.raw_keys[index]) return false;
        if (!same(member.value, json.items[index++])) return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    Generator generator{{data, data + length}};
    std::string text = generator.container('{', 0);
    Json before, after;
    REQUIRE(JsonReader::read(text, 100, before), "%s", text.c_str());
    Model root = from_json(before);
    Editor editor{generator, root};
    for (int i = 0; i < 20 && generator.choices.left(); i++) editor.edit();
    std::string edits = "{\"edits\":" + quote("[" + editor.edits + "]") + "}";
    machine->run(edits + "\n" + text + "\n");
    std::vector<std::string> rows = machine->rows(0), letters = machine->rows(1);
    const char *letter = letters.empty() ? "" : letters[0].c_str();
    REQUIRE(rows.size() == 1, "\n%s\n%s\n%s", text.c_str(), editor.edits.c_str(), letter);
    REQUIRE(JsonReader::read(rows[0], 300, after) && same(root, after), "\n%s\n%s\n%s",
            text.c_str(), editor.edits.c_str(), rows[0].c_str());
    return 0;
}
