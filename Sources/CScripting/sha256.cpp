// SHA-256 as FIPS 180-4 defines it; for rule-set versions and `hash`.
#include <cstring>

#include "internal/budget.h"
#include "internal/vm.h"

namespace tidewheel {

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t word, int count) { return word >> count | word << (32 - count); }

struct Sha256 {
    uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t block[64];
    uint64_t total = 0;

    void compress() {
        uint32_t w[64];
        for (int i = 0; i < 16; i++)
            w[i] = uint32_t(block[i * 4]) << 24 | uint32_t(block[i * 4 + 1]) << 16 |
                   uint32_t(block[i * 4 + 2]) << 8 | block[i * 4 + 3];
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
                   (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
        uint32_t v[8];
        memcpy(v, hash, sizeof v);
        for (int i = 0; i < 64; i++) {
            uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
            uint32_t first = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                             choice + round_constants[i] + w[i];
            uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            uint32_t second =
                (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) + majority;
            memmove(v + 1, v, 7 * sizeof v[0]);
            v[4] += first;
            v[0] = first + second;
        }
        for (int i = 0; i < 8; i++) hash[i] += v[i];
    }

    void add(const uint8_t *bytes, size_t length) {
        for (size_t i = 0; i < length; i++) {
            block[total++ & 63] = bytes[i];
            if ((total & 63) == 0) compress();
        }
    }

    void finish(uint8_t digest[32]) {
        uint64_t bits = total * 8;
        uint8_t byte = 0x80;
        add(&byte, 1);
        byte = 0;
        while ((total & 63) != 56) add(&byte, 1);
        for (int i = 7; i >= 0; i--) {
            byte = uint8_t(bits >> (i * 8));
            add(&byte, 1);
        }
        for (int i = 0; i < 32; i++) digest[i] = uint8_t(hash[i / 4] >> (24 - i % 4 * 8));
    }
};

void sha256_hex(lua_State *L, const char *text, size_t length, char out[65]) {
    Sha256 state;
    walk_pieces(L, text, length, [&state](const char *piece, size_t size) {
        state.add(reinterpret_cast<const uint8_t *>(piece), size);
    });
    uint8_t digest[32];
    state.finish(digest);
    for (int i = 0; i < 32; i++) {
        out[i * 2] = "0123456789abcdef"[digest[i] >> 4];
        out[i * 2 + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = 0;
}

}  // namespace tidewheel

void tw_sha256(
    const uint8_t *const *parts, const size_t *lengths, size_t count, uint8_t digest[32]) {
    tidewheel::Sha256 state;
    for (size_t i = 0; i < count; i++) state.add(parts[i], lengths[i]);
    state.finish(digest);
}
