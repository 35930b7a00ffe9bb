#ifndef CCHECKSUM_H
#define CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli) of `count` bytes, continued from `checksum` (0 to begin). Any thread.
/// Uses the SSE4.2 instruction where the processor has it, a table of eight rows where not.
uint32_t checksum_crc32c(uint32_t checksum, const void *bytes, size_t count);

/// The same by table only, to compare with.
uint32_t checksum_crc32c_table(uint32_t checksum, const void *bytes, size_t count);

#endif
