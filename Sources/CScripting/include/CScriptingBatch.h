// Records on their way into a VM, and the rows that come out of it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// One record of a batch whose bytes are not simply JSON lines (CSV rows, generated or ingested
// records, lines that the source could not keep).  Offsets are in bytes.
typedef struct {
    uint32_t offset, length;                    // the JSON text, in `bytes`
    uint32_t original_offset, original_length;  // what the source gave, in `originals`
    uint32_t problem_offset, problem_length;    // why it is malformed, in `originals`; 0 if sound
    uint64_t position;                          // where it began in the source
    uint64_t line;                              // its line there, counted from 1
    uint64_t original_full_length;              // > original_length when the bytes were cut
    uint32_t id_offset, id_length;              // the record's own id, in `originals`; 0: made here
    uint32_t headers_offset, headers_length;    // a JSON object, in `originals`; 0: none
    uint32_t attempt;                           // which delivery this is, from 1; 0 counts as 1
    bool is_continued;                          // a line that was delivered before it was whole
} tw_entry;

typedef struct {
    const uint8_t *bytes;  // readable for 64 bytes beyond `length`
    size_t length;
    const uint8_t *originals;  // NULL when entry_count is 0
    size_t originals_length;
    const tw_entry *entries;
    size_t entry_count;  // 0: `bytes` are JSON lines, the last one may lack its "\n"
    uint64_t position;   // of bytes[0] in the source, when entry_count is 0
    uint64_t line;       // of bytes[0], counted from 1, when entry_count is 0
    const char *source;  // the source's name in pipeline.yaml
    const char *file;    // what is being read, as shown to people
    const uint16_t *partitions;        // one per record, or NULL: computed here when needed
    uint16_t worker, workers;  // with `partitions`: only those with partition % workers == worker
    const int64_t *times;       // one per record as tw_vm_scan found them, or NULL: read here
    const int64_t *watermarks;  // one per record, as it was before it; together with `times`
    uint32_t source_index;      // which of the pipeline's sources this is
    int64_t floor;              // with has_floor: the newest time of the slowest other source
    bool has_floor;
    int64_t end_watermark;      // together with `times`: the watermark behind the whole batch
    const uint32_t *ordinals;   // injected: each row's place among those of all lanes, or NULL
} tw_batch;

// How far a batch is to be run at once, and how far it was. Begin with zeros and the bounds.
typedef struct {
    uint64_t record_limit;  // records of this call; 0: all that are left
    int64_t deadline;       // CLOCK_MONOTONIC in nanoseconds, for between two records; 0: none
    size_t offset;          // where the next call goes on: a byte, or an entry
    uint64_t line;          // its line, for JSON lines; 0 in the beginning
    uint64_t position;      // where the first record that was not run began in the source
    uint32_t index;         // records that were run, or passed over
    size_t prepared;        // the byte up to which the VM has looked ahead
    bool is_done;           // there are no more
} tw_slice;

// A growing byte buffer that takes the rows for one sink.
typedef struct tw_buffer tw_buffer;
tw_buffer *tw_buffer_create(void);
void tw_buffer_destroy(tw_buffer *buffer);
const uint8_t *tw_buffer_bytes(const tw_buffer *buffer);
size_t tw_buffer_length(const tw_buffer *buffer);
uint64_t tw_buffer_rows(const tw_buffer *buffer);
// Adds finished lines.
void tw_buffer_append(tw_buffer *buffer, const void *lines, size_t length, uint64_t rows);
// Empties it; memory beyond `keep` bytes is given back.
void tw_buffer_clear(tw_buffer *buffer, size_t keep);
// Where the rows of one record, or of one timer, end. Sorted by `ordinal`, `due` and the name, the
// marks of several VMs that share a batch give the order in which a single one would have written.
typedef struct {
    size_t end;             // the byte behind its rows
    int64_t due;            // of a timer when it was due; INT64_MAX for a record
    uint32_t ordinal;       // the record's place in the batch, or the one before which it fired
    uint32_t rows;          // how many rows there were in the buffer by then
    uint32_t name_length;   // the timer's name
    uint32_t name_offset;   // in tw_buffer_names
} tw_mark;
// From now on the buffer notes marks.
void tw_buffer_keep_marks(tw_buffer *buffer);
const tw_mark *tw_buffer_marks(const tw_buffer *buffer, size_t *count);
const char *tw_buffer_names(const tw_buffer *buffer);

#ifdef __cplusplus
}
#endif
