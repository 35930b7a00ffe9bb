// Checking a record against a schema: no memory is taken for one that conforms.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <unordered_map>

#include "internal/schema_nodes.h"
#include "internal/schema.h"

namespace tidewheel {

namespace {

// The members of one object or array. The memory of a short list serves the next one of the thread.
struct Lists {
    FieldList list;

    Lists() : list(spare.list) { spare.list = FieldList{}; }
    ~Lists() {
        if (spare.list.items || list.capacity > kept) {
            free(list.items);
            return;
        }
        spare.list.items = list.items;
        spare.list.capacity = list.capacity;
    }
    Lists(const Lists &) = delete;
    Lists &operator=(const Lists &) = delete;

private:
    static constexpr uint32_t kept = 256;
    struct Spare {
        FieldList list;
        ~Spare() { free(list.items); }
    };
    static inline thread_local Spare spare;
};

struct Path {
    const Path *parent;
    const char *name;  // or nullptr for an element
    size_t length, index;

    size_t write(char *out, size_t size) const {
        size_t at = parent ? parent->write(out, size) : 0;
        if (!parent) return 0;
        const char *dot = at ? "." : "";
        int written = name ? snprintf(out + at, size - at, "%s%.*s", dot, int(length), name)
                           : snprintf(out + at, size - at, "[%zu]", index);
        return written < 0 ? at : std::min(at + size_t(written), size - 1);
    }
};

struct Validator {
    const char *text;
    Findings &findings;

    void object(const SchemaNode &node, const char *base, const FieldList &fields,
                const Path &path);
    void value(const SchemaNode &node, const char *base, const Field &field, const Path &path);

