// RFC 3339 times to and from milliseconds; the calendar is Hinnant's days-from-civil algorithm
// ("chrono-Compatible Low-Level Date Algorithms", 2013).
#include "internal/event_time.h"

namespace tidewheel {

static int64_t days_from_civil(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

// Reads exactly `count` digits; -1 if they are not there.
static int read_digits(const char *&at, const char *end, int count) {
    if (end - at < count) return -1;
    int value = 0;
    for (int i = 0; i < count; i++, at++) {
        if (*at < '0' || *at > '9') return -1;
        value = value * 10 + (*at - '0');
    }
    return value;
}

static bool read_character(const char *&at, const char *end, char wanted) {
    if (at >= end || *at != wanted) return false;
    at++;
    return true;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool is_civil_date(int year, int month, int day) {
    return month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month);
}

int64_t civil_milliseconds(int year, int month, int day, int64_t time_of_day) {
    return days_from_civil(year, month, day) * 86'400'000 + time_of_day;
}

static bool read_date(const char *&at, const char *end, int64_t &days) {
    int year = read_digits(at, end, 4);
    if (year < 0 || !read_character(at, end, '-')) return false;
    int month = read_digits(at, end, 2);
    if (month < 1 || month > 12 || !read_character(at, end, '-')) return false;
    int day = read_digits(at, end, 2);
    if (day < 1 || day > days_in_month(year, month)) return false;
    days = days_from_civil(year, month, day);
    return true;
}

static bool read_clock(const char *&at, const char *end, int64_t &milliseconds) {
    int hour = read_digits(at, end, 2);
    if (hour < 0 || hour > 23 || !read_character(at, end, ':')) return false;
    int minute = read_digits(at, end, 2);
    if (minute < 0 || minute > 59 || !read_character(at, end, ':')) return false;
    int second = read_digits(at, end, 2);
    if (second < 0 || second > 60 || (second == 60 && minute != 59)) return false;
    milliseconds = ((hour * 60 + minute) * 60 + second) * int64_t(1000);
    if (at < end && *at == '.') {
        const char *first = ++at;
        int scale = 100;
        for (; at < end && *at >= '0' && *at <= '9'; at++, scale /= 10)
            milliseconds += (*at - '0') * scale;
        if (at == first || at - first > 9) return false;
    }
    return true;
}

static bool read_offset(const char *&at, const char *end, int64_t &minutes) {
    minutes = 0;
    if (at >= end) return false;
    char sign = *at++;
    if (sign == 'Z' || sign == 'z') return true;
    if (sign != '+' && sign != '-') return false;
    int hour = read_digits(at, end, 2);
    if (hour < 0 || hour > 23 || !read_character(at, end, ':')) return false;
    int minute = read_digits(at, end, 2);
    if (minute < 0 || minute > 59) return false;
    minutes = (sign == '-' ? -1 : 1) * (hour * 60 + minute);
    return true;
}

bool parse_timestamp(const char *text, size_t length, int64_t &milliseconds) {
    const char *at = text, *end = text + length;
    int64_t days, clock, offset;
    if (!read_date(at, end, days)) return false;
    if (at >= end || (*at != 'T' && *at != 't')) return false;
    at++;
    if (!read_clock(at, end, clock) || !read_offset(at, end, offset) || at != end) return false;
    milliseconds = days * 86'400'000 + clock - offset * 60'000;
    return true;
}

static char *write_digits(char *out, int64_t value, int count) {
    for (int i = count; i-- > 0; value /= 10) out[i] = char('0' + value % 10);
    return out + count;
}

size_t format_timestamp(int64_t milliseconds, char out[32]) {
    int64_t days = milliseconds / 86'400'000, rest = milliseconds % 86'400'000;
    if (rest < 0) {
        rest += 86'400'000;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    char *at = write_digits(out, year_of_era + era * 400 + (month <= 2), 4);
    *at++ = '-';
    at = write_digits(at, month, 2);
    *at++ = '-';
    at = write_digits(at, day_of_year - (153 * shifted + 2) / 5 + 1, 2);
    *at++ = 'T';
    at = write_digits(at, rest / 3'600'000, 2);
    *at++ = ':';
    at = write_digits(at, rest / 60'000 % 60, 2);
    *at++ = ':';
    at = write_digits(at, rest / 1000 % 60, 2);
    *at++ = '.';
    at = write_digits(at, rest % 1000, 3);
    *at++ = 'Z';
    return size_t(at - out);
}

}  // namespace tidewheel

bool tw_parse_time(const char *text, size_t length, int64_t *milliseconds) {
    return tidewheel::parse_timestamp(text, length, *milliseconds);
}
