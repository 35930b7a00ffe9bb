// Splicing: what was not touched is copied in runs, what was is written anew.
#include <charconv>
#include <cmath>

#include "internal/record.h"

namespace tidewheel {

static uint64_t needs_escape(uint64_t word) {
    constexpr uint64_t ones = 0x0101010101010101u, highs = ones << 7;
    uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
            ((word - ones * 0x20) & ~word)) & highs;
}

static char *write_escape(char *at, unsigned char c) {
    static const char digits[] = "0123456789abcdef";
    *at++ = '\\';
    switch (c) {
    case '"': case '\\': *at++ = char(c); return at;
    case '\n': *at++ = 'n'; return at;
    case '\t': *at++ = 't'; return at;
    case '\r': *at++ = 'r'; return at;
    case '\b': *at++ = 'b'; return at;
    case '\f': *at++ = 'f'; return at;
    default:
        memcpy(at, "u00", 3);
        at[3] = digits[c >> 4];
        at[4] = digits[c & 15];
        return at + 5;
    }
}

// Copies a text of eight bytes or more in words, of which the last two may overlap; false when it
// has something to escape.
static bool copy_plain(const char *text, size_t length, char *at) {
    const size_t last = length - 8;
    for (size_t i = 0;; i = i + 8 < last ? i + 8 : last) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        if (needs_escape(word)) return false;
        memcpy(at + i, &word, 8);
        if (i == last) return true;
    }
}

// Writes a text with its escapes at `at`, where there is room for six times its length and eight
// bytes more; returns where it ends.
static char *write_escaped(const char *text, size_t length, char *at) {
    size_t i = 0;
    while (length - i >= 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        memcpy(at, &word, 8);
        uint64_t mask = needs_escape(word);
        size_t clean = mask ? size_t(__builtin_ctzll(mask)) / 8 : 8;
        i += clean;
        at += clean;
        if (mask) at = write_escape(at, static_cast<unsigned char>(text[i++]));
    }
    if (size_t rest = length - i) {
        uint64_t word = 0x2020202020202020u;
        memcpy(&word, text + i, rest);
        if (!needs_escape(word)) {
            memcpy(at, &word, 8);  // The room for escapes takes what is too much.
            return at + rest;
        }
    }
    for (; i < length; i++) {
        unsigned char c = static_cast<unsigned char>(text[i]);
        if (c == '"' || c == '\\' || c < 0x20) at = write_escape(at, c);
        else *at++ = text[i];
    }
    return at;
}

// In pieces, so that there need not be room for as many escapes as there could be at most.
[[gnu::noinline]] static void write_long_string(Text &out, const char *text, size_t length) {
    out.append('"');
    while (length && !out.is_stopped()) {
        size_t piece = length < Toll::unit ? length : Toll::unit;
        if (!out.reserve(piece * 6 + 16)) return;
        out.length = size_t(write_escaped(text, piece, out.bytes + out.length) - out.bytes);
        text += piece;
        length -= piece;
    }
    out.append('"');
}

void write_string(Text &out, const char *text, size_t length) {
    if (length > Toll::unit) return write_long_string(out, text, length);
    if (!out.reserve(length * 6 + 16)) return;
    char *at = out.bytes + out.length;
    *at++ = '"';
    if (length >= 8 && copy_plain(text, length, at)) {
        at[length] = '"';
        out.length += length + 2;
        return;
    }
    at = write_escaped(text, length, at);
    *at++ = '"';
    out.length = size_t(at - out.bytes);
}

void write_integer(Text &out, int64_t value) {
    if (!out.reserve(24)) return;
    char *at = out.bytes + out.length;
    if (value >= 0 && value < 10'000) {  // The usual ones, without a call.
        const auto small = uint32_t(value);
        if (small >= 1000) *at++ = char('0' + small / 1000);
        if (small >= 100) *at++ = char('0' + small / 100 % 10);
        if (small >= 10) *at++ = char('0' + small / 10 % 10);
        *at++ = char('0' + small % 10);
        out.length = size_t(at - out.bytes);
        return;
    }
    out.length = size_t(std::to_chars(at, at + 24, value).ptr - out.bytes);
}

