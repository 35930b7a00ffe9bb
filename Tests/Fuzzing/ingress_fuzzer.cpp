// Any bytes as a batch of lines: what is accepted must be JSON to a second reader and come out as
// it went in, what is refused must be none (or beyond a limit) and leave one dead letter.
#include "fuzzing.h"

using namespace fuzzing;

static constexpr uint32_t record_limit = 600, depth_limit = 12;
static Machine *machine;

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    tw_vm_config config = Machine::config();
    config.record_limit = record_limit;
    config.depth_limit = depth_limit;
    machine = new Machine(config);
    machine->add_rule(
        "same", "rules/same.lua", "function process(r) return r end", 1'000'000'000);
    machine->end_in_sink();
    REQUIRE(tw_vm_load(machine->vm).code == TW_OK, "load");
    return 0;
}

// What the second reader thinks of the lines: those that pass, and the bytes of those that do not.
struct Expectation {
    std::vector<std::string> accepted, refused;
};

static bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

static Expectation expect(std::string_view text, std::vector<std::string_view> &lines) {
    Expectation expectation;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (is_blank(line)) continue;
        lines.push_back(line);
        Json value;
        bool sound = JsonReader::read(line, depth_limit, value) && value.kind == Json::object &&
                     line.size() <= record_limit;
        (sound ? expectation.accepted : expectation.refused).emplace_back(line);
    }
    return expectation;
}

static void check_letter(const std::string &letter, const std::string &original) {
    Json value;
    REQUIRE(JsonReader::read(letter, 50, value), "not JSON: %s", letter.c_str());
    bool is_text = JsonReader::is_utf8(original);
    for (size_t i = 0; i < value.keys.size(); i++) {
        if (value.keys[i] == "original_base64" && !is_text) return;
        if (value.keys[i] != "original") continue;
        const std::string &raw = value.items[i].raw;
        std::string decoded = JsonReader::decode(std::string_view(raw).substr(1, raw.size() - 2));
        REQUIRE(is_text && decoded == original, "%s\n%s", raw.c_str(), original.c_str());
        return;
    }
    REQUIRE(false, "no original bytes: %s", letter.c_str());
}

static void check_rows(const Expectation &expectation) {
    std::vector<std::string> rows = machine->rows(0), letters = machine->rows(1);
    for (size_t i = 0; i < rows.size() && i < expectation.accepted.size(); i++)
        REQUIRE(rows[i] == expectation.accepted[i], "\n%s\n%s", rows[i].c_str(),
                expectation.accepted[i].c_str());
    for (size_t i = 0; i < letters.size() && i < expectation.refused.size(); i++)
        check_letter(letters[i], expectation.refused[i]);
    REQUIRE(rows.size() == expectation.accepted.size(), "%zu rows", rows.size());
    REQUIRE(letters.size() == expectation.refused.size(), "%zu letters", letters.size());
}

// The same records once more as entries that stand in any order, as CSV or a program gives them.
static void run_entries(const std::vector<std::string_view> &lines) {
    std::string bytes;
    std::vector<tw_entry> entries;
    for (std::string_view line : lines) {
        tw_entry entry{};
        entry.offset = entry.original_offset = uint32_t(bytes.size());
        entry.length = entry.original_length = uint32_t(line.size());
        entry.original_full_length = line.size();
        entries.push_back(entry);
        bytes += line;
    }
    size_t length = bytes.size();
    bytes.append(64, '\0');
    tw_batch batch{};
    batch.bytes = batch.originals = reinterpret_cast<const uint8_t *>(bytes.data());
    batch.length = batch.originals_length = length;
    batch.entries = entries.data();
    batch.entry_count = entries.size();
    machine->run(batch);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    std::string_view text(reinterpret_cast<const char *>(data), length);
    std::vector<std::string_view> lines;
    Expectation expectation = expect(text, lines);
    machine->run(text);
    check_rows(expectation);
    if (lines.empty()) return 0;
    run_entries(lines);
    check_rows(expectation);
    for (std::string_view line : lines) {
        std::string padded(line);
        padded.append(64, '\0');
        Json value;
        size_t offset = 0;
        bool sound = tw_json_check(padded.data(), line.size(), 900, &offset).code == TW_OK;
        REQUIRE(sound == JsonReader::read(line, 900, value), "%s", padded.c_str());
        REQUIRE(sound || offset <= line.size(), "offset %zu of %zu", offset, line.size());
    }
    return 0;
}
