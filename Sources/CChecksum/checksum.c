#include "CChecksum.h"

#include <pthread.h>
#include <string.h>

// The reflected polynomial of CRC32C, RFC 3720 appendix B.4.
static const uint32_t polynomial = 0x82F63B78u;

static uint32_t table[8][256];
static pthread_once_t table_is_made = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? polynomial : 0);
        table[0][byte] = value;
    }
    for (int byte = 0; byte < 256; byte++)
        for (int row = 1; row < 8; row++)
            table[row][byte] =
                table[row - 1][byte] >> 8 ^ table[0][table[row - 1][byte] & 0xFF];
}

// "Slicing by 8", Kounavis and Berry, 2005: eight bytes a step, one row of the table for each.
uint32_t checksum_crc32c_table(uint32_t checksum, const void *bytes, size_t count) {
    pthread_once(&table_is_made, make_table);
    const uint8_t *next = bytes;
    uint32_t value = ~checksum;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word = (uint64_t)value;
        for (int index = 0; index < 8; index++)
            word ^= (uint64_t)next[index] << (8 * index);
        value = 0;
        for (int index = 0; index < 8; index++)
            value ^= table[7 - index][word >> (8 * index) & 0xFF];
    }
    for (; count > 0; count--, next++)
        value = value >> 8 ^ table[0][(value ^ *next) & 0xFF];
    return ~value;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

// How many bytes each of three lanes takes: the instruction takes three cycles to answer and one to
// begin, so that three at once cost what one does.
enum { lane = 256 };

// What a checksum becomes when `lane` zero bytes follow, a row for each of its own bytes.
static uint32_t shifted[4][256];
static pthread_once_t shifted_is_made = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static void make_shifted(void) {
    for (int row = 0; row < 4; row++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint64_t value = byte << (8 * row);
            for (int index = 0; index < lane / 8; index++)
                value = _mm_crc32_u64(value, 0);
            shifted[row][byte] = (uint32_t)value;
        }
}

static uint64_t shift(uint64_t value) {
    return shifted[0][value & 0xFF] ^ shifted[1][value >> 8 & 0xFF] ^
           shifted[2][value >> 16 & 0xFF] ^ shifted[3][value >> 24 & 0xFF];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(
    uint32_t checksum, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    uint64_t value = (uint32_t)~checksum;
    if (count >= 3 * lane)
        pthread_once(&shifted_is_made, make_shifted);
    for (; count >= 3 * lane; count -= 3 * lane, next += 3 * lane) {
        uint64_t second = 0, third = 0;
        for (int index = 0; index < lane; index += 8) {
            uint64_t words[3];
            memcpy(&words[0], next + index, 8);
            memcpy(&words[1], next + lane + index, 8);
            memcpy(&words[2], next + 2 * lane + index, 8);
            value = _mm_crc32_u64(value, words[0]);
            second = _mm_crc32_u64(second, words[1]);
            third = _mm_crc32_u64(third, words[2]);
        }
        value = shift(shift(value) ^ second) ^ third;
    }
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        value = _mm_crc32_u64(value, word);
    }
    for (; count > 0; count--, next++)
        value = _mm_crc32_u8((uint32_t)value, *next);
    return ~(uint32_t)value;
}

uint32_t checksum_crc32c(uint32_t checksum, const void *bytes, size_t count) {
    return __builtin_cpu_supports("sse4.2") ? crc32c_hardware(checksum, bytes, count)
                                            : checksum_crc32c_table(checksum, bytes, count);
}
#else
uint32_t checksum_crc32c(uint32_t checksum, const void *bytes, size_t count) {
    return checksum_crc32c_table(checksum, bytes, count);
}
#endif
