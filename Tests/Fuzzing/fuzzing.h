// What the fuzzers share: a VM with its sinks, a reader of JSON that is slow and simple on purpose,
// and a generator that is fed by the fuzzer's bytes.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "CScripting.h"

#define REQUIRE(condition, ...)                                           \
    do {                                                                  \
        if (condition) break;                                             \
        fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);   \
        fprintf(stderr, __VA_ARGS__);                                     \
        fputc('\n', stderr);                                              \
        abort();                                                          \
    } while (false)

namespace fuzzing {

// A value of a JSON text: which bytes it is made of, and what it contains.
struct Json {
    enum Kind { null, boolean, number, string, array, object };
    Kind kind = null;
    std::string raw;                // its bytes in the text
    std::vector<std::string> keys;  // of an object: decoded
    std::vector<std::string> raw_keys;
    std::vector<Json> items;
};

// A recursive reader of RFC 8259 over UTF-8 (RFC 3629) that shares no code with the product.
class JsonReader {
  public:
    // Fills `value` and returns true when `text` is one JSON text.
    static bool read(std::string_view text, size_t depth_limit, Json &value) {
        JsonReader reader{text, depth_limit};
        return is_utf8(text) && (reader.space(), reader.value(value, 0)) &&
               (reader.space(), reader.at == text.size());
    }

    static bool is_utf8(std::string_view text) {
        for (size_t i = 0; i < text.size();) {
            uint32_t first = uint8_t(text[i++]), code, more, smallest;
            if (first < 0x80) continue;
            if (first >= 0xC0 && first < 0xE0) code = first & 0x1F, more = 1, smallest = 0x80;
            else if (first >= 0xE0 && first < 0xF0) code = first & 0x0F, more = 2, smallest = 0x800;
            else if (first >= 0xF0 && first < 0xF8)
                code = first & 0x07, more = 3, smallest = 0x10000;
            else return false;
            for (; more > 0; more--, i++) {
                if (i >= text.size() || (uint8_t(text[i]) & 0xC0) != 0x80) return false;
                code = code << 6 | (uint8_t(text[i]) & 0x3F);
            }
            if (code < smallest || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
                return false;
        }
        return true;
    }

    // The text that the inside of a JSON string stands for; half a surrogate pair is U+FFFD.
    static std::string decode(std::string_view inside) {
        std::string out;
        for (size_t i = 0; i < inside.size(); i++) {
            if (inside[i] != '\\') {
                out += inside[i];
                continue;
            }
            char c = inside[++i];
            static const char names[] = "bfnrt", meanings[] = "\b\f\n\r\t";
            if (const char *name = strchr(names, c)) out += meanings[name - names];
            else if (c != 'u') out += c;
            else {
                uint32_t code = hex(inside, i + 1), low = hex(inside, i + 7);
                i += 4;
                bool escape = inside.substr(i + 1 < inside.size() ? i + 1 : i, 2) == "\\u";
                if (code >= 0xD800 && code < 0xDC00 && escape && low >= 0xDC00 && low < 0xE000) {
                    code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00);
                    i += 6;
                } else if (code >= 0xD800 && code < 0xE000) {
                    code = 0xFFFD;
                }
                encode(code, out);
            }
        }
        return out;
    }

  private:
    std::string_view text;
    size_t depth_limit;
    size_t at = 0;

    JsonReader(std::string_view text, size_t depth_limit) : text(text), depth_limit(depth_limit) {}

    static uint32_t hex(std::string_view digits, size_t from) {
        if (from + 4 > digits.size()) return 0;
        return uint32_t(strtoul(std::string(digits.substr(from, 4)).c_str(), nullptr, 16));
    }

    static void encode(uint32_t code, std::string &out) {
        if (code < 0x80) {
            out += char(code);
        } else if (code < 0x800) {
            out += {char(0xC0 + code / 64), char(0x80 + code % 64)};
        } else if (code < 0x10000) {
            out += {char(0xE0 + code / 4096), char(0x80 + code / 64 % 64), char(0x80 + code % 64)};
        } else {
            out += {char(0xF0 + code / 262144), char(0x80 + code / 4096 % 64),
                    char(0x80 + code / 64 % 64), char(0x80 + code % 64)};
        }
    }

    char peek() const { return at < text.size() ? text[at] : '\0'; }
    bool take(std::string_view word) {
        if (text.substr(at, word.size()) != word) return false;
        at += word.size();
        return true;
    }
    void space() {
        while (at < text.size() && strchr(" \t\r\n", text[at]) && text[at]) at++;
    }
    bool digits() {
        size_t start = at;
        while (peek() >= '0' && peek() <= '9') at++;
        return at > start;
    }

    bool number() {
        take("-");
        if (!take("0") && !digits()) return false;
        if (take(".") && !digits()) return false;
        if (!take("e") && !take("E")) return true;
        if (!take("+")) take("-");
        return digits();
    }

    bool string() {
        if (!take("\"")) return false;
        while (!take("\"")) {
            if (at >= text.size() || uint8_t(text[at]) < 0x20) return false;
            if (text[at++] != '\\') continue;
            if (take("u")) {
                for (int i = 0; i < 4; i++, at++)
                    if (!peek() || !strchr("0123456789abcdefABCDEF", peek())) return false;
            } else {
                if (!peek() || !strchr("\"\\/bfnrt", peek())) return false;
                at++;
            }
        }
        return true;
    }

