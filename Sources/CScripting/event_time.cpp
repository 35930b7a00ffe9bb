#include "internal/event_time.h"

#include <cmath>
#include <cstring>

namespace tidewheel {

void TimeReader::configure(const tw_time_config &config) {
    active = config.field != nullptr;
    if (!active) return;
    field = config.field;
    format = config.format;
    pattern = config.pattern ? config.pattern : "";
    zone_times.assign(config.zone_times, config.zone_times + config.zone_count);
    zone_offsets.assign(config.zone_offsets, config.zone_offsets + config.zone_count);
    out_of_orderness = config.out_of_orderness;
    max_future_skew = config.max_future_skew;
}

// The UTC time of a local one: where clocks were put back the earlier of the two, where they were
// put forward as if they had not been yet.
int64_t TimeReader::from_local(int64_t local) const {
    if (zone_times.empty()) return local;
    constexpr int64_t day = 86'400'000;
    size_t before = 0;
    for (size_t low = 0, high = zone_times.size(); low < high;) {
        size_t middle = (low + high) / 2;
        if (zone_times[middle] <= local - day) {
            before = middle;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int64_t fallback = local - zone_offsets[before];
    for (size_t i = before; i < zone_times.size() && zone_times[i] <= local + day; i++) {
        int64_t utc = local - zone_offsets[i];
        if (i > 0 && utc < zone_times[i]) continue;  // not yet: the clock jumps over this time
        if (i + 1 >= zone_times.size() || utc < zone_times[i + 1]) return utc;
        fallback = utc;
    }
    return fallback;
}

// Whole milliseconds of an epoch number: digits behind them are cut off.
static bool read_epoch(const char *text, size_t length, int32_t format, int64_t &time) {
    static const int64_t per_millisecond[] = {1, 1, 1, 1000, 1'000'000};
    int64_t whole;
    if (parse_integer(text, length, whole)) {
        if (format == TW_TIME_EPOCH_S) return !__builtin_mul_overflow(whole, 1000, &time);
        int64_t divisor = per_millisecond[format];
        time = whole / divisor - (whole % divisor < 0);
        return true;
    }
    long double value = strtold(std::string(text, length).c_str(), nullptr);
    value = format == TW_TIME_EPOCH_S ? value * 1000 : value / per_millisecond[format];
    if (!std::isfinite(value) || std::fabs(value) > 9e15L) return false;
    time = int64_t(std::floor(value + 1e-6L));
    return true;
}

bool TimeReader::read_text(const char *text, size_t length, int64_t &time) const {
    if (format == TW_TIME_RFC3339) return parse_timestamp(text, length, time);
    bool has_offset = false;
    if (!parse_pattern(pattern.c_str(), text, length, time, has_offset)) return false;
    if (!has_offset) time = from_local(time);
    return true;
}

static const Field *find_last(const char *text, const FieldList &fields, const std::string &name) {
    for (uint32_t i = fields.count; i-- > 0;)
        if (key_equals(text, fields.items[i], name.data(), name.size())) return &fields.items[i];
    return nullptr;
}

static const char *kind_name(Kind kind) {
    switch (kind) {
    case Kind::null: return "null";
    case Kind::boolean: return "true or false";
    case Kind::string: return "a string";
    case Kind::array: return "a list";
    case Kind::object: return "an object";
    default: return "a number";
    }
}

bool TimeReader::read(
    const char *text, const FieldList &fields, int64_t now, int64_t &time, std::string &reason)
    const {
    // Years 0000 to 9999, so that window ends never overflow.
    constexpr int64_t earliest = -62'167'219'200'000, latest = 253'402'300'799'999;
    const Field *found = find_last(text, fields, field);
    if (!found) {
        reason = "time field \"" + field + "\" is missing";
        return false;
    }
    const char *value = text + found->value_offset;
    bool is_number = found->kind == Kind::integer || found->kind == Kind::decimal;
    bool is_epoch = format >= TW_TIME_EPOCH_S && format <= TW_TIME_EPOCH_NS;
    if (is_epoch ? !is_number : found->kind != Kind::string) {
        reason = "time field \"" + field + "\" is " + kind_name(found->kind) + ", not " +
                 (is_epoch ? "a number" : "a time");
        return false;
    }
    bool sound;
    if (is_epoch) {
        sound = read_epoch(value, found->value_length, format, time);
    } else if (found->value_escaped) {
        std::string decoded(found->value_length, 0);
        decoded.resize(decode_string(value + 1, found->value_length - 2, decoded.data()));
        sound = read_text(decoded.data(), decoded.size(), time);
    } else {
        sound = read_text(value + 1, found->value_length - 2, time);
    }
    if (sound && time >= earliest && time <= latest) {
        if (max_future_skew < 0 || time <= now + max_future_skew) return true;
        reason = "time field \"" + field + "\" is further ahead of the clock than max_future_skew";
        return false;
    }
    std::string shown(value, found->value_length < 80 ? found->value_length : 80);
    reason = "time field \"" + field + "\" is no time: " + shown;
    return false;
}

}  // namespace tidewheel