  private:
    void add(const Path &path, const char *problem, const char *value, size_t length,
             const char *rule);
    void number(const SchemaNode &node, const char *at, const Field &field, const Path &path);
    void string(const SchemaNode &node, const char *at, const Field &field, const Path &path);
    void bound(const Bound &bound, bool kept, const char *words, const char *at,
               const Field &field, const Path &path);
};

void Validator::add(
    const Path &path, const char *problem, const char *value, size_t length, const char *rule) {
    findings.total++;
    if (findings.count >= Findings::limit) return;
    Finding &finding = findings.items[findings.count++];
    finding.field[0] = 0;
    path.write(finding.field, sizeof finding.field);
    finding.problem = problem;
    finding.value_offset = value ? uint32_t(value - text) : 0;
    finding.value_length = uint32_t(length);
    size_t size = std::min(strlen(rule), sizeof finding.rule - 1);
    while (size > 0 && size < strlen(rule) && (rule[size] & 0xC0) == 0x80) size--;
    memcpy(finding.rule, rule, size);
    finding.rule[size] = 0;
    // A name or rule that was cut inside a character would make the dead letter invalid.
    size_t end = strlen(finding.field);
    while (end > 0 && !valid_utf8(finding.field, end)) finding.field[--end] = 0;
}

bool is_whole(const char *at, size_t length) {
    double value = parse_decimal(at, length);
    return std::isfinite(value) && value == std::floor(value);
}

uint8_t type_of(const char *at, const Field &field) {
    switch (field.kind) {
    case Kind::null: return type_null;
    case Kind::boolean: return type_boolean;
    case Kind::integer: return type_integer | type_number;
    case Kind::decimal:
        return is_whole(at, field.value_length) ? type_integer | type_number : type_number;
    case Kind::string: return type_string;
    case Kind::array: return type_array;
    default: return type_object;
    }
}

// -1, 0 or 1: the value against the bound, exactly where both are integers.
int compare(const char *at, const Field &field, const Bound &bound) {
    int64_t integer;
    if (bound.is_integer && field.kind == Kind::integer &&
        parse_integer(at, field.value_length, integer))
        return integer < bound.integer ? -1 : integer > bound.integer;
    double number = parse_decimal(at, field.value_length);
    return number < bound.number ? -1 : number > bound.number;
}

void Validator::bound(
    const Bound &bound, bool kept, const char *words, const char *at, const Field &field,
    const Path &path) {
    if (kept) return;
    char rule[128];
    snprintf(rule, sizeof rule, "%s %s", words, bound.text.c_str());
    add(path, "range", at, field.value_length, rule);
}

void Validator::number(
    const SchemaNode &node, const char *at, const Field &field, const Path &path) {
    if (node.minimum.present)
        bound(node.minimum, compare(at, field, node.minimum) >= 0, "at least", at, field, path);
    if (node.maximum.present)
        bound(node.maximum, compare(at, field, node.maximum) <= 0, "at most", at, field, path);
    if (node.above.present)
        bound(node.above, compare(at, field, node.above) > 0, "more than", at, field, path);
    if (node.below.present)
        bound(node.below, compare(at, field, node.below) < 0, "less than", at, field, path);
}

int64_t count_characters(const char *at, size_t length) {
    int64_t count = 0;
    for (size_t i = 0; i < length; i++) count += (at[i] & 0xC0) != 0x80;
    return count;
}

void Validator::string(
    const SchemaNode &node, const char *at, const Field &field, const Path &path) {
    const char *inside = at + 1;
    size_t length = field.value_length - 2;
    char *decoded = nullptr;
    if (field.value_escaped || memchr(inside, '\\', length)) {
        decoded = static_cast<char *>(malloc(length + 1));
        if (!decoded) return;
        length = decode_string(inside, length, decoded);
        inside = decoded;
    }
    char rule[200];
    if (node.shortest >= 0 || node.longest >= 0) {
        int64_t count = count_characters(inside, length);
        bool too_short = node.shortest >= 0 && count < node.shortest;
        if (too_short || (node.longest >= 0 && count > node.longest)) {
            snprintf(rule, sizeof rule, "%s %lld characters", too_short ? "at least" : "at most",
                     static_cast<long long>(too_short ? node.shortest : node.longest));
            add(path, "length", at, field.value_length, rule);
        }
    }
    if (node.pattern && !re2::RE2::PartialMatch(re2::StringPiece(inside, length), *node.pattern)) {
        snprintf(rule, sizeof rule, "matches %s", node.pattern_text.c_str());
        add(path, "pattern", at, field.value_length, rule);
    }
    int64_t milliseconds;
    if (node.is_time && !parse_timestamp(inside, length, milliseconds))
        add(path, "format", at, field.value_length, "date-time");
    free(decoded);
}

bool matches(const std::string &wanted, const char *at, const Field &field) {
    if (wanted.size() == field.value_length && !memcmp(wanted.data(), at, wanted.size()))
        return true;
    // Different bytes can mean the same value only where there is more than one spelling.
    bool plain = field.kind == Kind::string && !field.value_escaped &&
                 !memchr(at, '\\', field.value_length) && wanted[0] == '"' &&
                 wanted.find('\\') == std::string::npos;
    return !plain && equal_json(wanted.data(), wanted.size(), at, field.value_length);
}

void Validator::value(
    const SchemaNode &node, const char *base, const Field &field, const Path &path) {
    const char *at = base + field.value_offset;
    if (node.never) {
        add(path, "unknown", at, field.value_length, "not allowed");
        return;
    }
    if (node.types && !(node.types & type_of(at, field))) {
        add(path, "type", at, field.value_length, node.type_names.c_str());
        return;
    }
    if (!node.choices.empty()) {
        bool found = false;
        for (const std::string &choice : node.choices) found = found || matches(choice, at, field);
        if (!found) add(path, "enum", at, field.value_length, node.choices_text.c_str());
    }
    if (node.has_constant && !matches(node.constant, at, field))
        add(path, "const", at, field.value_length, node.constant.c_str());
    switch (field.kind) {
    case Kind::integer: case Kind::decimal: number(node, at, field, path); break;
    case Kind::string: string(node, at, field, path); break;
    case Kind::object: {
        if (node.properties.empty() && !node.others) break;
        Lists members;
        if (index_members(at, field.value_length, members.list))
            object(node, at, members.list, path);
        break;
    }
    case Kind::array: {
        if (!node.items) break;
        Lists members;
        if (!index_members(at, field.value_length, members.list)) break;
        for (uint32_t i = 0; i < members.list.count; i++)
            value(*node.items, at, members.list.items[i], Path{&path, nullptr, 0, i});
        break;
    }
    default: break;
    }
}

// The last member of that name; records mostly have their fields where the last property's
// successor stands, so that place is tried first.
const Field *find_member(
    const char *base, const FieldList &fields, const std::string &name, uint32_t &guess) {
    auto is_named = [&](const Field &field) {
        return field.key_escaped ? key_equals(base, field, name.data(), name.size())
                                 : field.key_length == name.size() &&
                                       !memcmp(base + field.key_offset, name.data(), name.size());
    };
    const Field *found = nullptr;
    uint32_t from = fields.count;
    while (from-- > 0) {
        if (!is_named(fields.items[from])) continue;
        found = &fields.items[from];
        break;
    }
    guess = from + 1;
    return found;
}

// The members of a large object by their names; of repeated names the last one.
class MemberIndex {
  public:
    MemberIndex(const char *base, const FieldList &fields) {
        places.reserve(fields.count);
        for (uint32_t i = 0; i < fields.count; i++)
            places[name_of(base, fields.items[i])] = &fields.items[i];
    }
    const Field *find(std::string_view name) const {
        auto place = places.find(name);
        return place == places.end() ? nullptr : place->second;
    }
    // The decoded name, which lives as long as the index.
    std::string_view name_of(const char *base, const Field &field) {
        std::string_view raw(base + field.key_offset, field.key_length);
        if (!field.key_escaped) return raw;
        std::string &name = decoded.emplace_back(raw.size(), '\0');
        name.resize(decode_string(raw.data(), raw.size(), name.data()));
        return name;
    }