    bool members(Json &value, size_t depth, char close) {
        if (depth >= depth_limit) return false;
        at++;
        space();
        if (take({&close, 1})) return true;
        while (true) {
            space();
            if (value.kind == Json::object) {
                size_t start = at;
                if (!string()) return false;
                value.raw_keys.emplace_back(text.substr(start, at - start));
                value.keys.push_back(decode(text.substr(start + 1, at - start - 2)));
                space();
                if (!take(":")) return false;
                space();
            }
            if (!this->value(value.items.emplace_back(), depth + 1)) return false;
            space();
            if (take({&close, 1})) return true;
            if (!take(",")) return false;
        }
    }

    bool value(Json &value, size_t depth) {
        size_t start = at;
        bool sound;
        switch (peek()) {
        case '{': value.kind = Json::object, sound = members(value, depth, '}'); break;
        case '[': value.kind = Json::array, sound = members(value, depth, ']'); break;
        case '"': value.kind = Json::string, sound = string(); break;
        case 't': value.kind = Json::boolean, sound = take("true"); break;
        case 'f': value.kind = Json::boolean, sound = take("false"); break;
        case 'n': value.kind = Json::null, sound = take("null"); break;
        default: value.kind = Json::number, sound = number();
        }
        value.raw = std::string(text.substr(start, at - start));
        return sound;
    }
};

// The fuzzer's bytes, spent one decision at a time; 0 when they are used up.
struct Choices {
    const uint8_t *at, *end;

    bool left() const { return at < end; }
    uint32_t below(uint32_t count) { return left() ? *at++ % count : 0; }
    const char *word(const std::vector<const char *> &words) {
        return words[below(uint32_t(words.size()))];
    }
};

// A VM whose last sink takes the dead letters; stages are added in a row.
class Machine {
  public:
    tw_vm *vm;
    std::vector<tw_buffer *> sinks;

    explicit Machine(const tw_vm_config &config, uint32_t sink_count = 2) {
        tw_status status;
        vm = tw_vm_create(&config, &status);
        REQUIRE(vm, "%s", status.message);
        tw_vm_set_sink_count(vm, sink_count);
        tw_vm_add_wire(vm, TW_DEAD_LETTERS, nullptr, TW_TO_SINK, int32_t(sink_count) - 1);
        for (uint32_t i = 0; i < sink_count; i++) sinks.push_back(tw_buffer_create());
    }
    Machine(const Machine &) = delete;
    ~Machine() {
        tw_vm_destroy(vm);
        for (tw_buffer *sink : sinks) tw_buffer_destroy(sink);
    }

    static tw_vm_config config() {
        tw_vm_config config{};
        config.script_memory = 8 << 20;
        config.record_limit = 1 << 20;
        config.depth_limit = 1000;
        config.state_memory = 1 << 20;
        config.partitions = 16;
        config.key = "a";
        config.trace = true;
        config.now_milliseconds = 1'700'000'000'000;
        return config;
    }

    int32_t add_rule(const char *name, const char *file, std::string_view text, int64_t budget) {
        int32_t stage = tw_vm_add_stage(vm, name, nullptr, nullptr, file, text.data(), text.size(),
                                        nullptr, nullptr, budget);
        tw_vm_add_wire(vm, last, nullptr, TW_TO_STAGE, stage);
        return last = stage;
    }
    int32_t add_schema(const char *name, const tw_schema *schema) {
        int32_t stage = tw_vm_add_stage(
            vm, name, schema, "fuzz.json", nullptr, nullptr, 0, nullptr, nullptr, 1'000'000'000);
        tw_vm_add_wire(vm, last, nullptr, TW_TO_STAGE, stage);
        return last = stage;
    }
    void end_in_sink() { tw_vm_add_wire(vm, last, nullptr, TW_TO_SINK, 0); }

    // Runs JSON lines; what comes out is in `rows` until the next run.
    void run(std::string_view lines) {
        std::vector<uint8_t> bytes(lines.begin(), lines.end());
        bytes.resize(lines.size() + 64);
        tw_batch batch{};
        batch.bytes = bytes.data();
        batch.length = lines.size();
        batch.line = 1;
        run(batch);
    }
    void run(tw_batch &batch) {
        batch.source = "source";
        batch.file = "fuzz";
        for (tw_buffer *sink : sinks) tw_buffer_clear(sink, 1 << 20);
        tw_status status = tw_vm_run(vm, &batch, nullptr, sinks.data(), nullptr);
        REQUIRE(status.code == TW_OK, "%s", status.message);
    }

    std::vector<std::string> rows(size_t sink) const {
        std::string_view text(reinterpret_cast<const char *>(tw_buffer_bytes(sinks[sink])),
                              tw_buffer_length(sinks[sink]));
        std::vector<std::string> rows;
        while (!text.empty()) {
            size_t end = text.find('\n');
            REQUIRE(end != std::string_view::npos, "a row without its end");
            rows.emplace_back(text.substr(0, end));
            text.remove_prefix(end + 1);
        }
        return rows;
    }

    // Every row must be a JSON object; how many there are.
    size_t check_rows(size_t sink) const {
        std::vector<std::string> all = rows(sink);
        for (const std::string &row : all) {
            Json value;
            REQUIRE(JsonReader::read(row, 5000, value) && value.kind == Json::object,
                    "not a JSON object: %s", row.c_str());
        }
        return all.size();
    }

  private:
    int32_t last = TW_SOURCE;
};

}  // namespace fuzzing
