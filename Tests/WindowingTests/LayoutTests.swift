import Testing

@testable import Windowing

struct LayoutTests {
    @Test func `rows and cells have the layout of their C counterparts`() {
        #expect(MemoryLayout<Cell>.stride == 24)
        #expect(MemoryLayout<Row>.stride == 48)
        #expect(MemoryLayout<Row>.offset(of: \.keyLength) == 32)
    }
}
