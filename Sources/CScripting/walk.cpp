#include "internal/walk.h"

#include <cstdio>

namespace tidewheel {

bool fail(Problem &problem, size_t offset, const char *text) {
    snprintf(problem.text, sizeof problem.text, "%s", text);
    problem.offset = offset;
    return false;
}

namespace {

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

}  // namespace

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

// Checks one value, which each round of the loop begins with; `floor` is its depth.
template <bool watched>
bool Walk::run(uint32_t floor) {
    Field *field = &unused;
    Field inner{};
    while (true) {
        if (watched && is_told_to_stop()) return fail(0, "the call is over");
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
            if (depth == floor) {
                if (floor == 0 && !at_end()) return fail_here("text behind the end of the value");
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

template bool Walk::run<false>(uint32_t floor);
template bool Walk::run<true>(uint32_t floor);

// A value that is no string, the one before `at`; its kind and where it ends.
bool Walk::other_value(const char *start, Field &field, const char *&stop) {
    if (*start != '{' && *start != '[') return scalar(start, field.kind, field.value_escaped, stop);
    FieldList *outer = fields;
    fields = nullptr;
    at--;
    const bool sound = run<false>(1);
    fields = outer;
    stop = base + at[-1] + 1;
    field.kind = *start == '{' ? Kind::object : Kind::array;
    return sound;
}

// The outermost object in one go, when it is written as most are: no space before a colon and no
// escapes.  False means that `run` has to look at it from the start, which also finds the words
// for what is wrong.
bool Walk::usual_object() {
    if (has_escapes || at_end() || base[*at] != '{') return false;
    const char *const base = this->base;
    const uint32_t *place = at + 1;
    const uint32_t limit = this->limit, shift = uint32_t(text - base);
    const Shape::Key *expected = shape->keys, *expected_end = expected + shape->count;
    uint32_t count = 0;
    depth = 1;
    containers[0] = '{';
    while (true) {
        // Positions rise up to the sentinels, so these tests keep all four inside the text.
        const uint32_t opening = place[0], colon = place[1], value = place[2], next = place[3];
        if (!(opening < value && value < next && next < limit)) return false;
        if (base[opening] != '"' || base[colon] != ':' || base[colon - 1] != '"') return false;
        if (count == fields->capacity && !fields->grow()) return false;
        Field &field = fields->items[count];
        const uint32_t length = colon - opening - 2;
        if (expected != expected_end) {
            if (expected->fits(base + opening + 1, length)) field.tag = expected++->tag;
            else expected = expected_end = nullptr;
        }
        field.key_offset = opening + 1 - shift;
        field.key_length = length;
        field.value_offset = value - shift;
        field.key_escaped = field.value_escaped = false;
        field.state = 0;
        const char *start = base + value, *stop;
        place += 3;
        if (*start == '"') {
            field.kind = Kind::string;
            stop = base + next;
            while (stop[-1] != '"') stop--;  // Only spaces can stand there.
        } else {
            at = place;
            if (!other_value(start, field, stop)) return false;
            place = at;
        }
        field.value_length = uint32_t(stop - start);
        count++;
        const uint32_t behind = *place++;
        if (behind >= limit) return false;
        if (base[behind] == '}') break;
        if (base[behind] != ',') return false;
    }
    at = place;
    depth = 0;
    fields->count = count;
    if (expected && expected == expected_end && count == shape->count)
        fields->shape = shape->serial;
    return at_end();
}

}  // namespace tidewheel
