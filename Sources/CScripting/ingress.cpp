#include "internal/ingress.h"

#include <simdjson.h>

#include <cstdio>
#include <vector>

namespace tidewheel {

struct Ingress::Implementation {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
    size_t capacity = 0;
    uint32_t depth_limit;
    std::vector<uint8_t> containers;  // one per level: '{' or '['
};

Ingress::Ingress(uint32_t depth_limit) : implementation(new Implementation) {
    implementation->depth_limit = depth_limit;
    implementation->containers.resize(size_t(depth_limit) + 1);
}

Ingress::~Ingress() = default;

static bool fail(Problem &problem, size_t offset, const char *text) {
    snprintf(problem.text, sizeof problem.text, "%s", text);
    problem.offset = offset;
    return false;
}

bool Ingress::find_structure(const char *text, size_t length, Problem &problem) {
    constexpr size_t usual = 64 << 10;
    auto &self = *implementation;
    if (!self.parser || length > self.capacity || (self.capacity > usual && length <= usual)) {
        size_t capacity = length > usual ? length : usual;
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(
                capacity, 1, self.parser) != simdjson::SUCCESS) {
            self.parser.reset();
            return fail(problem, 0, "out of memory while reading the line");
        }
        self.capacity = capacity;
    }
    auto error = self.parser->stage1(
        reinterpret_cast<const uint8_t *>(text), length, simdjson::stage1_mode::regular);
    switch (error) {
    case simdjson::SUCCESS: return true;
    case simdjson::UTF8_ERROR: return fail(problem, 0, "not valid UTF-8");
    case simdjson::UNESCAPED_CHARS:
        return fail(
            problem, 0, "a control character inside a string (or a string that never ends)");
    case simdjson::UNCLOSED_STRING: return fail(problem, length, "a string that never ends");
    case simdjson::EMPTY: return fail(problem, 0, "no JSON value");
    default: return fail(problem, 0, simdjson::error_message(error));
    }
}

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// The grammar of RFC 8259 §6; `kind` tells an integer from the rest.
bool check_number(const char *at, const char *end, Kind &kind) {
    kind = Kind::integer;
    if (at < end && *at == '-') at++;
    if (at == end || !is_digit(*at)) return false;
    if (*at == '0') at++;
    else
        while (at < end && is_digit(*at)) at++;
    if (at < end && *at == '.') {
        kind = Kind::decimal;
        if (++at == end || !is_digit(*at)) return false;
        while (at < end && is_digit(*at)) at++;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        kind = Kind::decimal;
        if (++at < end && (*at == '+' || *at == '-')) at++;
        if (at == end || !is_digit(*at)) return false;
        while (at < end && is_digit(*at)) at++;
    }
    return at == end;
}

// Escapes inside a string (RFC 8259 §7); `escaped` tells whether there are any.
bool check_escapes(const char *at, const char *end, bool &escaped) {
    at = static_cast<const char *>(memchr(at, '\\', size_t(end - at)));
    escaped = at != nullptr;
    while (at) {
        if (end - at < 2) return false;
        char c = at[1];
        if (c == 'u') {
            if (end - at < 6) return false;
            for (int i = 2; i < 6; i++)
                if (!is_hex(at[i])) return false;
            at += 6;
        } else {
            if (c == 0 || !strchr("\"\\/bfnrt", c)) return false;
            at += 2;
        }
        at = static_cast<const char *>(memchr(at, '\\', size_t(end - at)));
    }
    return true;
}

// A walk over the structural characters of one text.
struct Walk {
    const char *text;
    size_t length;
    const uint32_t *at;   // the next structural position
    const uint32_t *end;  // behind the last one
    bool has_escapes;
    uint8_t *containers;
    uint32_t depth_limit;
    uint32_t depth = 0;
    FieldList *fields;  // of the outermost object, or nullptr
    Problem *problem;

    bool fail(size_t offset, const char *message) const {
        return tidewheel::fail(*problem, offset, message);
    }

    // Where the token that began before the next structural character ends.
    const char *token_end() const {
        const char *stop = at < end ? text + *at : text + length;
        while (is_space(stop[-1])) stop--;
        return stop;
    }

    bool scalar(const char *start, Kind &kind, bool &escaped, const char *&stop);
    bool key(Field &field);
    bool run();
    bool open(const char *start);
};

bool Walk::scalar(const char *start, Kind &kind, bool &escaped, const char *&stop) {
    stop = token_end();
    size_t size = size_t(stop - start);
    switch (*start) {
    case '"':
        kind = Kind::string;
        if (has_escapes && !check_escapes(start + 1, stop - 1, escaped))
            return fail(size_t(start - text), "an escape that JSON does not know");
        return true;
    case 't':
        kind = Kind::boolean;
        if (size == 4 && !memcmp(start, "true", 4)) return true;
        break;
    case 'f':
        kind = Kind::boolean;
        if (size == 5 && !memcmp(start, "false", 5)) return true;
        break;
    case 'n':
        kind = Kind::null;
        if (size == 4 && !memcmp(start, "null", 4)) return true;
        break;
    default:
        if (check_number(start, stop, kind)) return true;
        break;
    }
    return fail(size_t(start - text), "not a JSON value");
}

