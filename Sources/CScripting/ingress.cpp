#include "internal/ingress.h"

#include <simdjson.h>

#include <cstdio>
#include <vector>

#include "internal/walk.h"

namespace tidewheel {

struct Ingress::Implementation {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
    size_t capacity = 0;
    uint32_t depth_limit;
    std::vector<uint8_t> containers;  // one per level: '{' or '['
    // Whole lines whose structure was found in one go; nullptr when there are none.
    const char *window = nullptr;
    size_t window_length = 0;
    bool window_has_escapes = true;
    const uint32_t *next = nullptr;  // the first structural position not yet walked
};

Ingress::Ingress(uint32_t depth_limit) : implementation(new Implementation) {
    implementation->depth_limit = depth_limit;
    implementation->containers.resize(size_t(depth_limit) + 1);
}

Ingress::~Ingress() = default;

void Ingress::prepare_lines(const char *text, size_t length) {
    auto &self = *implementation;
    Problem ignored;
    self.window = nullptr;
    // With an error somewhere in it, each line is looked at alone.
    if (!find_structure(text, length, ignored)) return;
    self.window = text;
    self.window_length = length;
    self.window_has_escapes = memchr(text, '\\', length) != nullptr;
    self.next = self.parser->structural_indexes.get();
}

// Where the first byte stands that is no UTF-8.
static size_t broken_place(const char *text, size_t length) {
    size_t at = 0;
    while (at < length) {
        auto lead = static_cast<unsigned char>(text[at]);
        size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (size > length - at || (size > 1 && !simdjson::validate_utf8(text + at, size))) break;
        at += size;
    }
    return at;
}

// Where the first control character inside a string stands; `length` when there is none.
static size_t control_place(const char *text, size_t length) {
    bool inside = false;
    for (size_t at = 0; at < length; at++) {
        if (text[at] == '"') inside = !inside;
        else if (inside && static_cast<unsigned char>(text[at]) < 0x20) return at;
        else if (inside && text[at] == '\\') at++;
    }
    return length;
}

void Ingress::forget_lines() { implementation->window = nullptr; }

bool Ingress::find_structure(const char *text, size_t length, Problem &problem) {
    constexpr size_t usual = 64 << 10;
    auto &self = *implementation;
    if (!self.parser || length > self.capacity || (self.capacity > usual && length <= usual)) {
        size_t capacity = length > usual ? length : usual;
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(
                capacity, 1, self.parser) != simdjson::SUCCESS) {
            self.parser.reset();
            return fail(problem, 0, "out of memory while reading the line");
        }
        self.capacity = capacity;
    }
    auto error = self.parser->stage1(
        reinterpret_cast<const uint8_t *>(text), length, simdjson::stage1_mode::regular);
    switch (error) {
    case simdjson::SUCCESS: return true;
    case simdjson::UTF8_ERROR:
        return fail(problem, broken_place(text, length), "not valid UTF-8");
    case simdjson::UNESCAPED_CHARS: {
        size_t at = control_place(text, length);
        return fail(problem, at, at < length ? "a control character inside a string"
                                             : "a string that never ends");
    }
    case simdjson::UNCLOSED_STRING: return fail(problem, length, "a string that never ends");
    case simdjson::EMPTY: return fail(problem, 0, "no JSON value");
    default: return fail(problem, 0, simdjson::error_message(error));
    }
}

bool Ingress::check(const char *text, size_t length, Problem &problem, StopFlag stop) {
    if (!find_structure(text, length, problem)) return false;
    auto &self = *implementation;
    Walk walk{text,    text, length, self.parser->structural_indexes.get(), uint32_t(length),
              memchr(text, '\\', length) != nullptr, self.containers.data(), self.depth_limit,
              nullptr, &problem};
    walk.stop = stop;
    return stop ? walk.run<true>() : walk.run<false>();
}

bool Ingress::read_object(const char *text, size_t length, FieldList &fields, Problem &problem) {
    auto &self = *implementation;
    fields.count = fields.shape = 0;
    const char *base = self.window;
    if (base && (text < base || text + length > base + self.window_length)) base = nullptr;
    if (!base) {
        self.window = nullptr;
        if (!find_structure(text, length, problem)) return false;
        base = text;
        self.next = self.parser->structural_indexes.get();
    }
    const uint32_t limit = uint32_t(text - base + ptrdiff_t(length));
    const uint32_t start = uint32_t(text - base);
    while (*self.next < start) self.next++;
    if (*self.next >= limit) return fail(problem, 0, "no JSON value");
    const bool has_escapes = base != self.window || self.window_has_escapes;
    Walk walk{base, text, length, self.next, limit,
              has_escapes && memchr(text, '\\', length) != nullptr, self.containers.data(),
              self.depth_limit, &fields, &problem, &shape};
    const bool is_object = base[*self.next] == '{';
    const size_t first = size_t(base + *self.next - text);
    bool sound = walk.usual_object();
    if (!sound) {
        walk.at = self.next;
        walk.depth = fields.count = fields.shape = 0;
        sound = walk.run<false>();
    }
    self.next = walk.at;
    if (sound && is_object && !fields.shape) shape.learn(text, fields);
    if (fields.shape) shape.misses = 0;
    if (sound && !is_object) return fail(problem, first, "not a JSON object");
    return sound;
}

}  // namespace tidewheel


#include "CScripting.h"

tw_status tw_json_check(const char *text, size_t length, uint32_t depth_limit, size_t *offset) {
    tw_status status{};
    tidewheel::Ingress ingress(depth_limit);
    tidewheel::Problem problem;
    if (ingress.check(text, length, problem)) return status;
    status.code = TW_ERROR;
    snprintf(status.message, sizeof status.message, "%s", problem.text);
    *offset = problem.offset;
    return status;
}