// Numbers of up to 15 digits with at most seven decimals, the usual ones: they are whole once
// multiplied by ten million, and without the zeros at the end that is their shortest text.
// False when the number is not of that kind.
static bool write_short_number(Text &out, double value) {
    constexpr uint32_t power = 10'000'000;
    if (!(value < 1e8) || (value < 1e-3 && value != 0) || std::signbit(value)) return false;
    const uint64_t whole = uint64_t(value * power + 0.5);
    if (double(whole) / power != value) return false;
    write_integer(out, int64_t(whole / power));
    if (!out.reserve(16)) return true;
    char *at = out.bytes + out.length;
    *at++ = '.';
    uint32_t rest = uint32_t(whole % power);
    int digits = 7;
    while (digits > 1 && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    for (int i = digits; i-- > 0; rest /= 10) at[i] = char('0' + rest % 10);
    out.length += size_t(1 + digits);
    return true;
}

// Shortest text that reads back as the same double, without an exponent from 1e-5 to below 1e21; a
// whole one keeps ".0" so that it stays one.
void write_number(Text &out, double value) {
    if (write_short_number(out, value)) return;
    if (!out.reserve(40)) return;
    char *start = out.bytes + out.length;
    char text[32];
    auto result = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
    const char *mark = static_cast<const char *>(memchr(text, 'e', size_t(result.ptr - text)));
    if (!mark) return out.append(text, size_t(result.ptr - text));
    int exponent = 0;
    std::from_chars(mark + (mark[1] == '+' ? 2 : 1), result.ptr, exponent);
    if (exponent < -5 || exponent > 20) {
        out.append(text, size_t(mark - text));
        out.append('e');
        write_integer(out, exponent);
        return;
    }
    result = std::to_chars(start, start + 36, value, std::chars_format::fixed);
    if (!memchr(start, '.', size_t(result.ptr - start))) {
        *result.ptr++ = '.';
        *result.ptr++ = '0';
    }
    out.length = size_t(result.ptr - out.bytes);
}

void write_value(Text &out, const Value &value) {
    switch (value.tag) {
    case Value::Tag::boolean:
        value.boolean ? out.append_literal("true") : out.append_literal("false");
        break;
    case Value::Tag::integer: write_integer(out, value.integer); break;
    case Value::Tag::number: write_number(out, value.number); break;
    case Value::Tag::string: write_string(out, value.text, value.length); break;
    case Value::Tag::exact: out.append(value.text, value.length); break;
    case Value::Tag::node: write_node(out, value.node); break;
    default: out.append_literal("null"); break;
    }
}

static const char *end_of(const Node *node, uint32_t index) {
    const Field &field = node->fields[index];
    return node->text + field.value_offset + field.value_length;
}

// A run of text that has not been copied yet, and whether a member was already written.
struct Splice {
    Text &out;
    const char *pending = nullptr;
    bool written = false;

    void flush(const char *until) {
        if (pending) out.append(pending, size_t(until - pending));
        pending = nullptr;
    }
    void begin_member() {
        if (written) out.append(',');
        written = true;
    }
};

static void write_members(Splice &splice, const Node *node, uint32_t first, uint32_t last) {
    const char *text = node->text;
    for (uint32_t i = first; i < last; i++) {
        const Value::Tag tag = node->values ? node->values[i].tag : Value::Tag::none;
        if (tag == Value::Tag::none && splice.pending) continue;  // The run goes on.
        const Field &field = node->fields[i];
        if (tag == Value::Tag::deleted) {
            if (splice.pending) splice.flush(end_of(node, i - 1));
            continue;
        }
        if (!splice.pending) {
            splice.begin_member();
            splice.pending = text + (node->is_array ? field.value_offset : field.key_offset - 1);
        }
        const char *value = text + field.value_offset;
        const bool changed = tag != Value::Tag::none &&
                             (tag != Value::Tag::node || node->values[i].node->dirty ||
                              node->values[i].node->text != value);
        if (changed) {
            splice.flush(value);
            write_value(splice.out, node->values[i]);
            splice.pending = value + field.value_length;
        }
    }
}

void write_node(Text &out, const Node *node) {
    if (!node->dirty) {
        out.append(node->text, node->length);
        return;
    }
    out.append(node->is_array ? '[' : '{');
    Splice splice{out};
    constexpr uint32_t piece = 4096;
    for (uint32_t i = 0; i < node->count; i += piece) {
        if (i && out.is_stopped()) return;
        write_members(splice, node, i, node->count - i < piece ? node->count : i + piece);
    }
    if (splice.pending) splice.flush(end_of(node, node->count - 1));
    for (uint32_t i = 0; i < node->added_count && !out.failed; i++) {
        const AddedMember &member = node->added[i];
        if (member.value.tag == Value::Tag::deleted) continue;
        splice.begin_member();
        if (!node->is_array) {
            write_string(out, member.name, member.length);
            out.append(':');
        }
        write_value(out, member.value);
    }
    out.append(node->is_array ? ']' : '}');
}

}  // namespace tidewheel