bool Walk::key(Field &field) {
    if (at == end) return fail(length, "the object never ends");
    const char *start = text + *at++;
    if (*start != '"') return fail(size_t(start - text), "a field name in quotes is missing");
    const char *stop = token_end();
    field.key_escaped = false;
    if (has_escapes && !check_escapes(start + 1, stop - 1, field.key_escaped))
        return fail(size_t(start - text), "an escape that JSON does not know");
    field.key_offset = uint32_t(start + 1 - text);
    field.key_length = uint32_t(stop - start - 2);
    if (at == end || text[*at] != ':') return fail(size_t(stop - text), "\":\" is missing");
    at++;
    return true;
}

bool Walk::open(const char *start) {
    if (depth >= depth_limit) return fail(size_t(start - text), "nested too deeply");
    containers[depth++] = uint8_t(*start);
    return true;
}

bool Walk::run() {
    Field field{};
    while (true) {
        // A value is due.
        if (at == end) return fail(length, "a value is missing");
        const char *start = text + *at++;
        if (*start == '{' || *start == '[') {
            if (depth == 1) field.value_offset = uint32_t(start - text);
            if (!open(start)) return false;
            bool empty = at < end && text[*at] == (*start == '{' ? '}' : ']');
            if (!empty) {
                Field inner{};
                if (*start == '{' && !key(depth == 1 ? field : inner)) return false;
                continue;
            }
        } else {
            Kind kind = Kind::null;
            const char *stop;
            field.value_escaped = false;
            if (!scalar(start, kind, field.value_escaped, stop)) return false;
            if (depth == 1 && fields) {
                field.value_offset = uint32_t(start - text);
                field.value_length = uint32_t(stop - start);
                field.kind = kind;
                if (fields->count == fields->capacity && !fields->grow())
                    return fail(0, "out of memory while reading the line");
                fields->items[fields->count++] = field;
            }
        }
        // Behind a value: "," or the ends of containers.
        while (true) {
            if (depth == 0) {
                if (at != end) return fail(*at, "text behind the end of the value");
                return true;
            }
            if (at == end) return fail(length, "the text ends inside a value");
            char c = text[*at];
            uint8_t container = containers[depth - 1];
            if (c == (container == '{' ? '}' : ']')) {
                size_t stop = size_t(*at++) + 1;
                if (--depth == 1 && fields) {
                    field.value_length = uint32_t(stop - field.value_offset);
                    field.kind = container == '{' ? Kind::object : Kind::array;
                    field.value_escaped = false;
                    if (fields->count == fields->capacity && !fields->grow())
                        return fail(0, "out of memory while reading the line");
                    fields->items[fields->count++] = field;
                }
                continue;
            }
            if (c != ',') return fail(*at, "\",\" or the end of the value is missing");
            at++;
            if (container == '{') {
                Field inner{};
                if (!key(depth == 1 ? field : inner)) return false;
            }
            break;
        }
    }
}

}  // namespace

bool Ingress::check(const char *text, size_t length, Problem &problem) {
    if (!find_structure(text, length, problem)) return false;
    auto &self = *implementation;
    const uint32_t *first = self.parser->structural_indexes.get();
    Walk walk{text,  length, first, first + self.parser->n_structural_indexes,
              memchr(text, '\\', length) != nullptr, self.containers.data(), self.depth_limit, 0,
              nullptr, &problem};
    return walk.run();
}

bool Ingress::read_object(const char *text, size_t length, FieldList &fields, Problem &problem) {
    fields.count = 0;
    if (!find_structure(text, length, problem)) return false;
    auto &self = *implementation;
    const uint32_t *first = self.parser->structural_indexes.get();
    Walk walk{text,  length, first, first + self.parser->n_structural_indexes,
              memchr(text, '\\', length) != nullptr, self.containers.data(), self.depth_limit, 0,
              &fields, &problem};
    if (!walk.run()) return false;
    if (text[*first] != '{') return fail(problem, *first, "not a JSON object");
    return true;
}

}  // namespace tidewheel


#include "CScripting.h"

tw_status tw_json_check(const char *text, size_t length, uint32_t depth_limit, size_t *offset) {
    tw_status status{};
    tidewheel::Ingress ingress(depth_limit);
    tidewheel::Problem problem;
    if (ingress.check(text, length, problem)) return status;
    status.code = TW_ERROR;
    snprintf(status.message, sizeof status.message, "%s", problem.text);
    *offset = problem.offset;
    return status;
}
