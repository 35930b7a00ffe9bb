// Strings and numbers of JSON text (RFC 8259), decoded.
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "internal/json_index.h"

namespace tidewheel {

static uint32_t hex_digits(const char *at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        value = value * 16 + uint32_t(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static char *write_code_point(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = char(code);
    } else if (code < 0x800) {
        *out++ = char(0xC0 | code >> 6);
        *out++ = char(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = char(0xE0 | code >> 12);
        *out++ = char(0x80 | (code >> 6 & 0x3F));
        *out++ = char(0x80 | (code & 0x3F));
    } else {
        *out++ = char(0xF0 | code >> 18);
        *out++ = char(0x80 | (code >> 12 & 0x3F));
        *out++ = char(0x80 | (code >> 6 & 0x3F));
        *out++ = char(0x80 | (code & 0x3F));
    }
    return out;
}

// Decodes \uXXXX at `at` (behind the "u"); surrogate pairs make one character, and a surrogate
// by itself becomes U+FFFD, since it is not text.
static const char *decode_unicode(const char *at, const char *end, uint32_t &code) {
    constexpr uint32_t replacement = 0xFFFD;
    code = hex_digits(at);
    at += 4;
    if (code < 0xD800 || code > 0xDFFF) return at;
    bool pair = code < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u';
    uint32_t low = pair ? hex_digits(at + 2) : 0;
    if (low < 0xDC00 || low > 0xDFFF) {
        code = replacement;
        return at;
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    return at + 6;
}

size_t decode_string(const char *text, size_t length, char *out, StopFlag flag) {
    const char *at = text, *end = text + length;
    char *start = out;
    for (unsigned escapes = 1; at < end; escapes++) {
        if ((escapes & 1023) == 0 && flag && *flag) break;
        const char *escape = static_cast<const char *>(memchr(at, '\\', size_t(end - at)));
        size_t plain = size_t((escape ? escape : end) - at);
        memmove(out, at, plain);
        out += plain;
        if (!escape || end - escape < 2) break;
        char c = escape[1];
        at = escape + 2;
        switch (c) {
        case 'n': *out++ = '\n'; break;
        case 't': *out++ = '\t'; break;
        case 'r': *out++ = '\r'; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'u': {
            if (end - at < 4) return size_t(out - start);
            uint32_t code;
            at = decode_unicode(at, end, code);
            out = write_code_point(out, code);
            break;
        }
        default: *out++ = c;
        }
    }
    return size_t(out - start);
}

bool key_equals(const char *text, const Field &field, const char *key, size_t length) {
    const char *raw = text + field.key_offset;
    if (!field.key_escaped) return field.key_length == length && !memcmp(raw, key, length);
    // A decoded key is never longer than it was written, nor shorter than a sixth of that.
    if (length > field.key_length || length * 6 < field.key_length) return false;
    char small[256];
    char *decoded =
        field.key_length <= sizeof small ? small : static_cast<char *>(malloc(field.key_length));
    if (!decoded) return false;
    size_t size = decode_string(raw, field.key_length, decoded);
    bool equal = size == length && !memcmp(decoded, key, length);
    if (decoded != small) free(decoded);
    return equal;
}

bool parse_integer(const char *text, size_t length, int64_t &value) {
    if (length > 20) return false;
    auto result = std::from_chars(text, text + length, value);
    return result.ec == std::errc() && result.ptr == text + length;
}

// Up to 15 digits divided by a power of ten up to 10^22 are exact in double (Clinger 1990).
static bool parse_short_decimal(const char *at, const char *end, double &value) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = at < end && *at == '-';
    at += negative;
    if (end - at > 16) return false;
    uint64_t digits = 0;
    const char *point = nullptr;
    for (; at < end; at++) {
        if (*at == '.') point = at + 1;
        else if (*at >= '0' && *at <= '9') digits = digits * 10 + uint64_t(*at - '0');
        else return false;
    }
    if (digits >= uint64_t(1) << 53) return false;
    value = double(digits) / (point ? powers[end - point] : 1);
    if (negative) value = -value;
    return true;
}

double parse_decimal(const char *text, size_t length) {
    const char *end = text + length;
    double value = 0;
    if (parse_short_decimal(text, end, value)) return value;
    auto result = std::from_chars(text, end, value);
    if (result.ec == std::errc()) return value;
    // Out of range: whether too large or too small shows in the exponent, or in the digits.
    bool negative = *text == '-';
    const char *exponent = text;
    while (exponent < end && *exponent != 'e' && *exponent != 'E') exponent++;
    bool tiny = exponent + 1 < end ? exponent[1] == '-' : false;
    if (exponent == end) tiny = text[negative] == '0';
    double limit = tiny ? 0.0 : HUGE_VAL;
    return negative ? -limit : limit;
}

bool valid_utf8(const char *text, size_t length) {
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        if (word & 0x8080808080808080u) return simdjson::validate_utf8(text + i, length - i);
    }
    for (; i < length; i++)
        if (text[i] & 0x80) return simdjson::validate_utf8(text + i, length - i);
    return true;
}

}  // namespace tidewheel
