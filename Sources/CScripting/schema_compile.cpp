// JSON Schema (2020-12, the subset of the documentation) from its text to nodes.
#include <cstdio>
#include <cstring>

#include "internal/schema_nodes.h"

namespace tidewheel {

namespace {

struct Compiler {
    const char *text;
    tw_status *status;
    size_t *offset;
    int depth = 0;

    std::unique_ptr<SchemaNode> compile(const char *value, size_t length);

  private:
    bool fail(const char *at, const char *format, const char *name);
    bool read_keyword(SchemaNode &node, const std::string &name, const char *text,
                      const Field &field);
    bool read_types(SchemaNode &node, const char *value, const Field &field);
    bool read_properties(SchemaNode &node, const char *value, const Field &field);
    bool read_required(SchemaNode &node, const char *value, const Field &field);
    bool read_choices(SchemaNode &node, const char *value, const Field &field);
    bool read_bound(Bound &bound, const std::string &name, const char *value, const Field &field);
    bool read_length(int64_t &length, const std::string &name, const char *value,
                     const Field &field);
    bool read_pattern(SchemaNode &node, const char *value, const Field &field);
    bool read_format(SchemaNode &node, const char *value, const Field &field);
    bool read_additional(SchemaNode &node, const char *value, const Field &field);
};

struct Members {
    FieldList list;
    ~Members() { free(list.items); }
};

std::string decode(const char *text, size_t length) {
    std::string result(length, '\0');
    result.resize(decode_string(text, length, result.data()));
    return result;
}

std::string string_value(const char *value, const Field &field) {
    return decode(value + 1, field.value_length - 2);
}

bool Compiler::fail(const char *at, const char *format, const char *name) {
    if (status->code != TW_OK) return false;
    status->code = TW_ERROR;
    snprintf(status->message, sizeof status->message, format, name);
    *offset = size_t(at - text);
    return false;
}

uint8_t type_bit(const std::string &name) {
    static const struct {
        const char *name;
        uint8_t bit;
    } types[] = {{"null", type_null},     {"boolean", type_boolean}, {"integer", type_integer},
                 {"number", type_number}, {"string", type_string},   {"array", type_array},
                 {"object", type_object}};
    for (const auto &type : types)
        if (name == type.name) return type.bit;
    return 0;
}

bool Compiler::read_types(SchemaNode &node, const char *value, const Field &field) {
    Members members;
    if (field.kind == Kind::array) index_members(value, field.value_length, members.list);
    uint32_t count = field.kind == Kind::array ? members.list.count : 1;
    for (uint32_t i = 0; i < count; i++) {
        Field item = field.kind == Kind::array ? members.list.items[i] : field;
        const char *at = field.kind == Kind::array ? value + item.value_offset : value;
        if (item.kind != Kind::string)
            return fail(at, "\"%s\" must name a type, or several", "type");
        std::string name = string_value(at, item);
        uint8_t bit = type_bit(name);
        if (!bit)
            return fail(at, "there is no type \"%s\": null boolean integer number string array "
                            "object", name.c_str());
        node.types |= bit;
        if (!node.type_names.empty()) node.type_names += " or ";
        node.type_names += name;
    }
    return count > 0 || fail(value, "\"%s\" must not be empty", "type");
}

Property &property_named(SchemaNode &node, const std::string &name) {
    auto [place, is_new] = node.places.try_emplace(name, node.properties.size());
    if (is_new) node.properties.push_back(Property{name, nullptr, false});
    return node.properties[place->second];
}

bool Compiler::read_properties(SchemaNode &node, const char *value, const Field &field) {
    if (field.kind != Kind::object) return fail(value, "\"%s\" must be an object", "properties");
    Members members;
    index_members(value, field.value_length, members.list);
    std::vector<Property> required = std::move(node.properties);
    node.properties.clear();
    node.places.clear();
    for (uint32_t i = 0; i < members.list.count; i++) {
        const Field &member = members.list.items[i];
        auto child = compile(value + member.value_offset, member.value_length);
        if (!child) return false;
        property_named(node, decode(value + member.key_offset, member.key_length)).node =
            std::move(child);
    }
    for (Property &property : required) property_named(node, property.name).required = true;
    return true;
}

bool Compiler::read_required(SchemaNode &node, const char *value, const Field &field) {
    if (field.kind != Kind::array) return fail(value, "\"%s\" must be a list of names", "required");
    Members members;
    index_members(value, field.value_length, members.list);
    for (uint32_t i = 0; i < members.list.count; i++) {
        const Field &member = members.list.items[i];
        const char *at = value + member.value_offset;
        if (member.kind != Kind::string)
            return fail(at, "\"%s\" must be a list of names", "required");
        property_named(node, string_value(at, member)).required = true;
    }
    return true;
}

bool Compiler::read_choices(SchemaNode &node, const char *value, const Field &field) {
    if (field.kind != Kind::array) return fail(value, "\"%s\" must be a list of values", "enum");
    Members members;
    index_members(value, field.value_length, members.list);
    if (members.list.count == 0) return fail(value, "\"%s\" must not be empty", "enum");
    for (uint32_t i = 0; i < members.list.count; i++) {
        const Field &member = members.list.items[i];
        node.choices.emplace_back(value + member.value_offset, member.value_length);
        node.choices_text += (i ? ", " : "one of ") + node.choices.back();
    }
    // The scanners read a little beyond a text's end.
    for (std::string &choice : node.choices) choice.reserve(choice.size() + 64);
    return true;
}

bool is_number(const Field &field) {
    return field.kind == Kind::integer || field.kind == Kind::decimal;
}

bool Compiler::read_bound(
    Bound &bound, const std::string &name, const char *value, const Field &field) {
    if (!is_number(field)) return fail(value, "\"%s\" must be a number", name.c_str());
    bound.present = true;
    bound.number = parse_decimal(value, field.value_length);
    bound.is_integer = field.kind == Kind::integer &&
                       parse_integer(value, field.value_length, bound.integer);
    bound.text.assign(value, field.value_length);
    return true;
}

bool Compiler::read_length(
    int64_t &length, const std::string &name, const char *value, const Field &field) {
    if (field.kind != Kind::integer || !parse_integer(value, field.value_length, length) ||
        length < 0)
        return fail(value, "\"%s\" must be a whole number that is not negative", name.c_str());
    return true;
}

bool Compiler::read_pattern(SchemaNode &node, const char *value, const Field &field) {
    if (field.kind != Kind::string) return fail(value, "\"%s\" must be a text", "pattern");
    node.pattern_text = string_value(value, field);
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    node.pattern = std::make_unique<re2::RE2>(node.pattern_text, options);
    if (node.pattern->ok()) return true;
    return fail(value, "\"pattern\" is not a regular expression: %s",
                node.pattern->error().c_str());
}

bool Compiler::read_format(SchemaNode &node, const char *value, const Field &field) {
    if (field.kind != Kind::string) return fail(value, "\"%s\" must be a text", "format");
    std::string name = string_value(value, field);
    if (name != "date-time")
        return fail(value, "unknown format \"%s\"; this version knows \"date-time\"", name.c_str());
    node.is_time = true;
    return true;
}

bool Compiler::read_additional(SchemaNode &node, const char *value, const Field &field) {
    node.others = compile(value, field.value_length);
    if (!node.others) return false;
    node.refuses_others = node.others->never;
    return true;
}

const char *const keywords[] = {
    "type", "required", "properties", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "pattern", "format", "items",
    "additionalProperties", "$schema", "$id", "title", "description", "default", "examples",
    "version"};

size_t distance(const std::string &left, const std::string &right) {
    std::vector<size_t> row(right.size() + 1);
    for (size_t j = 0; j < row.size(); j++) row[j] = j;
    for (size_t i = 0; i < left.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < right.size(); j++) {
            size_t substitution = diagonal + (left[i] != right[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({substitution, row[j] + 1, diagonal + 1});
        }
    }
    return row[right.size()];
}

std::string unknown_keyword(const std::string &name) {
    std::string message = "unknown schema keyword \"" + name.substr(0, 200) + "\"";
    constexpr size_t longest = 40;  // of a name that could be meant for one of ours
    size_t limit = name.size() > longest ? 0 : std::max<size_t>(1, name.size() / 3);
    for (const char *keyword : keywords)
        if (limit && distance(name, keyword) <= limit)
            return message + "; did you mean \"" + keyword + "\"?";
    return message + "; this version does not check it";
}

bool Compiler::read_keyword(
    SchemaNode &node, const std::string &name, const char *base, const Field &field) {
    const char *value = base + field.value_offset;
    if (name == "type") return read_types(node, value, field);
    if (name == "required") return read_required(node, value, field);
    if (name == "properties") return read_properties(node, value, field);
    if (name == "enum") return read_choices(node, value, field);
    if (name == "const") {
        node.has_constant = true;
        node.constant.assign(value, field.value_length);
        node.constant.reserve(node.constant.size() + 64);
        return true;
    }
    if (name == "minimum") return read_bound(node.minimum, name, value, field);
    if (name == "maximum") return read_bound(node.maximum, name, value, field);
    if (name == "exclusiveMinimum") return read_bound(node.above, name, value, field);
    if (name == "exclusiveMaximum") return read_bound(node.below, name, value, field);
    if (name == "minLength") return read_length(node.shortest, name, value, field);
    if (name == "maxLength") return read_length(node.longest, name, value, field);
    if (name == "pattern") return read_pattern(node, value, field);
    if (name == "format") return read_format(node, value, field);
    if (name == "additionalProperties") return read_additional(node, value, field);
    if (name == "items") {
        node.items = compile(value, field.value_length);
        return node.items != nullptr;
    }
    for (const char *keyword : keywords)
        if (name == keyword) return true;  // An annotation: it says something to people only.
    return fail(base + field.key_offset - 1, "%s", unknown_keyword(name).c_str());
}

std::unique_ptr<SchemaNode> Compiler::compile(const char *value, size_t length) {
    auto node = std::make_unique<SchemaNode>();
    if (*value == 't' || *value == 'f') {
        node->never = *value == 'f';
        return node;
    }
    if (*value != '{') {
        fail(value, "a schema must be an object%s", "");
        return nullptr;
    }
    if (++depth > 64) {
        fail(value, "the schema is nested too deeply%s", "");
        return nullptr;
    }
    Members members;
    index_members(value, length, members.list);
    for (uint32_t i = 0; i < members.list.count; i++) {
        const Field &field = members.list.items[i];
        std::string name = decode(value + field.key_offset, field.key_length);
        if (!read_keyword(*node, name, value, field)) return nullptr;
    }
    depth--;
    return node;
}

}  // namespace

}  // namespace tidewheel

tw_schema *tw_schema_compile(
    const char *json, size_t length, tw_status *status, size_t *offset) {
    *status = tw_status{};
    auto schema = std::make_unique<tw_schema>();
    schema->text.assign(json, length);
    schema->text.append(64, '\0');
    const char *text = schema->text.data();
    tidewheel::Compiler compiler{text, status, offset};
    const char *start = tidewheel::skip_space(text, text + length);
    schema->root = compiler.compile(start, length - size_t(start - text));
    return schema->root ? schema.release() : nullptr;
}

void tw_schema_destroy(tw_schema *schema) { delete schema; }
