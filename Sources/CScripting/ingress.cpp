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
    // Whole lines whose structure was found in one go; nullptr when there are none.
    const char *window = nullptr;
    size_t window_length = 0;
    const uint32_t *next = nullptr;  // the first structural position not yet walked
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

void Ingress::prepare_lines(const char *text, size_t length) {
    auto &self = *implementation;
    Problem ignored;
    self.window = nullptr;
    // With an error somewhere in it, each line is looked at alone.
    if (!find_structure(text, length, ignored)) return;
    self.window = text;
    self.window_length = length;
    self.next = self.parser->structural_indexes.get();
}

// Where the first byte stands that is no UTF-8.
static size_t broken_place(const char *text, size_t length) {
    size_t at = 0;
    while (at < length) {
        auto lead = static_cast<unsigned char>(text[at]);
        size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (size > length - at || (size > 1 && !simdjson::validate_utf8(text + at, size))) break;
        at += size;
    }
    return at;
}

// Where the first control character inside a string stands; `length` when there is none.
static size_t control_place(const char *text, size_t length) {
    bool inside = false;
    for (size_t at = 0; at < length; at++) {
        if (text[at] == '"') inside = !inside;
        else if (inside && static_cast<unsigned char>(text[at]) < 0x20) return at;
        else if (inside && text[at] == '\\') at++;
    }
    return length;
}

void Ingress::forget_lines() { implementation->window = nullptr; }

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
    case simdjson::UTF8_ERROR:
        return fail(problem, broken_place(text, length), "not valid UTF-8");
    case simdjson::UNESCAPED_CHARS: {
        size_t at = control_place(text, length);
        return fail(problem, at, at < length ? "a control character inside a string"
                                             : "a string that never ends");
    }
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
    const char *base;     // structural positions count from here
    const char *text;
    size_t length;
    const uint32_t *at;   // the next structural position; a sentinel follows the last one
    uint32_t limit;       // where the text ends, counted from `base`
    bool has_escapes;
    uint8_t *containers;
    uint32_t depth_limit;
    FieldList *fields;    // of the outermost object, or nullptr
    Problem *problem;
    uint32_t depth = 0;
    Field unused{};       // takes what nobody wants to know

    bool fail(size_t offset, const char *message) const {
        return tidewheel::fail(*problem, offset, message);
    }
    bool fail_here(const char *message) const { return fail(offset_of(base + *at), message); }
    size_t offset_of(const char *place) const { return size_t(place - text); }
    bool at_end() const { return *at >= limit; }

    // Where the token that began before the next structural character ends.
    const char *token_end() const {
        const char *stop = base + (at_end() ? limit : *at);
        while (is_space(stop[-1])) stop--;
        return stop;
    }

    // Where the next member of the outermost object is noted; nullptr when out of memory.
    Field *next_field() {
        if (!fields) return &unused;
        if (fields->count == fields->capacity && !fields->grow()) return nullptr;
        return &fields->items[fields->count];
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
    if (at_end()) return fail(length, "the object never ends");
    const char *start = base + *at++;
    if (*start != '"') return fail(offset_of(start), "a field name in quotes is missing");
    const char *stop = token_end();
    field.key_escaped = false;
    if (has_escapes && !check_escapes(start + 1, stop - 1, field.key_escaped))
        return fail(offset_of(start), "an escape that JSON does not know");
    field.key_offset = uint32_t(start + 1 - text);
    field.key_length = uint32_t(stop - start - 2);
    if (at_end() || base[*at] != ':') return fail(offset_of(stop), "\":\" is missing");
    at++;
    return true;
}

bool Walk::open(const char *start) {
    if (depth >= depth_limit) return fail(offset_of(start), "nested too deeply");
    containers[depth++] = uint8_t(*start);
    return true;
}

bool Walk::run() {
    Field *field = &unused;
    Field inner{};
    while (true) {
        // A value is due.
        if (at_end()) return fail(length, "a value is missing");
        const char *start = base + *at++;
        if (*start == '{' || *start == '[') {
            if (depth == 1) field->value_offset = uint32_t(start - text);
            if (!open(start)) return false;
            bool empty = !at_end() && base[*at] == (*start == '{' ? '}' : ']');
            if (!empty) {
                if (depth == 1 && !(field = next_field()))
                    return fail(0, "out of memory while reading the line");
                if (*start == '{' && !key(depth == 1 ? *field : inner)) return false;
                continue;
            }
        } else {
            Kind kind = Kind::null;
            const char *stop;
            bool escaped = false;
            if (!scalar(start, kind, escaped, stop)) return false;
            if (depth == 1) {
                field->value_offset = uint32_t(start - text);
                field->value_length = uint32_t(stop - start);
                field->kind = kind;
                field->value_escaped = escaped;
                field->state = 0;
                if (fields) fields->count++;
            }
        }
        // Behind a value: "," or the ends of containers.
        while (true) {
            if (depth == 0) {
                if (!at_end()) return fail_here("text behind the end of the value");
                return true;
            }
            if (at_end()) return fail(length, "the text ends inside a value");
            char c = base[*at];
            uint8_t container = containers[depth - 1];
            if (c == (container == '{' ? '}' : ']')) {
                size_t stop = offset_of(base + *at++) + 1;
                if (--depth == 1) {
                    field->value_length = uint32_t(stop - field->value_offset);
                    field->kind = container == '{' ? Kind::object : Kind::array;
                    field->value_escaped = false;
                    field->state = 0;
                    if (fields) fields->count++;
                }
                continue;
            }
            if (c != ',') return fail_here("\",\" or the end of the value is missing");
            at++;
            if (depth == 1 && !(field = next_field()))
                return fail(0, "out of memory while reading the line");
            if (container == '{' && !key(depth == 1 ? *field : inner)) return false;
            break;
        }
    }
}

}  // namespace

bool Ingress::check(const char *text, size_t length, Problem &problem) {
    if (!find_structure(text, length, problem)) return false;
    auto &self = *implementation;
    Walk walk{text,    text, length, self.parser->structural_indexes.get(), uint32_t(length),
              memchr(text, '\\', length) != nullptr, self.containers.data(), self.depth_limit,
              nullptr, &problem};
    return walk.run();
}

bool Ingress::read_object(const char *text, size_t length, FieldList &fields, Problem &problem) {
    auto &self = *implementation;
    fields.count = 0;
    const char *base = self.window;
    if (base && (text < base || text + length > base + self.window_length)) base = nullptr;
    if (!base) {
        self.window = nullptr;
        if (!find_structure(text, length, problem)) return false;
        base = text;
        self.next = self.parser->structural_indexes.get();
    }
    const uint32_t limit = uint32_t(text - base + ptrdiff_t(length));
    const uint32_t start = uint32_t(text - base);
    while (*self.next < start) self.next++;
    if (*self.next >= limit) return fail(problem, 0, "no JSON value");
    Walk walk{base, text, length, self.next, limit, memchr(text, '\\', length) != nullptr,
              self.containers.data(), self.depth_limit, &fields, &problem};
    const bool is_object = base[*self.next] == '{';
    const size_t first = size_t(base + *self.next - text);
    const bool sound = walk.run();
    self.next = walk.at;
    if (sound && !is_object) return fail(problem, first, "not a JSON object");
    return sound;
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
