#include "internal/memory.h"

#include <algorithm>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "CScripting.h"
#include "internal/row_marks.h"

bool tw_buffer::grow(size_t additional) {
    if (is_stopped()) return false;
    size_t wanted = length + additional;
    size_t fresh = capacity * 2 > wanted ? capacity * 2 : wanted + 256;
    if (wanted > limit) {
        failed = true;
        return false;
    }
    if (fresh > limit) fresh = limit;
    char *moved = static_cast<char *>(realloc(bytes, fresh));
    if (!moved) {
        failed = true;
        return false;
    }
    bytes = moved;
    capacity = fresh;
    return true;
}

void tw_buffer::trim(size_t most) {
    if (capacity <= most) return;
    free(bytes);
    bytes = nullptr;
    length = capacity = 0;
}

namespace tidewheel {

static constexpr size_t slab_size = 16 << 10;

void *BlockPool::refill(size_t list) {
    char *slab = static_cast<char *>(malloc(slab_size));
    if (!slab) return nullptr;
    Block *header = reinterpret_cast<Block *>(slab);
    header->next = slabs;
    slabs = header;
    size_t size = list * step;
    for (char *at = slab + step + size; at + size <= slab + slab_size; at += size) give(at, size);
    return slab + step;
}

void BlockPool::destroy() {
    while (slabs) {
        Block *next = slabs->next;
        free(slabs);
        slabs = next;
    }
}

void *Arena::allocate_chunk(size_t size) {
    size_t wanted = size + sizeof(Chunk) > chunk_size ? size + sizeof(Chunk) : chunk_size;
    if (account && account->used + wanted > account->limit) return nullptr;
    Chunk *chunk = static_cast<Chunk *>(malloc(wanted));
    if (!chunk) return nullptr;
    if (account) account->used += wanted;
    chunk->next = chunks;
    chunk->size = wanted;
    chunks = chunk;
    char *start = reinterpret_cast<char *>(chunk + 1);
    at = start + size;
    end = reinterpret_cast<char *>(chunk) + wanted;
    ASAN_POISON_MEMORY_REGION(at, size_t(end - at));
    return start;
}

void Arena::reset() {
    if (!chunks) return;
    while (chunks->next || chunks->size > chunk_size) {
        Chunk *next = chunks->next;
        if (account) account->used -= chunks->size;
        free(chunks);
        chunks = next;
        if (!chunks) break;
    }
    at = chunks ? reinterpret_cast<char *>(chunks + 1) : nullptr;
    end = chunks ? reinterpret_cast<char *>(chunks) + chunks->size : nullptr;
    ASAN_POISON_MEMORY_REGION(at, size_t(end - at));
}

void Arena::destroy() {
    while (chunks) {
        Chunk *next = chunks->next;
        if (account) account->used -= chunks->size;
        free(chunks);
        chunks = next;
    }
    at = end = nullptr;
}

}  // namespace tidewheel

size_t tw_count_newlines(const uint8_t *bytes, size_t length) {
    size_t count = 0;
    size_t at = 0;
#if defined(__SSE2__)
    const __m128i newline = _mm_set1_epi8('\n');
    while (length - at >= 16) {
        // A byte of the sums holds up to 255 hits, so they are drained before that.
        const size_t rounds = std::min<size_t>((length - at) / 16, 255);
        __m128i sums = _mm_setzero_si128();
        for (size_t i = 0; i < rounds; i++, at += 16) {
            const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + at));
            sums = _mm_sub_epi8(sums, _mm_cmpeq_epi8(block, newline));
        }
        const __m128i total = _mm_sad_epu8(sums, _mm_setzero_si128());
        count += static_cast<size_t>(_mm_cvtsi128_si64(total));
        count += static_cast<size_t>(_mm_extract_epi16(total, 4));
    }
#endif
    for (; at < length; at++) count += bytes[at] == '\n';
    return count;
}

tw_buffer *tw_buffer_create(void) { return new tw_buffer; }

void tw_buffer_destroy(tw_buffer *buffer) {
    free(buffer->bytes);
    delete buffer->marks;
    delete buffer;
}

const uint8_t *tw_buffer_bytes(const tw_buffer *buffer) {
    return reinterpret_cast<const uint8_t *>(buffer->bytes);
}

size_t tw_buffer_length(const tw_buffer *buffer) { return buffer->length; }

uint64_t tw_buffer_rows(const tw_buffer *buffer) { return buffer->rows; }

void tw_buffer_append(tw_buffer *buffer, const void *lines, size_t length, uint64_t rows) {
    buffer->append(static_cast<const char *>(lines), length);
    buffer->rows += rows;
}

void tw_buffer_clear(tw_buffer *buffer, size_t keep) {
    buffer->clear();
    buffer->rows = 0;
    if (buffer->marks) {
        buffer->marks->marks.clear();
        buffer->marks->names.clear();
    }
    buffer->trim(keep);
}

size_t tw_last_lines(const uint8_t *bytes, size_t length, size_t limit, size_t *count) {
    *count = 0;
    size_t start = length;
    while (start > 0 && *count < limit) {
        // The line break at the end of the line does not count as its beginning.
        const void *found = memrchr(bytes, '\n', start - 1);
        start = found ? size_t(static_cast<const uint8_t *>(found) - bytes) + 1 : 0;
        ++*count;
    }
    return start;
}
