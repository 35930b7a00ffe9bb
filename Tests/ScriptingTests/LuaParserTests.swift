import TestKit
import Testing

@testable import Scripting

@Suite struct LuaParserTests {
    private func facts(_ text: String) -> LuaFacts { LuaParser.facts(of: Array(text.utf8)) }

    @Test func `every construct of the language is read`() {
        let script = """
            #!/usr/bin/lua
            local a <const>, b <close> = 1, nil
            local function f(x, ...) local n = select("#", ...) return n, ... end
            function g.h.i:j(k) return self, k end
            goto done
            for i = 1, 10, 2 do if i == 3 then break elseif i then else end end
            for k, v in pairs({1, two = 2, ["three"] = 3; f(1)}) do f(k, v) end
            while a do a = not a end
            repeat local z = a until z
            do ; end
            a, b = b, a
            a.b["c"].d(1){2}"3":e [[4]]
            local s = 'x\\'y' .. "\\z
              w" .. [==[ long ]] ]==] --[[ comment ]] --[=[ more ]=]
            local t = 0x1F + 0x.8p-1 + 3e+2 + .5 // 2 ~ 1 & ~1 | 1 << 2 >> 1 ^ 2
            ::done::
            return function(...) return s, t, ... end

            """
        let facts = facts(script)
        #expect(facts.problem == nil, "\(facts.problem as Any)")
        #expect(facts.globals.map(\.name) == ["select", "g", "pairs"])
    }

    @Test func `locals are found where they can be seen`() {
        let facts = facts(
            """
            local x = x
            local unused, _ignored = 1, 2
            do local x = 2 print(x) end
            local function recurse() return recurse() end
            function process(r) y = x z.w = 1 end

            """)
        #expect(facts.globals.map(\.name) == ["x", "print", "process", "y", "z"])
        #expect(facts.globals.map(\.isAssigned) == [false, false, true, true, false])
        #expect(facts.unusedLocals.map(\.name) == ["unused"])
        #expect(facts.unusedLocals.first?.place == LuaPlace(line: 2, column: 7))
    }

    @Test func `fields of the record are told from those of others`() {
        let facts = facts(
            """
            local function other(r) return r.elsewhere end
            function process(r, meta)
              r.a = r.b.c + r["d"] + meta.id
              local q = r.e:upper()
              r.f.g = q
            end

            """)
        let reads = facts.fields.filter { !$0.isAssigned }.map { $0.path.joined(separator: ".") }
        let writes = facts.fields.filter(\.isAssigned).map { $0.path.joined(separator: ".") }
        #expect(reads == ["b", "b.c", "d", "e", "f"])
        #expect(writes == ["a", "f.g"])
        #expect(facts.fields.first?.place == LuaPlace(line: 3, column: 5))
    }

    @Test func `calls are told with their arguments`() {
        let facts = facts(
            "drop('x')\nreturn lookup(\"ü\", f(), 3), state:incr(...), json.decode [[{}]]")
        #expect(facts.calls.map(\.name) == ["drop", "f", "lookup", "state:incr", "json.decode"])
        #expect(facts.calls.map(\.isStatement) == [true, false, false, false, false])
        #expect(facts.calls[2].arguments.map(\.place.column) == [15, 20, 25])
        #expect(facts.calls[2].arguments[0].literal == "ü")
        #expect(facts.calls[3].arguments[0].isOpen)
    }

    @Test func `any bytes are read to an end`() {
        var random = SeededRandom(seed: 7)
        let words = [
            "function", "end", "(", ")", "{", "}", "local", "r", ".", "x", "=", "\"", "'", "[[",
            "]]", "--", "\n", "if", "then", "1e", "0x", "~", "\u{FF}", "return", "...", ":", ",",
        ]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<(random.next() % 30) {
                text += words[Int(random.next() % UInt64(words.count))]
                if random.next() % 3 == 0 { text += " " }
            }
            _ = facts(text)
            let noise = (0..<20).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = LuaParser.facts(of: noise)
        }
        #expect(
            facts(String(repeating: "(", count: 100_000)).problem?.message == "nested too deeply")
        #expect(facts(String(repeating: "do ", count: 100_000)).problem != nil)
        #expect(facts(String(repeating: "f(x) ", count: 100_000)).calls.count == 100_000)
    }

    @Test func `signatures tell how many arguments there may be`() {
        func counts(_ name: String) -> [Int?] {
            LuaSignature.all[name].map { [$0.least, $0.most] } ?? []
        }
        #expect(counts("lookup") == [2, 3])
        #expect(counts("table.insert") == [2, 3])
        #expect(counts("state:set") == [2, 3])
        #expect(counts("state:incr") == [1, 3])
        #expect(counts("string.format") == [1, nil])
        #expect(counts("now") == [0, 0])
        #expect(counts("math.random") == [0, 2])
        #expect(counts("drop") == [0, 1])
        #expect(counts("null") == [])
    }
}

@Suite struct ExecutableLinesTests {
    @Test func `a remark in the first line is none that could run`() {
        #expect(executableLines(of: Array("-- remark\n\nlocal x = 1\n".utf8)) == [3])
        let function = "-- remark\nfunction f(...)\n  return ...\nend\n"
        #expect(executableLines(of: Array(function.utf8)) == [2, 3, 4])
    }
}
