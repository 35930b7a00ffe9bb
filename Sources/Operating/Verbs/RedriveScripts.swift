internal import Definitions
internal import Engine

extension QueueScripts {
    /// Makes the scripts of a redrive.
    var redriveRules: RedriveRuleMaker {
        { (filter, map) throws(ControlFailure) in
            do throws(PipelineError) {
                let rule = try self.redriveRule(filter: filter, map: map)
                return RedriveScript(
                    choose: { rule.choose($0) },
                    failures: { (rule.failures, rule.firstFailure) })
            } catch { throw ControlFailure(error.exitCode, error.description) }
        }
    }
}
