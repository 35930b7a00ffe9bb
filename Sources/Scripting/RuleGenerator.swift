internal import CScripting
public import Records

/// A script that makes records, for the `generate` source; used by the thread that made it.
@safe
public final class RuleGenerator {
    private let vm: OpaquePointer
    private let buffer: OpaquePointer

    /// Loads a script that defines `generate(i)`; throws `RuleError` with its place.
    public init(file: String, text: [UInt8]) throws(RuleError) {
        var config = unsafe tw_vm_config()
        unsafe config.script_memory = 64 << 20
        unsafe config.record_limit = 16 << 20
        unsafe config.depth_limit = 1000
        unsafe config.state_memory = 1 << 20
        unsafe config.partitions = 1
        var status = tw_status()
        guard let vm = unsafe tw_vm_create(&config, &status) else { throw RuleError(status) }
        unsafe self.vm = vm
        unsafe buffer = tw_buffer_create()
        unsafe text.withUnsafeBytes { bytes in
            _ = unsafe tw_vm_add_stage(
                vm, "generate", nil, nil, file,
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, nil, nil,
                1_000_000_000)
        }
        let loaded = unsafe tw_vm_load(vm)
        guard loaded.code == 0 else { throw RuleError(loaded) }
    }

    deinit {
        unsafe tw_buffer_destroy(buffer)
        unsafe tw_vm_destroy(vm)
    }

    /// Appends what `generate(index)` returns as JSON lines; returns how many.
    public func generate(
        index: UInt64, seed: UInt64, into batch: Batch
    ) throws(RuleError) -> UInt64 {
        unsafe tw_buffer_clear(buffer, 1 << 16)
        let status = unsafe tw_vm_generate(vm, index, seed, buffer)
        guard status.code == 0 else { throw RuleError(status) }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: tw_buffer_bytes(buffer), count: tw_buffer_length(buffer))
        unsafe batch.bytes.append(bytes)
        return unsafe tw_buffer_rows(buffer)
    }
}