  private:
    std::unordered_map<std::string_view, const Field *> places;
    std::deque<std::string> decoded;
};

// Whether looking at each member for each name would take long.
bool is_large(size_t names, uint32_t members) { return names * members > 100'000; }

void Validator::object(
    const SchemaNode &node, const char *base, const FieldList &fields, const Path &path) {
    uint32_t guess = 0;
    std::optional<MemberIndex> index;
    if (is_large(node.properties.size(), fields.count)) index.emplace(base, fields);
    for (const Property &property : node.properties) {
        Path inner{&path, property.name.data(), property.name.size(), 0};
        const Field *field = index ? index->find(property.name)
                                   : find_member(base, fields, property.name, guess);
        if (!field) {
            if (property.required) add(inner, "missing", nullptr, 0, "required");
        } else if (property.node) {
            value(*property.node, base, *field, inner);
        }
    }
    if (!node.others) return;
    for (uint32_t i = 0; i < fields.count; i++) {
        const Field &field = fields.items[i];
        bool known = false;
        if (index) {
            auto place = node.places.find(index->name_of(base, field));
            known = place != node.places.end() && node.properties[place->second].node;
        } else {
            for (const Property &property : node.properties)
                known = known || (property.node && key_equals(base, field, property.name.data(),
                                                              property.name.size()));
        }
        if (known) continue;
        char name[128];
        size_t length = field.key_length;
        const char *key = base + field.key_offset;
        if (field.key_escaped && length < sizeof name) {
            length = decode_string(key, length, name);
            key = name;
        }
        value(*node.others, base, field, Path{&path, key, length, 0});
    }
}

}  // namespace

bool schema_validate(
    const tw_schema *schema, const char *text, size_t length, const FieldList &fields,
    Findings &findings) {
    (void)length;
    findings.count = findings.total = 0;
    Validator validator{text, findings};
    const SchemaNode &root = *schema->root;
    Path path{nullptr, nullptr, 0, 0};
    Field whole{};
    whole.value_length = uint32_t(length);
    whole.kind = Kind::object;
    if (root.never || (root.types && !(root.types & type_object)) || !root.choices.empty() ||
        root.has_constant) {
        validator.value(root, text, whole, path);
    } else {
        validator.object(root, text, fields, path);
    }
    return findings.total == 0;
}

// ---- equality of values

static bool equal_numbers(const char *left, size_t n, const char *right, size_t m) {
    int64_t a, b;
    if (parse_integer(left, n, a) && parse_integer(right, m, b)) return a == b;
    return parse_decimal(left, n) == parse_decimal(right, m);
}

static bool equal_strings(const char *left, size_t n, const char *right, size_t m) {
    std::string a(n, '\0'), b(m, '\0');
    a.resize(decode_string(left, n, a.data()));
    b.resize(decode_string(right, m, b.data()));
    return a == b;
}

static bool equal_members(
    const char *left, const FieldList &a, const char *right, const FieldList &b, bool is_object) {
    if (a.count != b.count) return false;
    std::optional<MemberIndex> index;
    if (is_object) index.emplace(right, b);
    for (uint32_t i = 0; i < a.count; i++) {
        const Field &field = a.items[i];
        const Field *other = is_object ? index->find(index->name_of(left, field)) : &b.items[i];
        if (!other || !equal_json(left + field.value_offset, field.value_length,
                                  right + other->value_offset, other->value_length))
            return false;
    }
    return true;
}

bool equal_json(const char *left, size_t n, const char *right, size_t m) {
    auto is_number = [](char c) { return c == '-' || (c >= '0' && c <= '9'); };
    if (is_number(*left)) return is_number(*right) && equal_numbers(left, n, right, m);
    if (*left != *right) return false;
    if (*left == '"') return equal_strings(left + 1, n - 2, right + 1, m - 2);
    if (*left != '{' && *left != '[') return true;  // true, false and null begin differently
    Lists a, b;
    return index_members(left, n, a.list) && index_members(right, m, b.list) &&
           equal_members(left, a.list, right, b.list, *left == '{');
}

}  // namespace tidewheel
