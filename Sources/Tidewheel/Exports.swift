// `import Tidewheel` is enough: records, errors, and what a stage or sink in Swift has to say.
@_exported public import Connecting
@_exported public import Definitions
@_exported public import Engine
@_exported public import Queueing
@_exported public import Records
@_exported public import Scripting
@_exported public import Trials
