// A compiled schema: one node per subschema, values of enum and const as JSON text.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <re2/re2.h>

#include "CScripting.h"
#include "json_index.h"

namespace tidewheel {

enum TypeBit : uint8_t {
    type_null = 1, type_boolean = 2, type_integer = 4, type_number = 8, type_string = 16,
    type_array = 32, type_object = 64
};

struct Bound {
    bool present = false;
    double number = 0;
    int64_t integer = 0;
    bool is_integer = false;
    std::string text;
};

struct SchemaNode;

struct Property {
    std::string name;
    std::unique_ptr<SchemaNode> node;  // nullptr: only required
    bool required = false;
};

struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const {
        return std::hash<std::string_view>()(name);
    }
};

struct SchemaNode {
    uint8_t types = 0;  // TypeBit; 0: any
    std::string type_names;
    std::vector<Property> properties;  // in the order of the schema, then what is only required
    std::unordered_map<std::string, size_t, NameHash, std::equal_to<>> places;  // of those
    bool refuses_others = false;
    std::unique_ptr<SchemaNode> others;  // additionalProperties
    std::unique_ptr<SchemaNode> items;
    std::vector<std::string> choices;  // enum, as JSON texts
    std::string choices_text;
    bool has_constant = false;
    std::string constant;
    Bound minimum, maximum, above, below;
    int64_t shortest = -1, longest = -1;
    std::unique_ptr<re2::RE2> pattern;
    std::string pattern_text;
    bool is_time = false;
    bool never = false;  // the schema `false`
};

// Whether two JSON texts mean the same value.
bool equal_json(const char *left, size_t left_length, const char *right, size_t right_length);

}  // namespace tidewheel

struct tw_schema {
    std::string text;
    std::unique_ptr<tidewheel::SchemaNode> root;
};
