// Lua programs from the fuzzer's bytes: they nearly always compile, so that the fuzzer's time goes
// into what rules can do, and not into what the compiler refuses.
#pragma once
#include "fuzzing.h"

namespace fuzzing {

struct Program {
    Choices choices;
    std::string text = "";
    int depth = 0;

    static std::string make(const uint8_t *data, size_t length) {
        Program program{{data, data + length}};
        program.text = "local a, b, c = 1, 'x', {}\nlocal kept\n";
        while (program.choices.left() && program.choices.below(4)) program.statement();
        program.text += "function process(r, meta)\n";
        while (program.choices.left()) program.statement();
        program.text += "return " + program.expression() + "\nend\n";
        return program.text;
    }

  private:
    std::string name() {
        static const std::vector<const char *> names = {
            "a", "b", "c", "r", "r", "r", "meta", "kept", "leak", "self", "r.list", "r.object",
            "r.text", "r[a]", "c[b]", "c.x", "c[#c]", "string", "_ENV", "null", "r.object.inner"};
        return choices.word(names);
    }

    std::string literal() {
        static const std::vector<const char *> literals = {
            "nil", "null", "true", "false", "0", "1", "-1", "2", "3.5", "1e308", "0/0", "1/0",
            "math.mininteger", "math.maxinteger", "100000", "1 << 31", "''", "'x'", "'text'",
            "'list'", "'%d %s %q'", "'%5.1f'", "'(.-)%s'", "'[%a_]*()'", "'.-b'", "'%f[%w]%w+'",
            "'\\0\\255'", "'\\u{1F642}'", "'{\"a\":[1,{}]}'", "'2024-02-29T12:00:00.5Z'",
            "'__gc'", "'__index'", "'__len'", "'n'", "'users'", "{}", "{1, 2, 3}", "{x = 1}",
            "json.array{}", "r:copy()", "'*t'", "'#'", "'murmur2'", "'%1%0'"};
        return choices.word(literals);
    }

    // Any function of the rule API, by its full name.
    std::string function() {
        tw_api_entry entry = tw_api_at(choices.below(uint32_t(tw_api_count())));
        return entry.name;
    }

    std::string arguments() {
        std::string out;
        for (uint32_t i = choices.below(5); i > 0; i--)
            out += (out.empty() ? "" : ", ") + expression();
        return "(" + out + ")";
    }

    std::string body() {
        std::string outer = std::move(text);
        text.clear();
        for (uint32_t i = choices.below(4); i > 0; i--) statement();
        text += "return " + expression() + " ";
        std::string inner = std::move(text);
        text = std::move(outer);
        return inner;
    }

    std::string expression() {
        if (++depth > 5) {
            depth--;
            return literal();
        }
        static const std::vector<const char *> operators = {
            "+", "-", "*", "/", "//", "%", "^", "&", "|", "~", "<<", ">>", "..", "==", "~=", "<",
            "<=", "and", "or"};
        static const std::vector<const char *> methods = {
            "copy", "rep", "upper", "gsub", "find", "match", "gmatch", "format", "byte", "get",
            "set", "incr", "delete", "sub"};
        std::string out;
        switch (choices.below(14)) {
        case 0: case 1: case 2: out = literal(); break;
        case 3: case 4: out = name(); break;
        case 5: case 6: case 7: out = function() + arguments(); break;
        case 8: {
            std::string left = expression();
            std::string middle = std::string(" ") + choices.word(operators) + " ";
            out = "(" + left + middle + expression() + ")";
            break;
        }
        case 9: out = std::string(choices.below(2) ? "(#" : "(not ") + expression() + ")"; break;
        case 10: out = "(function(a, ...) " + body() + "end)"; break;
        case 11: {
            std::string object = choices.below(3) ? name() : "state";
            out = object + ":" + choices.word(methods) + arguments();
            break;
        }
        case 12: {
            std::string key = expression(), value = expression();
            out = "{" + value + ", x = " + value + ", [" + key + "] = r}";
            break;
        }
        default: {
            std::string meta = choices.word({"__index", "__newindex", "__call", "__pairs", "__len",
                                             "__eq", "__lt", "__concat", "__tostring", "__name",
                                             "__close", "__metatable", "__gc", "__mode"});
            out = "setmetatable({" + literal() + "}, {" + meta + " = " + expression() + "})";
        }
        }
        depth--;
        return out;
    }

    void block() {
        if (++depth <= 5)
            for (uint32_t i = 1 + choices.below(3); i > 0; i--) statement();
        depth--;
    }

    void statement() {
        switch (choices.below(13)) {
        case 0: case 1: case 2: text += name() + " = " + expression() + "\n"; break;
        case 3: case 4: text += "kept = " + function() + arguments() + "\n"; break;
        case 5: text += "local " + std::string(choices.word({"a", "b", "c", "r", "x <close>"})) +
                        " = " + expression() + "\n"; break;
        case 6: text += "if " + expression() + " then\n", block(), text += "end\n"; break;
        case 7: text += "for k, v in pairs(" + expression() + ") do\n", block(), text += "end\n";
            break;
        case 8: text += "for a = 1, " + expression() + " do\n", block(), text += "end\n"; break;
        case 9: text += "kept = {pcall(function(...)\n", block(), text += "end)}\n"; break;
        case 10: text += "xpcall(function(...)\n", block(), text += "end, " + function() + ")\n";
            break;
        case 11: text += "emit(" + expression() + ")\n"; break;
        default:  // Most loops end: those that do not cost the fuzzer their whole budget.
            text += choices.below(8) ? "repeat\n" : "while " + expression() + " do\n";
            bool repeats = text.ends_with("repeat\n");
            block();
            text += repeats ? "until true\n" : "end\n";
        }
    }
};

}  // namespace fuzzing
