// `import Tidewheel` brings these names of the modules below, and no others of them.

// Records.
@_exported public import struct Records.Field
@_exported public import struct Records.JSONError
@_exported public import struct Records.Record
@_exported public import enum Records.Value

// What stages and sinks written in Swift have to say.
@_exported public import struct Connecting.ConnectorError
@_exported public import struct Connecting.FileCounts
@_exported public import struct Connecting.RefusedRow
@_exported public import enum Scripting.NativeVerdict

// What a pipeline tells.
@_exported public import struct Definitions.PipelineError
@_exported public import struct Engine.DeadLetter
@_exported public import struct Engine.ReloadOutcome
@_exported public import struct Engine.ReplayGroup
@_exported public import struct Engine.ReplayResult
@_exported public import struct Engine.ReplaySample
@_exported public import struct Engine.ShadowReport
@_exported public import struct Engine.Summary
@_exported public import enum Engine.TapPoint
@_exported public import struct Engine.TestCount
@_exported public import struct Engine.VersionRow
@_exported public import struct Engine.WindowCounts
@_exported public import struct Scripting.RuleCounts

// Queues and messages.
@_exported public import struct Journal.JournalError
@_exported public import struct Queueing.DeliveryFailure
@_exported public import enum Queueing.DuplicatePolicy
@_exported public import struct Queueing.Header
@_exported public import struct Queueing.Message
@_exported public import struct Queueing.MessageHistory
@_exported public import enum Queueing.MessageState
@_exported public import struct Queueing.NewMessage
@_exported public import enum Queueing.Overflow
@_exported public import struct Queueing.Published
@_exported public import struct Queueing.QueueCounts
@_exported public import enum Queueing.QueueDelivery
@_exported public import enum Queueing.QueueDurability
@_exported public import struct Queueing.QueueError
@_exported public import struct Queueing.QueueSettings
@_exported public import struct Queueing.QueueStatus
@_exported public import struct Queueing.QueueTotals
@_exported public import struct Queueing.Receipt
@_exported public import class Queueing.RetryFunction
@_exported public import struct Queueing.RetryPolicy
