import Records
import Scripting
import TestKit
import Testing

/// Our own library functions against Lua's: the same random calls give the same results.
@Suite struct LuaDifferenceTests {
    /// Renders whatever a call returns, or that it failed; messages may differ.
    static let helpers = """
        local function text(value, depth)
          local kind = math.type(value) or type(value)
          if kind == "string" then
            local out = '"'
            for i = 1, #value do
              local byte = string.byte(value, i)
              local plain = byte > 32 and byte < 127
              out = out .. (plain and string.char(byte) or string.format("\\\\%03d", byte))
            end
            return out .. '"'
          elseif kind == "table" and depth < 3 then
            local out = "{"
            for i = -6, 50 do
              if value[i] ~= nil then out = out .. i .. "=" .. text(value[i], depth + 1) .. " " end
            end
            return out .. "}"
          elseif kind == "integer" or kind == "float" or kind == "boolean" or kind == "nil" then
            return kind .. " " .. tostring(value)
          end
          return kind
        end
        local function show(ok, ...)
          if not ok then return "error" end
          local out = "ok"
          for i = 1, select("#", ...) do out = out .. ", " .. text((select(i, ...)), 0) end
          return out
        end
        local function each(subject, pattern, start)
          return show(pcall(function()
            local out, count = {}, 0
            for a, b in string.gmatch(subject, pattern, start) do
              count = count + 1
              out[count] = text(a, 0) .. text(b, 0)
            end
            return out
          end))
        end
        -- What a failed call had done by then is nobody's business.
        local function changed(change, list, ...)
          local result = show(pcall(change, list, ...))
          return result == "error" and result or result .. " " .. text(list, 0)
        end
        local results = {}

        """

    private func ours(_ body: String) throws -> [String] {
        var harness = RuleHarness("\(Self.helpers)\(body)function process(r) r.out = results end")
        harness.budgetNanoseconds = 10_000_000_000
        let outcome = try harness.run("{}")
        let row = try #require(outcome.rows.first, "\(outcome.letters)")
        guard case .array(let items)? = try Record(json: row)["out"] else { return [] }
        return items.map(\.text)
    }

    @Test func `random calls give what plain Lua gives`() throws {
        var generator = CallGenerator(random: SeededRandom(seed: 61))
        let rounds = RuleHarness.isSanitized ? 4 : 40
        for round in 0..<rounds {
            let calls = (0..<2_000).map { _ in generator.call() }
            let body = calls.enumerated().map { "results[\($0 + 1)] = \($1)\n" }.joined()
            let expected = PlainLua.run("\(Self.helpers)\(body)return results")
            let given = try ours(body)
            try #require(expected.count == calls.count, "\(expected.first ?? "")")
            try #require(given.count == calls.count)
            var shown = 0
            for (index, call) in calls.enumerated() where given[index] != expected[index] {
                shown += 1
                if shown > 20 { break }
                Issue.record(
                    """
                    \(generator.random), round \(round): \(call)
                      Lua:  \(expected[index])
                      ours: \(given[index])
                    """)
            }
        }
    }
}
