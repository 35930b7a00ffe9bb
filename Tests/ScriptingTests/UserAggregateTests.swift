import Scripting
import Testing

@Suite struct UserAggregateTests {
    @Test func `accumulators of an older version are changed when they are next used`() throws {
        let old = """
            return {
              init = function() return {n = 0} end,
              add = function(a, r) a.n = a.n + 1 return a end,
              merge = function(a, b) a.n = a.n + b.n return a end,
              result = function(a) return a.n end,
            }
            """
        let new = """
            return {
              version = 3,
              migrate = function(old, a) return {count = a.n * 10, old = old} end,
              init = function() return {count = 0} end,
              add = function(a, r) a.count = a.count + 1 return a end,
              merge = function(a, b) a.count = a.count + b.count return a end,
              result = function(a) return {a.count, a.old or null} end,
            }
            """
        func machine(_ text: String) throws -> RuleVM {
            var vm = try RuleVM(RuleVMOptions())
            _ = vm.addStage(
                name: "s", schema: nil, script: nil, native: nil, budgetNanoseconds: 50_000_000)
            _ = vm.addUserAggregate(
                stage: 0, file: RuleSet.File(path: "rules/a.lua", bytes: Array(text.utf8)))
            try vm.load()
            return vm
        }
        let before = try machine(old)
        let empty = try before.aggregateCaller.call(.create, index: 0)
        let one = try before.aggregateCaller.add(index: 0, empty, Array("{}".utf8))
        let after = try machine(new)
        let caller = after.aggregateCaller
        let two = try caller.add(index: 0, one, Array("{}".utf8))
        #expect(
            String(decoding: try caller.call(.result, index: 0, two), as: UTF8.self) == "[11,1]")
        // What the new version has made is not changed again.
        let merged = try caller.merge(index: 0, two, one)
        #expect(
            String(decoding: try caller.call(.result, index: 0, merged), as: UTF8.self) == "[21,1]")
    }
}
