// Event time: reading it from records, and the watermark that follows from it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "CScripting.h"
#include "json_index.h"

namespace tidewheel {

// What `time:` says, with memory of its own.
struct TimeReader {
    bool active = false;
    std::string field, pattern;
    int32_t format = TW_TIME_RFC3339;
    std::vector<int64_t> zone_times, zone_offsets;
    int64_t out_of_orderness = 0, max_future_skew = -1;

    void configure(const tw_time_config &config);
    // The time of a record in milliseconds; false, and why, when it has none.
    bool read(
        const char *text, const FieldList &fields, int64_t now, int64_t &time, std::string &reason)
        const;

  private:
    bool read_text(const char *text, size_t length, int64_t &time) const;
    int64_t from_local(int64_t local) const;
};

// The newest time of each source; the slowest of them tells how far time has come.
struct Watermark {
    std::vector<int64_t> newest;  // of the sources that this VM reads; INT64_MIN before the first
    int64_t highest = INT64_MIN;  // it never goes back

    void note(uint32_t source, int64_t time) {
        if (source >= newest.size()) newest.resize(source + 1, INT64_MIN);
        if (time > newest[source]) newest[source] = time;
    }

    // As it is now, while `source` is read and no other is behind `floor`.
    int64_t current(uint32_t source, int64_t floor, int64_t out_of_orderness) {
        int64_t least = source < newest.size() ? newest[source] : INT64_MIN;
        if (floor < least) least = floor;
        if (least != INT64_MIN && least - out_of_orderness - 1 > highest)
            highest = least - out_of_orderness - 1;
        return highest;
    }
};

// Milliseconds since 1970 of a civil date and time of day.
int64_t civil_milliseconds(int year, int month, int day, int64_t time_of_day);
bool is_civil_date(int year, int month, int day);
// Reads a time by a pattern; `has_offset` tells whether the text itself named one.
bool parse_pattern(
    const char *pattern, const char *text, size_t length, int64_t &milliseconds, bool &has_offset);

}  // namespace tidewheel
