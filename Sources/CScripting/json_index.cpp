// Shallow indexes over JSON text that is already known to be valid.
#include "internal/json_index.h"

#include <cstdlib>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tidewheel {

bool FieldList::grow() {
    // Large lists grow in steps, so that a call which fills one is stopped in time.
    constexpr uint32_t step = 64 << 10;
    uint32_t wanted = !capacity ? 32 : capacity < step ? capacity * 2 : capacity + step;
    if (wanted > limit || (stop && *stop)) return false;
    Field *moved = static_cast<Field *>(realloc(items, sizeof(Field) * wanted));
    if (!moved) return false;
    items = moved;
    capacity = wanted;
    return true;
}

const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
    return at;
}

// The closing quote of the string whose first character is at `at`.
static const char *string_end(const char *at, const char *end, bool &escaped) {
    while (at < end) {
#if defined(__SSE2__)
        __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
        int quotes = _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')));
        int backslashes = _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
        int found = quotes | backslashes;
        if (!found) {
            at += 16;
            continue;
        }
        at += __builtin_ctz(unsigned(found));
#else
        while (at < end && *at != '"' && *at != '\\') at++;
#endif
        if (at >= end || *at == '"') break;
        escaped = true;
        at += 2;
    }
    return at < end ? at : end;
}

// The end of an object or array; brackets inside strings do not count.
static const char *container_end(const char *at, const char *end, StopFlag stop) {
    constexpr ptrdiff_t piece = ptrdiff_t(Toll::unit);
    size_t depth = 0;
    bool escaped;
    const char *pause = at;
    while (at < end) {
        if (at >= pause) {
            if (stop && *stop) return end;
            pause = end - at < piece ? end : at + piece;
        }
#if defined(__SSE2__)
        // '[' and '{', ']' and '}' differ in one bit, so two comparisons find all four.
        __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
        __m128i folded = _mm_or_si128(block, _mm_set1_epi8(0x20));
        __m128i brackets = _mm_or_si128(
            _mm_cmpeq_epi8(folded, _mm_set1_epi8('{')), _mm_cmpeq_epi8(folded, _mm_set1_epi8('}')));
        int found = _mm_movemask_epi8(
            _mm_or_si128(brackets, _mm_cmpeq_epi8(block, _mm_set1_epi8('"'))));
        if (!found) {
            at += 16;
            continue;
        }
        at += __builtin_ctz(unsigned(found));
        if (at >= end) break;
#endif
        switch (*at) {
        case '"': at = string_end(at + 1, end, escaped); break;
        case '{': case '[': depth++; break;
        case '}': case ']':
            if (--depth == 0) return at + 1;
            break;
        }
        at++;
    }
    return end;
}

uint32_t nesting_depth(const char *text, size_t length) {
    const char *end = text + length;
    uint32_t depth = 0, deepest = 0;
    bool escaped;
    for (const char *at = text; at < end; at++) {
        switch (*at) {
        case '"': at = string_end(at + 1, end, escaped); break;
        case '{': case '[':
            if (++depth > deepest) deepest = depth;
            break;
        case '}': case ']': depth--; break;
        }
    }
    return deepest;
}

static const char *scalar_end(const char *at, const char *end) {
    while (at < end) {
        switch (*at) {
        case ',': case ']': case '}': case ' ': case '\t': case '\r': case '\n': return at;
        }
        at++;
    }
    return end;
}

const char *skip_value(const char *at, const char *end) {
    bool escaped;
    if (*at == '{' || *at == '[') return container_end(at, end, nullptr);
    if (*at != '"') return scalar_end(at, end);
    at = string_end(at + 1, end, escaped);
    return at < end ? at + 1 : end;
}

// Notes the value at `at` in `field`; returns the position behind it.
static const char *read_value(
    const char *text, const char *at, const char *end, StopFlag flag, Field &field) {
    const char *stop = end;
    field.value_escaped = false;
    switch (*at) {
    case '"':
        field.kind = Kind::string;
        stop = string_end(at + 1, end, field.value_escaped);
        if (stop < end) stop++;
        break;
    case '{': field.kind = Kind::object; stop = container_end(at, end, flag); break;
    case '[': field.kind = Kind::array; stop = container_end(at, end, flag); break;
    case 't': case 'f': field.kind = Kind::boolean; stop = scalar_end(at, end); break;
    case 'n': field.kind = Kind::null; stop = scalar_end(at, end); break;
    default:
        field.kind = Kind::integer;
        stop = scalar_end(at, end);
        for (const char *c = at; c < stop; c++)
            if (*c == '.' || *c == 'e' || *c == 'E') field.kind = Kind::decimal;
    }
    field.value_offset = uint32_t(at - text);
    field.value_length = uint32_t(stop - at);
    return stop;
}

bool index_members(const char *text, size_t length, FieldList &fields) {
    const char *end = text + length;
    const char *at = skip_space(text, end);
    fields.count = 0;
    bool is_object = at < end && *at == '{';
    at = skip_space(at + 1, end);
    while (at < end && *at != '}' && *at != ']') {
        if (fields.count == fields.capacity && !fields.grow()) return false;
        Field &field = fields.items[fields.count++];
        field = Field{};
        if (is_object) {
            const char *key_end = string_end(at + 1, end, field.key_escaped);
            field.key_offset = uint32_t(at + 1 - text);
            field.key_length = uint32_t(key_end - at - 1);
            at = skip_space(key_end + 1, end);
            at = skip_space(at + 1, end);
            if (at >= end) return true;
        }
        at = skip_space(read_value(text, at, end, fields.stop, field), end);
        if (at < end && *at == ',') at = skip_space(at + 1, end);
    }
    return !fields.stop || !*fields.stop;
}

}  // namespace tidewheel
