// Times by a declared pattern, such as %Y/%m/%d %H:%M.
#include <cstring>

#include "internal/event_time.h"

namespace tidewheel {

namespace {

struct Parts {
    int year = 1970, month = 1, day = 1, day_of_year = 0;
    int hour = 0, minute = 0, second = 0, millisecond = 0, offset_minutes = 0;
    bool has_offset = false;
};

// Reads up to `most` digits, at least `least`; -1 if they are not there.
int read_number(const char *&at, const char *end, int least, int most) {
    int value = 0, count = 0;
    for (; count < most && at < end && *at >= '0' && *at <= '9'; count++, at++)
        value = value * 10 + (*at - '0');
    return count < least ? -1 : value;
}

bool read_fraction(const char *&at, const char *end, int &millisecond) {
    int scale = 100, count = 0;
    millisecond = 0;
    for (; count < 9 && at < end && *at >= '0' && *at <= '9'; count++, at++, scale /= 10)
        millisecond += (*at - '0') * scale;
    return count > 0;
}

bool read_zone(const char *&at, const char *end, Parts &parts) {
    parts.has_offset = true;
    if (at < end && (*at == 'Z' || *at == 'z')) {
        at++;
        return true;
    }
    if (at >= end || (*at != '+' && *at != '-')) return false;
    int sign = *at++ == '-' ? -1 : 1;
    int hours = read_number(at, end, 2, 2);
    if (at < end && *at == ':') at++;
    int minutes = read_number(at, end, 2, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
    parts.offset_minutes = sign * (hours * 60 + minutes);
    return true;
}

bool read_month_name(const char *&at, const char *end, int &month) {
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (end - at < 3) return false;
    char lower[3];
    for (int i = 0; i < 3; i++) lower[i] = char(at[i] | 0x20);
    for (month = 1; month <= 12; month++)
        if (!memcmp(lower, names + (month - 1) * 3, 3)) {
            at += 3;
            return true;
        }
    return false;
}

bool read_part(char directive, const char *&at, const char *end, Parts &parts) {
    switch (directive) {
    case 'Y': return (parts.year = read_number(at, end, 4, 4)) >= 0;
    case 'm': return (parts.month = read_number(at, end, 1, 2)) >= 1;
    case 'e':
        while (at < end && *at == ' ') at++;
        return (parts.day = read_number(at, end, 1, 2)) >= 1;
    case 'd': return (parts.day = read_number(at, end, 1, 2)) >= 1;
    case 'j': return (parts.day_of_year = read_number(at, end, 3, 3)) >= 1;
    case 'H': return (parts.hour = read_number(at, end, 1, 2)) >= 0 && parts.hour <= 23;
    case 'M': return (parts.minute = read_number(at, end, 2, 2)) >= 0 && parts.minute <= 59;
    case 'S': return (parts.second = read_number(at, end, 2, 2)) >= 0 && parts.second <= 60;
    case 'f': return read_fraction(at, end, parts.millisecond);
    case 'z': return read_zone(at, end, parts);
    case 'b': return read_month_name(at, end, parts.month);
    case '%': return at < end && *at++ == '%';
    default: return false;
    }
}

}  // namespace

bool parse_pattern(
    const char *pattern, const char *text, size_t length, int64_t &milliseconds,
    bool &has_offset) {
    Parts parts;
    const char *at = text, *end = text + length;
    for (const char *next = pattern; *next; next++) {
        if (*next == '%' && next[1]) {
            if (!read_part(*++next, at, end, parts)) return false;
        } else if (at >= end || *at++ != *next) {
            return false;
        }
    }
    if (at != end) return false;
    if (parts.day_of_year) {
        bool leap = is_civil_date(parts.year, 2, 29);
        if (parts.day_of_year > 365 + leap) return false;
        parts.month = parts.day = 1;
    }
    if (!is_civil_date(parts.year, parts.month, parts.day)) return false;
    int64_t clock = ((parts.hour * 60 + parts.minute) * 60 + parts.second) * int64_t(1000);
    milliseconds =
        civil_milliseconds(parts.year, parts.month, parts.day, clock + parts.millisecond);
    if (parts.day_of_year) milliseconds += (parts.day_of_year - 1) * int64_t(86'400'000);
    milliseconds -= parts.offset_minutes * int64_t(60'000);
    has_offset = parts.has_offset;
    return true;
}

}  // namespace tidewheel
